/* shared.h - the memory that a unit's two working processes share, and nothing else between them.
 *
 *   supervisor (the process that was started; sleeps, restarts whoever dies)
 *     |-- tick     bus -> policy -> guard -> bus, recorder   never waits on disk or network
 *     |-- courier  spool, uploader, updater
 *
 *   tick --pieces--> [ring, one writer, one reader] --> courier --> DIR/spool/<n>.mcap.part
 *        BEGIN | BYTES.. | END, of two streams interleaved       --> DIR/spool/<sha256>.mcap
 *        (routine: all that is lived; capture: what a campaign asked for)
 *
 *   courier --checked model--> [slot 0 | slot 1] + sequence --> tick, between two ticks
 *   courier --shadow---------> [slot 0 | slot 1] + sequence --> tick, beside the model that drives
 *   courier --campaigns------> [set A | set B] + sequence ----> tick, between two ticks
 *
 * A model file is untrusted text: the courier parses it and puts the ready, pointer-free model into
 * the slot; the tick copies it, checks its CRC and swaps. So the tick allocates and parses nothing.
 * Campaigns go the same way. One of the two slots always holds the last-known-good model: what the tick
 * falls back to lies ready, also for a tick process that replaces a dead one (tick/seat.h).
 *
 * Invariants: (1) a piece is in the ring whole or not at all; (2) the reader moves `tail` only after
 * the piece's effect is on disk, and every effect may be repeated (bytes carry their place in the
 * file), so a courier that dies anywhere loses nothing; (3) slot n & 1 holds model n or nothing whole: the
 * courier says n in it before it changes a byte, so a tick that copied an older one meanwhile sees that; it
 * never writes the slot of model_good, and skips a number where that has its parity; campaign sets are
 * announced in campaign_writing; (4) each stream has at most one open recording, whose
 * serial and beginning lie in `open`, for a courier that replaces a dead one; (5) the memory is
 * anonymous: it is gone when all three processes are.
 */
#ifndef FW_UNIT_SHARED_H
#define FW_UNIT_SHARED_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/status.h"
#include "campaign/campaign.h"

enum {
    FW_UNIT_RING_BYTES = 4 << 20, /* a power of two; 4000 ticks in dense traffic */
    FW_UNIT_PIECE_MAX = 1 << 20,
    FW_UNIT_MODEL_MAX = 1 << 20, /* a loaded model in memory */
    FW_UNIT_MODELS_NAMED = 64,
    FW_UNIT_BOOT_MAX = 40,
    FW_UNIT_VERSION_MAX = 64, /* of a list of campaigns */
    FW_UNIT_SPENT_MAX = 64,   /* campaigns whose budgets are counted (courier/spent.h) */
};

typedef enum fw_unit_stream {
    FW_UNIT_ROUTINE,
    FW_UNIT_CAPTURE,
    FW_UNIT_STREAM_COUNT
} fw_unit_stream;

/* What is lost, by its cause. Name and enum come from these lines. */
#define FW_UNIT_LOSSES(X)                                                                          \
    X(RING, "ring")       /* of recordings cut off because the ring was full */                     \
    X(EVICTED, "evicted") /* whole, but the spool's quota was used up by more valuable ones */     \
    X(DISK, "disk")       /* a write, an fdatasync or a rename failed */                           \
    X(CUT, "cut")         /* not to be saved of a recording that nobody completed */               \
    X(REFUSED, "refused") /* condemned by the factory, then removed to make room */

typedef enum fw_unit_loss {
#define X(name, text) FW_UNIT_LOSS_##name,
    FW_UNIT_LOSSES(X)
#undef X
        FW_UNIT_LOSS_COUNT
} fw_unit_loss;

typedef enum fw_unit_piece_kind {
    FW_UNIT_PIECE_BEGIN = 1, /* a recording starts; one that was open is abandoned */
    FW_UNIT_PIECE_BYTES,     /* offset, then its bytes */
    FW_UNIT_PIECE_END,       /* it is whole: offset is its size */
    FW_UNIT_PIECE_DROP,      /* it is not wanted */
    FW_UNIT_PIECE_CUT,       /* no more of it will come: what is there is worth saving */
    FW_UNIT_PIECE_PROMOTE,   /* payload fw_unit_promote: routine data a campaign wants */
} fw_unit_piece_kind;

