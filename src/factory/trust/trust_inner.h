/* trust_inner.h - what the files of trust/ share; nobody else includes it.
 *
 * Locks: the catalogue's lock, then trust->lock, then DIR/trust/lock; never the other way round.
 */
#ifndef FW_FACTORY_TRUST_INNER_H
#define FW_FACTORY_TRUST_INNER_H

#include <pthread.h>
#include <sys/stat.h>

#include "factory/trust/trust.h"
#include "trust/repository.h"

enum {
    FW_TRUST_PATH_MAX = FW_PATH_MAX + 64,
    FW_TRUST_RELEASES_MAX = 256, /* in the image repository; those of the lowest counters go */
    FW_TRUST_CUSTOM_MAX = 64 << 10,
    FW_TRUST_FRESHEN_S = 600,
    FW_TRUST_LIFE_S = 86400, /* of what the director signs */
    FW_TRUST_SEATS_MAX = 1 << 16
};

/* What memory knows of a unit's reports. */
typedef struct fw_trust_seat {
    char unit[32]; /* "": free */
    uint64_t accepted;    /* reports since the start: part of the next nonce */
    fw_hash kept;         /* of what the last stored report said */
    int64_t kept_ns, refused_ns;
    char refused[160];    /* why the last bad one was refused; "" */
} fw_trust_seat;

struct fw_trust {
    fw_trust_config config;
    char folder[FW_PATH_MAX]; /* DIR/trust */
    pthread_mutex_t lock;     /* guards all below */
    bool ready;               /* keys and roots are there */
    bool assigned_before;     /* at the opening the catalogue knew of assignments: keys are not made anew in silence */
    int64_t freshened_ns;     /* monotonic; 0: not yet */
    fw_private_key *release;
    json_t *targets;          /* path -> what the image repository says of it */
    struct stat seen;         /* image/timestamp.json when targets was read */
    fw_roots *director;
    int64_t epoch, issued_s;
    bool epoch_due;           /* something that is signed has changed: the next version must be another */
    uint8_t secret[32];       /* of nonces, made at the start */
    fw_trust_seat *seats;     /* hash table, open addressing; (seat_count) */
    uint32_t seat_count, seats_used;
};

/* The lock is held in all of these. */

/* Makes what is missing on disk and loads keys; cheap when done. */
fw_status fw_trust_ready(fw_trust *trust, fw_error *error) FW_MUST;
/* DIR/trust/lock; closing *fd lets go. */
fw_status fw_trust_lock_files(const fw_trust *trust, int *fd, fw_error *error) FW_MUST;
fw_status fw_trust_open_image(const fw_trust *trust, const char *keys_elsewhere, fw_repository **out,
                              fw_error *error) FW_MUST;
/* Opens the director's roots anew when there is a newer one; opening mends what a rotation left, so DIR/trust/lock is
 * held. follow: takes it, but only when there is something to open. */
fw_status fw_trust_follow_director(fw_trust *trust, fw_error *error) FW_MUST;
fw_status fw_trust_load_director(fw_trust *trust, const char *keys_elsewhere, fw_error *error) FW_MUST;
/* DIR/trust/root.json from the newest roots. */
fw_status fw_trust_write_bundle(const fw_trust *trust, fw_error *error) FW_MUST;
/* Reads the image's targets again when another process (or this one) has published. */
fw_status fw_trust_look(fw_trust *trust, fw_error *error) FW_MUST;
/* The path of a released model, or NULL; *target borrowed. */
const char *fw_trust_find(const fw_trust *trust, const char *sha256, const json_t **target);
/* A new epoch when one is due. */
fw_status fw_trust_epoch(fw_trust *trust, fw_error *error) FW_MUST;

#endif
