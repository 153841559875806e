/* gate.h - one decision: is the candidate shown to be better, and does it forget nothing?
 *
 *   a cluster's pairs of drives --fw_gate_add--> +-- primary   sequential test of the mean difference of clean shares
 *   (champion, candidate)                        +-- slices    non-inferiority of each, by the same betting
 *   what was measured --fw_gate_limit----------> +-- limits    decision time, vetoes, size ...: at most, at least
 *                                                '--fw_gate_end--> promote or refuse, a sentence, a record (JSON)
 *
 *   H0  mean <= 0       not better                    promote only when its e-value reaches 1 / alpha_t (alpha.h)
 *   H1  mean >= delta   better by as much as counts   refused early when this one's reaches 1 / beta
 *
 * An observation is a cluster (a held-out recording): the mean over its drives of candidate's less champion's, each
 * 0 or 1, so that it lies in [-1, 1]. Clusters come in the order of a hash of the suite's name and theirs, fixed before
 * anything is driven. Once better is shown the rest is driven all the same: slices and limits want every drive.
 *
 * A slice (drives at signals, of vans ...) is `kept` when "mean <= -epsilon" is refuted at slice_level, `forgotten` when
 * "mean >= -epsilon" is. With slice_min clusters or more it must be kept; all of them have to be, so that each is
 * tested at the whole level (an intersection-union test: Berger 1982). Of fewer clusters nothing can be shown; such a
 * slice is reported as small, and refuses only when it is shown to be forgotten.
 *
 * Invariants: (1) promote means: H0 refuted at alpha_t, no slice forgotten, no large slice open, all limits held;
 * (2) the same observations in the same order give the same record; (3) no allocation but the record's.
 */
#ifndef FW_GATE_GATE_H
#define FW_GATE_GATE_H

#include <jansson.h>

#include "base/hash.h"
#include "gate/alpha.h"
#include "gate/sequential.h"

enum {
    FW_GATE_SLICES_MAX = 24,
    FW_GATE_LIMITS_MAX = 12,
    FW_GATE_CLUSTERS_MAX = 4096, /* of a suite */
    FW_GATE_PATH_POINTS = 40,    /* of the path of log wealth in a record */
    FW_GATE_REASON_MAX = 320,
    FW_GATE_NAME_MAX = 32,
};

/* What is decided before anything is driven. */
typedef struct fw_gate_plan {
    double alpha, beta, delta;         /* alpha of the whole epoch */
    double epsilon, slice_level;
    uint32_t slice_min;                /* clusters */
    char suite[FW_HASH_HEX + 1];       /* its hash (fw_gate_suite) */
    uint32_t epoch, place, promotions; /* place 1 ..; promotions in the epoch before this decision */
} fw_gate_plan;
/* alpha 0.05, beta 0.1, delta 0.05, epsilon 0.1, slice_level 0.1, slice_min 40; first place of a first epoch. */
extern const fw_gate_plan fw_gate_usual;

/* The suite's name: SHA-256 of its recordings' hashes, sorted, a line each. Sorts the list. */
fw_hash fw_gate_suite(const char **hashes, size_t count);
/* Where a cluster stands: in order of this hash. */
fw_hash fw_gate_order(const char *suite, const char *cluster);

/* Pairs of drives of a cluster, or of a slice of it. */
typedef struct fw_gate_pairs {
    uint32_t both, champion, candidate, neither; /* who was clean */
} fw_gate_pairs;
uint32_t fw_gate_pairs_count(const fw_gate_pairs *pairs);
/* Candidate's share less champion's; there is a pair. */
double fw_gate_pairs_difference(const fw_gate_pairs *pairs);

typedef struct fw_gate_part {
    char name[FW_GATE_NAME_MAX];
    fw_gate_pairs pairs;
} fw_gate_part;

typedef struct fw_gate_cluster {
    char name[FW_HASH_HEX + 1];
    fw_gate_pairs pairs;             /* at least one */
    fw_gate_part parts[FW_GATE_SLICES_MAX]; /* (part_count) its slices */
    uint32_t part_count;
} fw_gate_cluster;
/* Adds a pair of drives to a cluster, and to its slice of that name where one is named. */
void fw_gate_cluster_add(fw_gate_cluster *cluster, const char *slice, bool champion, bool candidate);

typedef enum fw_gate_kept { FW_GATE_OPEN, FW_GATE_KEPT, FW_GATE_FORGOTTEN } fw_gate_kept;

typedef struct fw_gate_slice {
    char name[FW_GATE_NAME_MAX];
    fw_gate_pairs pairs;
    uint32_t clusters;
    fw_wager not_worse, worse; /* against mean <= -epsilon, against mean >= -epsilon */
    fw_gate_kept verdict;
} fw_gate_slice;

typedef struct fw_gate_limit_row {
    const char *name, *unit; /* texts that stay */
    double value, bound;
    bool at_least, held;
} fw_gate_limit_row;

typedef struct fw_gate {
    fw_gate_plan plan;
    double alpha_t;
    fw_sequential test;
    uint32_t cluster_count, slice_count, limit_count;
    fw_gate_pairs pairs;
    double sum; /* of observations */
    fw_gate_slice slices[FW_GATE_SLICES_MAX];
    fw_gate_limit_row limits[FW_GATE_LIMITS_MAX];
    json_t *clusters; /* rows for the record; owned */
    json_t *path;     /* (n, log e), every cluster; thinned in the record; owned */
    bool promote;
    char reason[FW_GATE_REASON_MAX];
} fw_gate;

void fw_gate_begin(fw_gate *gate, const fw_gate_plan *plan);
void fw_gate_clear(fw_gate *gate);
/* In the order above. Clusters without a pair are passed over. */
void fw_gate_add(fw_gate *gate, const fw_gate_cluster *cluster);
/* Nothing that comes can promote any more: stop driving. */
bool fw_gate_lost(const fw_gate *gate);
/* A limit: value at most (or at least) bound. A value that is no number does not hold. Texts outlive the gate. */
void fw_gate_limit(fw_gate *gate, const char *name, const char *unit, double value, double bound, bool at_least);
/* Decides. */
void fw_gate_end(fw_gate *gate);
/* Refuses without observations, for a reason of the caller's. */
void fw_gate_refuse(fw_gate *gate, const char *reason);
/* docs/formats/gate-record.md; the caller owns it. NULL without memory. */
json_t *fw_gate_record(const fw_gate *gate);

#endif