/* Before each piece in the ring. */
typedef struct fw_unit_piece {
    uint32_t kind, size_bytes; /* of the payload that follows */
    uint64_t serial;           /* of the recording, counted from 1 */
    uint64_t offset;           /* BYTES: place in the file; END: size of the file */
    uint32_t events;           /* BYTES: so far; END: all */
    uint32_t ticks, drive, first_tick; /* END only */
    uint32_t stream, unused;   /* fw_unit_stream */
    int64_t first_ns, last_ns; /* END only: the line's time of its first and last tick */
} fw_unit_piece;

/* Payload of BEGIN (or none: a routine recording of unknown time). */
typedef struct fw_unit_begin {
    char campaign[FW_CAMPAIGN_ID_MAX]; /* empty: routine */
    uint32_t priority, unused;         /* the campaign's */
    int64_t trigger_ns;                /* the line's time */
    int64_t mono_ns, wall_ns;          /* the unit's clocks at its first tick */
} fw_unit_begin;

/* Payload of PROMOTE: routine recordings of `drive` that have something of [from_ns, to_ns) of the line's
 * time are to be uploaded for a campaign. to_ns is the first tick that memory still has: a recording that
 * begins there (that of a drive which has just begun) knows no more than memory does. */
typedef struct fw_unit_promote {
    char campaign[FW_CAMPAIGN_ID_MAX];
    uint32_t priority, drive;
    int64_t from_ns, to_ns;
} fw_unit_promote;

/* An open recording, as the courier knows it; serial 0: none. */
typedef struct fw_unit_open {
    uint64_t serial;
    fw_unit_begin begin;
    fw_unit_promote wanted; /* campaign empty: not promoted */
} fw_unit_open;

/* What a campaign has captured on this unit, over restarts (courier/spent.h). */
typedef struct fw_unit_spent {
    char campaign[FW_CAMPAIGN_ID_MAX];
    _Atomic uint64_t captures, bytes;
} fw_unit_spent;

/* One writer, one reader; head and tail only grow. */
typedef struct fw_unit_ring {
    _Atomic uint64_t head; /* written by the tick */
    char apart[56];
    _Atomic uint64_t tail; /* written by the courier */
    uint8_t bytes[FW_UNIT_RING_BYTES];
} fw_unit_ring;

typedef struct fw_unit_slot {
    _Atomic uint64_t sequence; /* of the model that is here, or is being written; 0 none */
    _Atomic uint32_t crc;      /* CRC-32 of the bytes below */
    _Atomic uint32_t size_bytes;
    _Alignas(64) uint8_t bytes[FW_UNIT_MODEL_MAX]; /* by fw_unit_slot_put and _get */
} fw_unit_slot;

/* Models on their way to one seat of the tick; written by the courier (courier/staging.h). */
typedef struct fw_unit_lane {
    _Atomic uint64_t staged; /* sequence of what the tick is to take; 0 none */
    fw_hash names[FW_UNIT_MODELS_NAMED]; /* by sequence % FW_UNIT_MODELS_NAMED */
    fw_unit_slot slots[2];
} fw_unit_lane;

/* Why a model does not drive (any more). Name and enum come from these lines. */
#define FW_UNIT_REFUSALS(X)                                                                        \
    X(CHECK, "check")     /* what lay in its slot did not pass the tick's check */                 \
    X(NUMBERS, "numbers") /* it answered something that is no finite number */                     \
    X(LATE, "late")       /* its decisions took longer than the deadline, several in a row */      \
    X(VETOES, "vetoes")   /* the guard stepped in too often while it was watched */                \
    X(CRASH, "crash")     /* the tick process died with it */                                      \
    X(BOOTS, "boots")     /* the unit started several times and it never proved itself */          \
    X(SLOT, "slot")       /* its slot on disk is not whole */                                      \
    X(MODEL, "model")     /* the right bytes, but no model that this unit can drive */             \
    X(SELF_TEST, "self_test") /* it does not answer its self-test as it should */

