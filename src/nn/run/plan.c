#include "nn/run/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "nn/run/arena.h"

typedef enum place_kind { IN_ARENA, IN_PARAMETERS, IN_GRADIENTS, IN_INPUTS, NOWHERE } place_kind;

/* Where a value's bytes are. */
typedef struct place {
    place_kind kind;
    size_t at; /* bytes in the arena; floats in the vectors; index of the input */
} place;

typedef struct step {
    uint32_t node;
    fw_nn_kernel *kernel;
} step;

struct fw_nn_plan {
    const fw_nn_graph *graph;
    fw_nn_plan_options options;
    fw_nn_layout layout;
    place *places; /* (value_count) */
    step *steps;   /* (step_count) */
    uint32_t step_count;
    size_t values_bytes, scratch_bytes, bound_bytes; /* scratch lies behind the values */
};

struct fw_nn_session {
    const fw_nn_plan *plan;
    uint8_t *arena;
    fw_nn_call *calls; /* (step_count) */
    fw_nn_run_args last;
};

/* ---- parameters ---- */

static size_t round_up(size_t value, size_t to) {
    return (value + to - 1) / to * to;
}

fw_status fw_nn_layout_make(const fw_nn_graph *graph, fw_nn_layout *out, fw_error *error) {
    fw_nn_layout layout = {.value_count = graph->value_count};
    layout.offsets = malloc((graph->value_count + 1) * sizeof *layout.offsets);
    if (!layout.offsets) return fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
    for (uint32_t i = 0; i < graph->value_count; i++) {
        const fw_nn_value_info *value = &graph->values[i];
        layout.offsets[i] = SIZE_MAX;
        if (value->kind != FW_NN_PARAMETER) continue;
        layout.offsets[i] = layout.floats;
        layout.floats += round_up(fw_nn_elements(value->shape), 16);
    }
    *out = layout;
    return FW_OK;
}

void fw_nn_layout_clear(fw_nn_layout *layout) {
    free(layout->offsets);
    *layout = (fw_nn_layout){0};
}

void fw_nn_initialise(const fw_nn_graph *graph, const fw_nn_layout *layout, uint64_t seed,
                      float *params) {
    memset(params, 0, layout->floats * sizeof *params);
    for (uint32_t i = 0; i < graph->value_count; i++) {
        const fw_nn_value_info *value = &graph->values[i];
        if (value->kind != FW_NN_PARAMETER || value->init == FW_NN_INIT_ZERO) continue;
        fw_random random = fw_random_named(seed, value->name);
        float *at = params + layout->offsets[i];
        for (size_t n = 0; n < fw_nn_elements(value->shape); n++) {
            if (value->init == FW_NN_INIT_ONE)
                at[n] = 1;
            else if (value->init == FW_NN_INIT_NORMAL)
                at[n] = value->init_scale * fw_random_normal(&random);
            else
                at[n] = value->init_scale * (2 * fw_random_unit(&random) - 1);
        }
    }
}

/* ---- places ---- */

static bool is_alias(const fw_nn_node *node) {
    return node->op == FW_NN_RESHAPE;
}

/* Operators whose output may take the place of their first input: element by element, and their
 * gradient does not need that input again (else it would still be alive). */
static bool may_overwrite(const fw_nn_node *node) {
    switch (node->op) {
    case FW_NN_RELU:
    case FW_NN_GELU:
    case FW_NN_SILU:
    case FW_NN_TANH:
    case FW_NN_SIGMOID:
    case FW_NN_EXP:
    case FW_NN_CLAMP:
    case FW_NN_AFFINE:
    case FW_NN_ADD:
    case FW_NN_SUBTRACT:
    case FW_NN_MULTIPLY: return true;
    default: return false;
    }
}

/* What is found out of the values before they are placed. */
typedef struct survey {
    uint32_t *owner; /* (value_count) the value in whose bytes it lies: itself, or through an alias */
    uint32_t *first, *last; /* steps, of owners */
    bool *used;
    fw_nn_block *blocks; /* (block_count) */
    uint32_t *block_of;  /* (value_count) of owners in the arena */
    uint32_t block_count;
} survey;

static void survey_clear(survey *s) {
    free(s->owner);
    free(s->first);
    free(s->last);
    free(s->used);
    free(s->blocks);
    free(s->block_of);
}

static fw_status survey_make(uint32_t values, survey *s, fw_error *error) {
    *s = (survey){.owner = calloc(values + 1, sizeof *s->owner),
                  .first = calloc(values + 1, sizeof *s->first),
                  .last = calloc(values + 1, sizeof *s->last),
                  .used = calloc(values + 1, sizeof *s->used),
                  .blocks = calloc(values + 1, sizeof *s->blocks),
                  .block_of = calloc(values + 1, sizeof *s->block_of)};
    if (s->owner && s->first && s->last && s->used && s->blocks && s->block_of) return FW_OK;
    survey_clear(s);
    return fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
}

