/* plan_parts.h - private to the plan: what plan.c decides and session.c runs.
 *
 *   layout.c   parameters in one vector          plan.c      kernels, fusion, places
 *   convert.c  kernels on values kept as bf16    session.c   arenas, packed parameters, running
 */
#ifndef FW_NN_RUN_PLAN_PARTS_H
#define FW_NN_RUN_PLAN_PARTS_H

#include "nn/run/plan.h"

typedef enum fw_nn_place_kind {
    FW_NN_IN_ARENA,
    FW_NN_IN_PARAMETERS,
    FW_NN_IN_GRADIENTS,
    FW_NN_IN_INPUTS,
    FW_NN_NOWHERE /* inside a fused step */
} fw_nn_place_kind;

/* Where a value's bytes are. */
typedef struct fw_nn_place {
    fw_nn_place_kind kind;
    size_t at; /* bytes in the arena; floats in the vectors; index of the input */
} fw_nn_place;

enum { FW_NN_ALONE = UINT32_MAX };

/* What was decided for a node. */
typedef struct fw_nn_decision {
    fw_nn_choice choice;
    const char *backend;
    uint32_t with;       /* the element-wise node done in the same step, or FW_NN_ALONE */
    bool absorbed;       /* done in another node's step */
    bool converts;       /* its kernel knows fp32 alone: run through convert.h */
    size_t packed_at;    /* bytes, of its parameters in the packed area */
} fw_nn_decision;

typedef struct fw_nn_step {
    uint32_t node;
    const fw_nn_decision *how;
    bool adds;   /* to gradients of parameters */
    bool clears; /* and to sums in the arena, which are zero before it */
    bool begins; /* and is the first step to do so, for each of them */
} fw_nn_step;

struct fw_nn_plan {
    const fw_nn_graph *graph;
    fw_nn_plan_options options;
    fw_nn_layout layout;
    fw_nn_place *places;       /* (value_count) */
    fw_nn_dtype *dtypes;       /* (value_count) as they are kept in this plan */
    fw_nn_decision *decisions; /* (node_count) */
    fw_nn_step *steps; /* (step_count) */
    uint32_t *packs;           /* (pack_count) steps that have parameters to pack */
    bool begins; /* no step is the first for one parameter and a later one for another */
    uint32_t step_count, pack_count;
    size_t values_bytes, scratch_bytes, bound_bytes; /* scratch lies behind the values */
    size_t packed_bytes;
};

static inline size_t fw_nn_round_up(size_t value, size_t to) {
    return (value + to - 1) / to * to;
}

/* The call of node n's step but for data, as the plan decided it. */
void fw_nn_plan_call(const fw_nn_plan *plan, uint32_t n, fw_nn_call *call);
/* Output i of a node's step: with a fusion, what the absorbed node makes. */
fw_nn_value fw_nn_plan_made_by(const fw_nn_plan *plan, uint32_t n, uint32_t i);
/* The second operand of a node absorbed in n's step; FW_NN_NONE: it has none. */
fw_nn_value fw_nn_plan_second(const fw_nn_plan *plan, uint32_t n);

#endif