typedef enum fw_unit_refusal {
    FW_UNIT_REFUSED_NOT,
#define X(name, text) FW_UNIT_REFUSED_##name,
    FW_UNIT_REFUSALS(X)
#undef X
        FW_UNIT_REFUSAL_COUNT
} fw_unit_refusal;

/* What was lived since the model that drives took over; written by the tick. A reader takes it as a whole
 * when `sequence` is the same before and after. */
typedef struct fw_unit_health {
    _Atomic uint64_t sequence; /* the model it is about; 0: being set anew, or none */
    _Atomic uint64_t ticks, distance_mm, events, vetoes, late_ticks, crashes, fallbacks;
    _Atomic uint64_t shadow_sequence, shadow_ticks, shadow_disagreements;
} fw_unit_health;

/* A whole list of campaigns, compiled; no pointers. */
typedef struct fw_unit_campaigns {
    char version[FW_UNIT_VERSION_MAX];
    uint32_t count, unused;
    fw_campaign list[FW_CAMPAIGNS_MAX];
} fw_unit_campaigns;

typedef struct fw_unit_campaign_slot {
    _Atomic uint32_t crc; /* CRC-32 of the set */
    uint32_t unused;
    _Alignas(8) fw_unit_campaigns set; /* by fw_unit_slot_put and _get */
} fw_unit_campaign_slot;

typedef struct fw_unit_shared {
    _Atomic bool stop;      /* everybody: finish and leave */
    _Atomic bool tick_gone; /* set by the supervisor when no more pieces will come */
    int ring_wake, net_wake, upload_wake; /* eventfds, made before the processes part */
    char boot[FW_UNIT_BOOT_MAX];  /* the machine's boot: what the unit's clock counts from */
    char start[FW_UNIT_BOOT_MAX]; /* this start of the unit: what its records are counted in */

    /* written by the tick */
    _Atomic uint64_t model_active;   /* sequence of the model that drives; 0 none */
    _Atomic uint64_t model_taking;   /* being made ready: to blame if the process dies of it */
    _Atomic uint64_t model_approved; /* the last one that came through its watch */
    _Atomic uint64_t model_bad[2];   /* by slot: sequence of what is refused there */
    _Atomic uint32_t bad_why[2];     /* fw_unit_refusal of each */
    _Atomic uint64_t model_refused;  /* the last of those */
    _Atomic uint32_t refused_why;    /* fw_unit_refusal of that one */
    _Atomic uint64_t shadow_active, shadow_refused; /* sequences */
    _Atomic uint64_t shadow_taking;  /* being made ready, or deciding: to blame if the process dies of it */
    _Atomic bool safe;               /* the safe controller drives (tick/safe.h) */
    _Atomic uint32_t tick_starts, crash_row; /* crash_row: deaths of the process without a healthy while between */
    fw_unit_health health;
    _Atomic uint64_t serial;        /* of the last recording begun; survives a restarted tick */
    _Atomic uint32_t recordings;    /* handed over whole */
    _Atomic uint32_t tick;
    _Atomic uint64_t ticks, vetoes;
    _Atomic int64_t deciding_since_ns; /* the tick's clock when a decision began; 0: none is being made */
    _Atomic uint64_t late_ticks;       /* answered more than a tick after the observation */
    _Atomic uint64_t worst_tick_ns;    /* from an observation to the end of all its work */
    _Atomic uint64_t campaign_active;  /* sequence of the set in force; 0 none */
    _Atomic uint64_t triggers, captures; /* captures: handed over whole */
    _Atomic uint64_t missed_ticks;     /* wanted by a capture, but no longer in memory */
    _Atomic uint64_t unhanded_ticks;   /* lived, recorded, but not in the ring yet */
    _Atomic uint64_t lost_ticks;       /* those of tick processes that died */

    /* written by the courier */
    _Atomic uint64_t model_good; /* sequence of the last-known-good one: not watched; 0 none */
    _Atomic uint64_t refused_noticed; /* model_refused as it is on disk */
    _Atomic bool safe_wanted;    /* there were models, and none of them is whole */
    _Atomic uint64_t campaign_writing, campaign_staged; /* sequences; 0 none */
    _Atomic uint64_t spool_bytes;
    _Atomic uint64_t ring_file_bytes; /* routine recordings kept on disk, not to be uploaded */
    _Atomic uint64_t salvaged;        /* recordings made whole after a crash */
    fw_unit_open open[FW_UNIT_STREAM_COUNT]; /* in DIR/spool/<n>.mcap.part (for its successor) */
    uint64_t records_next[4]; /* number of the next record, by stream (courier/records.h) */
    char records_boot[4][FW_UNIT_BOOT_MAX];
    bool versions_told; /* the record of this start is in the queue */
    _Atomic uint32_t spent_count;
    fw_unit_spent spent[FW_UNIT_SPENT_MAX];

    _Atomic uint64_t lost_bytes[FW_UNIT_LOSS_COUNT]; /* RING by the tick, others by the courier */

    fw_unit_lane models, shadows;
    fw_unit_campaign_slot sets[2];
    fw_unit_ring ring;
} fw_unit_shared;