static void keep(const fw_nn_plan *plan, survey *s, fw_nn_value value) {
    s->used[value] = true;
    s->last[s->owner[value]] = plan->graph->node_count;
}

/* Which nodes are needed for what is kept, from the end to the start. */
static void mark_used(const fw_nn_plan *plan, survey *s) {
    const fw_nn_graph *g = plan->graph;
    for (uint32_t i = 0; i < g->output_count; i++) keep(plan, s, g->outputs[i].value);
    for (uint32_t i = 0; i < plan->options.keep_count; i++) keep(plan, s, plan->options.keep[i]);
    for (uint32_t i = 0; i < plan->options.gradient_count; i++)
        s->used[plan->options.gradients[i].gradient] = true;
    for (uint32_t n = g->node_count; n-- > 0;) {
        const fw_nn_node *node = &g->nodes[n];
        bool needed = false;
        for (uint32_t i = 0; i < node->output_count; i++) needed |= s->used[node->outputs[i]];
        for (uint32_t i = 0; needed && i < node->input_count; i++) s->used[node->inputs[i]] = true;
    }
}

static bool node_used(const fw_nn_plan *plan, const survey *s, uint32_t n) {
    const fw_nn_node *node = &plan->graph->nodes[n];
    for (uint32_t i = 0; i < node->output_count; i++)
        if (s->used[node->outputs[i]]) return true;
    return false;
}

static void find_lives(const fw_nn_plan *plan, survey *s) {
    const fw_nn_graph *g = plan->graph;
    for (uint32_t n = 0; n < g->node_count; n++) {
        const fw_nn_node *node = &g->nodes[n];
        if (!node_used(plan, s, n)) continue;
        for (uint32_t i = 0; i < node->input_count; i++) {
            uint32_t owner = s->owner[node->inputs[i]];
            if (s->last[owner] < n) s->last[owner] = n;
        }
        for (uint32_t i = 0; i < node->output_count; i++) {
            uint32_t owner = s->owner[node->outputs[i]];
            if (owner == node->outputs[i]) s->first[owner] = n;
            if (s->last[owner] < n) s->last[owner] = n;
        }
    }
}

static size_t value_bytes(const fw_nn_plan *plan, uint32_t value) {
    const fw_nn_value_info *info = &plan->graph->values[value];
    size_t rows = info->batched ? plan->options.rows : 1;
    return round_up(rows * fw_nn_elements(info->shape) * fw_nn_dtype_bytes(info->dtype),
                    FW_NN_ALIGN_BYTES);
}

/* The output of an element-wise node lies in its input's bytes when this is the input's last use. */
static bool try_overwrite(const fw_nn_plan *plan, survey *s, uint32_t n) {
    const fw_nn_node *node = &plan->graph->nodes[n];
    if (!may_overwrite(node)) return false;
    uint32_t input = s->owner[node->inputs[0]], output = node->outputs[0];
    bool again = node->input_count > 1 && s->owner[node->inputs[1]] == input;
    if (again || plan->places[input].kind != IN_ARENA || s->last[input] != n ||
        plan->places[output].kind != IN_ARENA ||
        value_bytes(plan, input) != value_bytes(plan, output))
        return false;
    uint32_t block = s->block_of[input];
    s->block_of[output] = block;
    if (s->blocks[block].last < s->last[output]) s->blocks[block].last = s->last[output];
    /* later nodes see the output's own life; the input's owner stays what it was */
    return true;
}

static void make_blocks(const fw_nn_plan *plan, survey *s) {
    const fw_nn_graph *g = plan->graph;
    for (uint32_t n = 0; n < g->node_count; n++) {
        if (!node_used(plan, s, n) || try_overwrite(plan, s, n)) continue;
        const fw_nn_node *node = &g->nodes[n];
        for (uint32_t i = 0; i < node->output_count; i++) {
            uint32_t value = node->outputs[i];
            if (s->owner[value] != value || plan->places[value].kind != IN_ARENA) continue;
            s->block_of[value] = s->block_count;
            s->blocks[s->block_count++] = (fw_nn_block){
                .first = s->first[value], .last = s->last[value], .bytes = value_bytes(plan, value)};
        }
    }
}

