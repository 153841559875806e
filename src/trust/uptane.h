/* uptane.h - two repositories that must agree before a unit runs anything, as in Uptane.
 *
 *   image repository      what is genuine: every released model, its hash, length, hardware ids, release counter,
 *                         self-test (signed with keys that need not be on the serving machine)
 *   director (per unit)   what this unit is to run: the one target of its hardware id, signed on demand
 *
 *   unit: refresh director -> its target -> refresh image -> the same target -> same hash, length, hardware,
 *         counter -> counter not below the one installed -> download -> run
 *
 * Target path: "<line>/<sha256>.safetensors". custom of both:
 *   {"hardware_ids":["flywheel-unit"],"release_counter":7,                    both
 *    "self_test":{"seed":1,"frames":16,"actions":[..],"tolerance":..}}        image only
 *   director's metadata also says "unit":"7" in each file's signed part and in the target's custom: one unit's answer
 *   is no other's.
 * Numbers that are not whole stand as decimal text: canonical JSON has integers alone.
 *
 * A version report is what the unit signs after it runs something (Uptane's version manifest):
 *   {"signed":{"unit","hardware_id","target","sha256","release_counter","tick","time_ns","nonce","attacks":[..]},
 *    "signatures":[{"keyid","sig"}]}
 *
 * Invariants of a choice: (1) the director's metadata is this unit's own: every target and every file says so; (2) it names at
 * most one target for the unit's hardware; (3) length, SHA-256, counter and hardware are the same in both
 * repositories; (4) the counter is not below the one installed; (5) nothing is downloaded here.
 */
#ifndef FW_TRUST_UPTANE_H
#define FW_TRUST_UPTANE_H

#include "trust/key.h"
#include "trust/tuf.h"

#define FW_UPTANE_COUNTER_MAX ((int64_t)1 << 53) /* of a release: there is always a next one */
enum { FW_HARDWARE_ID_MAX = 64 };

typedef struct fw_uptane_unit {
    const char *unit, *hardware_id;
    uint64_t release_counter; /* of what is installed; a smaller one is refused */
} fw_uptane_unit;

typedef struct fw_uptane_choice {
    bool found;            /* false: the director has nothing for this unit */
    fw_tuf_target target;  /* the image repository's view */
    uint64_t release_counter;
} fw_uptane_choice;

/* FOLDER/director and FOLDER/image, each with its first trusted root, from one bundle {"image":ROOT,"director":ROOT}
 * (the factory's DIR/trust/root.json) that the unit's owner brought. FW_EXISTS: there are some already. */
fw_status fw_uptane_init(const fw_env *env, const char *folder, const void *bundle, size_t bundle_bytes,
                         fw_error *error) FW_MUST;

/* The line to the director, for one unit: what it brings must say whose it is ("unit" in "signed"; roots are for all)
 * before the TUF client looks at it. Else another unit's genuine metadata, with greater versions, would be kept as
 * trusted, and the unit's own refused as older. */
typedef struct fw_uptane_line {
    fw_tuf_fetch under;
    const char *unit; /* outlives it */
} fw_uptane_line;
/* A fetch over the line, which outlives it. */
fw_tuf_fetch fw_uptane_fetch(fw_uptane_line *line);

/* Refreshes both and decides. FW_MISMATCH with the reason when they do not agree; nothing is downloaded. */
fw_status fw_uptane_choose(fw_tuf_client *director, fw_tuf_client *image, const fw_uptane_unit *unit,
                           fw_uptane_choice *out, fw_error *error) FW_MUST;

typedef struct fw_version_report {
    char unit[32], hardware_id[FW_HARDWARE_ID_MAX], target[256];
    fw_hash sha256;
    uint64_t release_counter, tick;
    int64_t time_ns;
    char nonce[33];   /* of the factory's last answer; a report cannot be played again */
    char attack[160]; /* what the unit refused since its last report; "": nothing */
} fw_version_report;
enum { FW_VERSION_REPORT_MAX_BYTES = 4096 };

/* Signed text, malloc'd. */
fw_status fw_version_report_sign(const fw_version_report *report, const fw_private_key *key, char **out,
                                 fw_error *error) FW_MUST;
/* FW_MISMATCH: not signed by this key; FW_CORRUPT: no version report. Whose unit and nonce it names is the caller's to
 * compare. */
fw_status fw_version_report_check(const void *bytes, size_t size_bytes, const fw_public_key *key,
                                  fw_version_report *out, fw_error *error) FW_MUST;

#endif