/* Anonymous shared memory, zero but for the eventfds; unmapped by the caller (tests) or by exit. */
fw_status fw_unit_shared_make(fw_unit_shared **out, fw_error *error) FW_MUST;
void fw_unit_shared_free(fw_unit_shared *shared);

/* Wakes whoever waits on the eventfd; never blocks, safe in a signal handler. */
static inline void fw_unit_wake(int eventfd) {
    uint64_t one = 1;
    ssize_t put = write(eventfd, &one, sizeof one);
    (void)put; /* full: it is awake already */
}

/* Waits for a wake or timeout_ms and takes all wakes. */
static inline void fw_unit_wait(int eventfd, int timeout_ms) {
    struct pollfd one = {.fd = eventfd, .events = POLLIN};
    uint64_t wakes;
    if (poll(&one, 1, timeout_ms) > 0) {
        ssize_t got = read(eventfd, &wakes, sizeof wakes);
        (void)got;
    }
}

const char *fw_unit_loss_name(fw_unit_loss loss); /* "ring" ... */
const char *fw_unit_refusal_name(uint32_t why);   /* "check" ...; "" for none */

/* The name of what a sequence number of a lane stands for; empty where it is 0. */
static inline fw_hash fw_unit_lane_name(const fw_unit_lane *lane, uint64_t sequence) {
    return sequence ? lane->names[sequence % FW_UNIT_MODELS_NAMED] : (fw_hash){{0}};
}

static inline void fw_unit_lose(fw_unit_shared *shared, fw_unit_loss loss, uint64_t size_bytes) {
    atomic_fetch_add(&shared->lost_bytes[loss], size_bytes);
}

static inline uint64_t fw_unit_lost_bytes(fw_unit_shared *shared) {
    uint64_t sum = 0;
    for (int i = 0; i < FW_UNIT_LOSS_COUNT; i++) sum += atomic_load(&shared->lost_bytes[i]);
    return sum;
}

/* NULL: nothing was captured for it. */
static inline fw_unit_spent *fw_unit_spent_find(fw_unit_shared *shared, const char *campaign) {
    uint32_t count = atomic_load(&shared->spent_count);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(shared->spent[i].campaign, campaign) == 0) return &shared->spent[i];
    return NULL;
}

/* ---- slots: their reader may look while the writer has moved on ---- */

/* Copies word by word, so that a reader of a slot that changes meanwhile gets a mixture (which
 * the slot's sequence and the CRC tell), but never undefined behaviour. Both aligned to 8. */