static void name_places(fw_nn_plan *plan, survey *s) {
    const fw_nn_graph *g = plan->graph;
    size_t inputs = 0;
    for (uint32_t i = 0; i < g->value_count; i++) {
        const fw_nn_value_info *value = &g->values[i];
        s->owner[i] = i;
        plan->places[i] = (place){.kind = IN_ARENA};
        if (value->kind == FW_NN_PARAMETER)
            plan->places[i] = (place){IN_PARAMETERS, plan->layout.offsets[i]};
        else if (value->kind == FW_NN_INPUT)
            plan->places[i] = (place){IN_INPUTS, inputs++};
        else if (is_alias(&g->nodes[value->node]))
            s->owner[i] = s->owner[g->nodes[value->node].inputs[0]];
    }
    for (uint32_t i = 0; i < plan->options.gradient_count; i++) {
        const fw_nn_gradient *one = &plan->options.gradients[i];
        plan->places[one->gradient] =
            (place){IN_GRADIENTS, plan->layout.offsets[one->parameter]};
    }
}

static fw_status place_values(fw_nn_plan *plan, survey *s, fw_error *error) {
    const fw_nn_graph *g = plan->graph;
    name_places(plan, s);
    mark_used(plan, s);
    find_lives(plan, s);
    make_blocks(plan, s);
    FW_TRY(fw_nn_arena_place(s->blocks, s->block_count, g->node_count + 1, &plan->values_bytes,
                             &plan->bound_bytes, error));
    for (uint32_t i = 0; i < g->value_count; i++) {
        uint32_t owner = s->owner[i];
        if (owner != i) {
            plan->places[i] = plan->places[owner]; /* owners come before their aliases */
        } else if (plan->places[i].kind == IN_ARENA) {
            if (s->used[i] || (g->values[i].kind == FW_NN_MADE &&
                               node_used(plan, s, g->values[i].node)))
                plan->places[i].at = s->blocks[s->block_of[i]].offset;
            else
                plan->places[i].kind = NOWHERE;
        }
    }
    return FW_OK;
}

/* ---- steps ---- */

static void fill_call(const fw_nn_plan *plan, const fw_nn_node *node, fw_nn_call *call) {
    *call = (fw_nn_call){.attr = &node->attr,
                         .rows = plan->options.rows,
                         .training = plan->options.training,
                         .input_count = node->input_count,
                         .output_count = node->output_count};
    for (uint32_t i = 0; i < node->input_count; i++) {
        const fw_nn_value_info *value = &plan->graph->values[node->inputs[i]];
        call->in[i] = (fw_nn_view){NULL, value->dtype, value->batched, value->shape};
    }
    for (uint32_t i = 0; i < node->output_count; i++) {
        const fw_nn_value_info *value = &plan->graph->values[node->outputs[i]];
        call->out[i] = (fw_nn_view){NULL, value->dtype, value->batched, value->shape};
        call->accumulate |= plan->places[node->outputs[i]].kind == IN_GRADIENTS;
    }
}

static fw_nn_kernel *choose_kernel(const fw_nn_plan *plan, const fw_nn_node *node) {
    const fw_nn_backend *const *backend = plan->options.backends;
    for (; backend && *backend; backend++) {
        fw_nn_kernel *kernel =
            (*backend)->choose(plan->graph, node, plan->options.rows, plan->options.training);
        if (kernel) return kernel;
    }
    return fw_nn_op_info_of(node->op)->reference;
}

static fw_status make_steps(fw_nn_plan *plan, const survey *s, fw_error *error) {
    const fw_nn_graph *g = plan->graph;
    plan->steps = calloc(g->node_count + 1, sizeof *plan->steps);
    if (!plan->steps) return fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
    for (uint32_t n = 0; n < g->node_count; n++) {
        const fw_nn_node *node = &g->nodes[n];
        const fw_nn_op_info *info = fw_nn_op_info_of(node->op);
        fw_nn_call call;
        if (!node_used(plan, s, n) || is_alias(node)) continue;
        plan->steps[plan->step_count++] = (step){n, choose_kernel(plan, node)};
        fill_call(plan, node, &call);
        size_t scratch = info->scratch_bytes ? info->scratch_bytes(&call) : 0;
        if (scratch > plan->scratch_bytes) plan->scratch_bytes = scratch;
    }
    return FW_OK;
}

static fw_status check_options(const fw_nn_graph *graph, const fw_nn_plan_options *o,
                               fw_error *error) {
    FW_TRY(fw_nn_graph_check(graph, error));
    if (o->rows == 0 || o->rows > FW_NN_ELEMENTS_MAX)
        return fw_fail(error, FW_INVALID, "a plan is for 1 to %d examples", FW_NN_ELEMENTS_MAX);
    for (uint32_t i = 0; i < o->keep_count; i++)
        if (o->keep[i] >= graph->value_count)
            return fw_fail(error, FW_INVALID, "a value to keep is not in the network");
    for (uint32_t i = 0; i < o->gradient_count; i++) {
        const fw_nn_gradient *one = &o->gradients[i];
        if (one->parameter >= graph->value_count || one->gradient >= graph->value_count ||
            graph->values[one->parameter].kind != FW_NN_PARAMETER ||
            graph->values[one->gradient].kind != FW_NN_MADE)
            return fw_fail(error, FW_INVALID, "a gradient is not one of a parameter");
    }
    return FW_OK;
}