static inline void fw_unit_slot_put(void *slot, const void *bytes, size_t size_bytes) {
    uint64_t *to = __builtin_assume_aligned(slot, 8), word;
    const uint8_t *from = bytes;
    for (size_t i = 0; i < size_bytes / 8; i++) {
        memcpy(&word, from + 8 * i, 8);
        __atomic_store_n(&to[i], word, __ATOMIC_RELAXED);
    }
    for (size_t i = size_bytes / 8 * 8; i < size_bytes; i++)
        __atomic_store_n((uint8_t *)slot + i, from[i], __ATOMIC_RELAXED);
}

static inline void fw_unit_slot_get(void *out, const void *slot, size_t size_bytes) {
    const uint64_t *from = __builtin_assume_aligned(slot, 8);
    uint8_t *to = out;
    for (size_t i = 0; i < size_bytes / 8; i++) {
        uint64_t word = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
        memcpy(to + 8 * i, &word, 8);
    }
    for (size_t i = size_bytes / 8 * 8; i < size_bytes; i++)
        to[i] = __atomic_load_n((const uint8_t *)slot + i, __ATOMIC_RELAXED);
}

/* ---- the ring ---- */

static inline void fw_unit_ring_copy_in(fw_unit_ring *ring, uint64_t at, const void *bytes,
                                        size_t size_bytes) {
    size_t place = at & (FW_UNIT_RING_BYTES - 1), first = FW_UNIT_RING_BYTES - place;
    if (first > size_bytes) first = size_bytes;
    memcpy(ring->bytes + place, bytes, first);
    memcpy(ring->bytes, (const uint8_t *)bytes + first, size_bytes - first);
}

static inline void fw_unit_ring_copy_out(const fw_unit_ring *ring, uint64_t at, void *out,
                                         size_t size_bytes) {
    size_t place = at & (FW_UNIT_RING_BYTES - 1), first = FW_UNIT_RING_BYTES - place;
    if (first > size_bytes) first = size_bytes;
    memcpy(out, ring->bytes + place, first);
    memcpy((uint8_t *)out + first, ring->bytes, size_bytes - first);
}

/* Writer: adds a piece, or nothing and false when it does not fit now. */
static inline bool fw_unit_ring_put(fw_unit_ring *ring, const fw_unit_piece *piece,
                                    const void *payload) {
    FW_ASSERT(piece->size_bytes <= FW_UNIT_PIECE_MAX);
    FW_ASSERT(payload || piece->size_bytes == 0);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    uint64_t wanted = sizeof *piece + piece->size_bytes;
    if (FW_UNIT_RING_BYTES - (head - tail) < wanted) return false;
    fw_unit_ring_copy_in(ring, head, piece, sizeof *piece);
    if (payload)
        fw_unit_ring_copy_in(ring, head + sizeof *piece, payload, piece->size_bytes);
    atomic_store_explicit(&ring->head, head + wanted, memory_order_release);
    return true;
}

/* Reader: the next piece, its payload copied out (FW_UNIT_PIECE_MAX bytes); false when empty.
 * It stays in the ring until fw_unit_ring_pop. */
static inline bool fw_unit_ring_peek(fw_unit_ring *ring, fw_unit_piece *piece, void *payload) {
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    if (head == tail) return false;
    FW_ASSERT(head - tail >= sizeof *piece && head - tail <= FW_UNIT_RING_BYTES);
    fw_unit_ring_copy_out(ring, tail, piece, sizeof *piece);
    FW_ASSERT(piece->size_bytes <= FW_UNIT_PIECE_MAX &&
              head - tail >= sizeof *piece + piece->size_bytes);
    fw_unit_ring_copy_out(ring, tail + sizeof *piece, payload, piece->size_bytes);
    return true;
}

static inline void fw_unit_ring_pop(fw_unit_ring *ring, const fw_unit_piece *piece) {
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    atomic_store_explicit(&ring->tail, tail + sizeof *piece + piece->size_bytes,
                          memory_order_release);
}

static inline uint64_t fw_unit_ring_used_bytes(fw_unit_ring *ring) {
    uint64_t tail = atomic_load(&ring->tail);
    return atomic_load(&ring->head) - tail;
}

#endif