fw_status fw_nn_plan_make(const fw_nn_graph *graph, const fw_nn_plan_options *options,
                          fw_nn_plan **out, fw_error *error) {
    survey s;
    FW_TRY(check_options(graph, options, error));
    FW_TRY(survey_make(graph->value_count, &s, error));
    fw_nn_plan *plan = calloc(1, sizeof *plan);
    fw_status status = plan ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
    if (status == FW_OK) {
        plan->graph = graph;
        plan->options = *options;
        plan->places = calloc(graph->value_count + 1, sizeof *plan->places);
        if (!plan->places) status = fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
    }
    if (status == FW_OK) status = fw_nn_layout_make(graph, &plan->layout, error);
    if (status == FW_OK) status = place_values(plan, &s, error);
    if (status == FW_OK) status = make_steps(plan, &s, error);
    survey_clear(&s);
    if (status != FW_OK) {
        fw_nn_plan_free(plan);
        return status;
    }
    *out = plan;
    return FW_OK;
}

void fw_nn_plan_free(fw_nn_plan *plan) {
    if (!plan) return;
    fw_nn_layout_clear(&plan->layout);
    free(plan->places);
    free(plan->steps);
    free(plan);
}

size_t fw_nn_plan_arena_bytes(const fw_nn_plan *plan) {
    return plan->values_bytes + plan->scratch_bytes;
}

size_t fw_nn_plan_bound_bytes(const fw_nn_plan *plan) {
    return plan->bound_bytes + plan->scratch_bytes;
}

const fw_nn_layout *fw_nn_plan_layout(const fw_nn_plan *plan) {
    return &plan->layout;
}

const fw_nn_node *fw_nn_plan_step(const fw_nn_plan *plan, uint32_t index) {
    return index < plan->step_count ? &plan->graph->nodes[plan->steps[index].node] : NULL;
}

/* ---- sessions ---- */

fw_status fw_nn_session_new(const fw_nn_plan *plan, fw_nn_session **out, fw_error *error) {
    fw_nn_session *session = calloc(1, sizeof *session);
    if (!session) return fw_fail(error, FW_NO_MEMORY, "no memory for a session");
    size_t bytes = round_up(fw_nn_plan_arena_bytes(plan) + 1, FW_NN_ALIGN_BYTES);
    session->plan = plan;
    session->arena = aligned_alloc(FW_NN_ALIGN_BYTES, bytes);
    session->calls = calloc(plan->step_count + 1, sizeof *session->calls);
    if (!session->arena || !session->calls) {
        fw_nn_session_free(session);
        return fw_fail(error, FW_NO_MEMORY, "no memory for a session: %zu bytes", bytes);
    }
    memset(session->arena, 0, bytes);
    for (uint32_t i = 0; i < plan->step_count; i++) {
        fill_call(plan, &plan->graph->nodes[plan->steps[i].node], &session->calls[i]);
        session->calls[i].scratch = session->arena + plan->values_bytes;
    }
    *out = session;
    return FW_OK;
}

void fw_nn_session_free(fw_nn_session *session) {
    if (!session) return;
    free(session->arena);
    free(session->calls);
    free(session);
}

static void *address(const fw_nn_session *session, const fw_nn_run_args *args, fw_nn_value value) {
    const place *at = &session->plan->places[value];
    switch (at->kind) {
    case IN_ARENA: return session->arena + at->at;
    case IN_PARAMETERS: return (void *)(uintptr_t)(args->parameters + at->at);
    case IN_GRADIENTS: return args->gradients + at->at;
    case IN_INPUTS: return (void *)(uintptr_t)args->inputs[at->at];
    default: return NULL;
    }
}

void fw_nn_session_run(fw_nn_session *session, const fw_nn_run_args *args) {
    const fw_nn_plan *plan = session->plan;
    FW_ASSERT(args->rows > 0 && args->rows <= plan->options.rows);
    FW_ASSERT(plan->options.gradient_count == 0 || args->gradients);
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const fw_nn_node *node = &plan->graph->nodes[plan->steps[i].node];
        fw_nn_call *call = &session->calls[i];
        call->rows = args->rows;
        call->first_row = args->first_row;
        call->seed = args->seed;
        for (uint32_t k = 0; k < node->input_count; k++)
            call->in[k].data = address(session, args, node->inputs[k]);
        for (uint32_t k = 0; k < node->output_count; k++)
            call->out[k].data = address(session, args, node->outputs[k]);
        plan->steps[i].kernel(call);
        if (args->after) args->after(args->after_self, i, call);
    }
    session->last = *args;
}

const void *fw_nn_session_value(const fw_nn_session *session, fw_nn_value value) {
    return address(session, &session->last, value);
}
