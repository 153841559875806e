#include "nn/run/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "nn/run/arena.h"
#include "nn/run/memory.h"

typedef enum place_kind { IN_ARENA, IN_PARAMETERS, IN_GRADIENTS, IN_INPUTS, NOWHERE } place_kind;

/* Where a value's bytes are. */
typedef struct place {
    place_kind kind;
    size_t at; /* bytes in the arena; floats in the vectors; index of the input */
} place;

enum { ALONE = UINT32_MAX };

/* What was decided for a node. */
typedef struct decision {
    fw_nn_choice choice;
    const char *backend;
    uint32_t with; /* the element-wise node done in the same step, or ALONE */
    bool absorbed; /* done in another node's step */
} decision;

typedef struct step {
    uint32_t node;
    const decision *how;
} step;

struct fw_nn_plan {
    const fw_nn_graph *graph;
    fw_nn_plan_options options;
    fw_nn_layout layout;
    place *places; /* (value_count) */
    decision *decisions; /* (node_count) */
    step *steps;         /* (step_count) */
    uint32_t step_count;
    size_t values_bytes, scratch_bytes, bound_bytes; /* scratch lies behind the values */
};

struct fw_nn_session {
    const fw_nn_plan *plan;
    uint8_t *arena;
    fw_nn_call *calls; /* (step_count); close() of each step is due on own */
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

/* Output i of a node's step: with a fusion, what the absorbed node makes. */
static fw_nn_value made_by(const fw_nn_plan *plan, uint32_t n, uint32_t i) {
    uint32_t with = plan->decisions[n].with;
    return plan->graph->nodes[i == 0 && with != ALONE ? with : n].outputs[i];
}

static void read_at(survey *s, fw_nn_value value, uint32_t n) {
    uint32_t owner = s->owner[value];
    if (s->last[owner] < n) s->last[owner] = n;
}

static void find_lives(const fw_nn_plan *plan, survey *s) {
    const fw_nn_graph *g = plan->graph;
    for (uint32_t n = 0; n < g->node_count; n++) {
        const fw_nn_node *node = &g->nodes[n];
        uint32_t with = plan->decisions[n].with;
        if (!node_used(plan, s, n) || plan->decisions[n].absorbed) continue;
        for (uint32_t i = 0; i < node->input_count; i++) read_at(s, node->inputs[i], n);
        for (uint32_t i = 0; with != ALONE && i < g->nodes[with].input_count; i++)
            if (g->nodes[with].inputs[i] != node->outputs[0]) read_at(s, g->nodes[with].inputs[i], n);
        for (uint32_t i = 0; i < node->output_count; i++) {
            fw_nn_value value = made_by(plan, n, i);
            if (s->owner[value] == value) s->first[value] = n;
            read_at(s, value, n);
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
    if (!fw_nn_op_info_of(node->op)->in_place) return false;
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
        if (!node_used(plan, s, n) || plan->decisions[n].absorbed || try_overwrite(plan, s, n))
            continue;
        for (uint32_t i = 0; i < g->nodes[n].output_count; i++) {
            fw_nn_value value = made_by(plan, n, i);
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

/* ---- steps ---- */

static fw_nn_view view_of(const fw_nn_plan *plan, fw_nn_value value) {
    const fw_nn_value_info *info = &plan->graph->values[value];
    return (fw_nn_view){NULL, info->dtype, info->batched, info->shape};
}

/* The second operand of a node absorbed in n's step; FW_NN_NONE: it has none. */
static fw_nn_value second_operand(const fw_nn_plan *plan, uint32_t n) {
    const fw_nn_node *second = &plan->graph->nodes[plan->decisions[n].with];
    if (second->input_count == 1) return FW_NN_NONE;
    return second->inputs[second->inputs[0] == plan->graph->nodes[n].outputs[0] ? 1 : 0];
}

static void fill_call(const fw_nn_plan *plan, uint32_t n, fw_nn_call *call) {
    const fw_nn_node *node = &plan->graph->nodes[n];
    *call = (fw_nn_call){.attr = &node->attr,
                         .rows = plan->options.rows,
                         .training = plan->options.training,
                         .input_count = node->input_count,
                         .output_count = node->output_count};
    for (uint32_t i = 0; i < node->input_count; i++)
        call->in[i] = view_of(plan, node->inputs[i]);
    for (uint32_t i = 0; i < node->output_count; i++) {
        call->out[i] = view_of(plan, node->outputs[i]);
        call->accumulate |= plan->places[node->outputs[i]].kind == IN_GRADIENTS;
    }
    if (plan->decisions[n].with == ALONE) return;
    fw_nn_value other = second_operand(plan, n);
    call->fused = plan->graph->nodes[plan->decisions[n].with].op;
    if (other != FW_NN_NONE) call->with = view_of(plan, other);
}

/* Asks the backends in their order; *choice.kernel stays NULL when none takes it. */
static fw_status ask(const fw_nn_plan *plan, const fw_nn_node *node, const fw_nn_call *call,
                     decision *out, fw_error *error) {
    const fw_nn_backend *const *backend = plan->options.backends;
    for (; backend && *backend && !out->choice.kernel; backend++) {
        FW_TRY((*backend)->choose(node, call, &out->choice, error));
        out->backend = (*backend)->name;
    }
    return FW_OK;
}

/* ---- fusion ---- */

/* The only reader of a value among the nodes that are needed; ALONE: none or several. */
static uint32_t only_reader(const fw_nn_plan *plan, const survey *s, uint32_t n) {
    const fw_nn_graph *g = plan->graph;
    fw_nn_value value = g->nodes[n].outputs[0];
    uint32_t reader = ALONE, reads = 0;
    for (uint32_t i = n + 1; i < g->node_count && reads < 2; i++) {
        if (!node_used(plan, s, i)) continue;
        for (uint32_t k = 0; k < g->nodes[i].input_count; k++)
            if (g->nodes[i].inputs[k] == value) reads++, reader = i;
    }
    return reads == 1 ? reader : ALONE;
}

static bool is_kept(const fw_nn_plan *plan, fw_nn_value value) {
    const fw_nn_graph *g = plan->graph;
    bool kept = plan->places[value].kind != IN_ARENA;
    for (uint32_t i = 0; i < g->output_count; i++) kept |= g->outputs[i].value == value;
    for (uint32_t i = 0; i < plan->options.keep_count; i++) kept |= plan->options.keep[i] == value;
    return kept;
}

/* Whether node `reader` may be done in the step of node n, as `call` then says. */
static bool may_fuse(const fw_nn_plan *plan, const survey *s, uint32_t n, uint32_t reader,
                     fw_nn_call *call) {
    const fw_nn_graph *g = plan->graph;
    const fw_nn_node *second = &g->nodes[reader];
    fw_nn_value value = g->nodes[n].outputs[0], made = second->outputs[0];
    if (!fw_nn_op_info_of(second->op)->in_place || plan->places[made].kind != IN_ARENA ||
        !fw_nn_shape_equal(g->values[value].shape, g->values[made].shape) ||
        g->values[value].batched != g->values[made].batched)
        return false;
    call->fused = second->op;
    if (second->input_count == 1) return true;
    fw_nn_value other = second->inputs[second->inputs[0] == value ? 1 : 0];
    if (second->inputs[0] != value && second->op != FW_NN_ADD) return false;
    const fw_nn_value_info *info = &g->values[other], *owner = &g->values[s->owner[other]];
    call->with = (fw_nn_view){NULL, info->dtype, info->batched, info->shape};
    return owner->kind != FW_NN_MADE || owner->node < n;
}

static fw_status decide(fw_nn_plan *plan, const survey *s, uint32_t n, fw_error *error) {
    const fw_nn_node *node = &plan->graph->nodes[n];
    const fw_nn_op_info *info = fw_nn_op_info_of(node->op);
    decision *own = &plan->decisions[n];
    fw_nn_call call;
    fill_call(plan, n, &call);
    uint32_t reader = is_kept(plan, node->outputs[0]) ? ALONE : only_reader(plan, s, n);
    if (reader != ALONE && may_fuse(plan, s, n, reader, &call)) {
        FW_TRY(ask(plan, node, &call, own, error));
        if (own->choice.kernel) {
            own->with = reader;
            plan->decisions[reader].absorbed = true;
            return FW_OK;
        }
    }
    fill_call(plan, n, &call);
    FW_TRY(ask(plan, node, &call, own, error));
    if (own->choice.kernel) return FW_OK;
    own->choice.kernel = info->reference;
    own->choice.scratch_bytes = info->scratch_bytes ? info->scratch_bytes(&call) : 0;
    own->backend = "reference";
    return FW_OK;
}

static fw_status make_decisions(fw_nn_plan *plan, const survey *s, fw_error *error) {
    const fw_nn_graph *g = plan->graph;
    plan->decisions = calloc(g->node_count + 1, sizeof *plan->decisions);
    if (!plan->decisions) return fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
    for (uint32_t n = 0; n < g->node_count; n++) plan->decisions[n].with = ALONE;
    for (uint32_t n = 0; n < g->node_count; n++)
        if (node_used(plan, s, n) && !is_alias(&g->nodes[n]) && !plan->decisions[n].absorbed)
            FW_TRY(decide(plan, s, n, error));
    return FW_OK;
}

/* Whether a step writes it. */
static bool exists(const fw_nn_plan *plan, const survey *s, fw_nn_value value) {
    const fw_nn_value_info *info = &plan->graph->values[value];
    if (info->kind != FW_NN_MADE || !node_used(plan, s, info->node)) return false;
    return info->output != 0 || plan->decisions[info->node].with == ALONE;
}

static fw_status place_values(fw_nn_plan *plan, survey *s, fw_error *error) {
    const fw_nn_graph *g = plan->graph;
    find_lives(plan, s);
    make_blocks(plan, s);
    FW_TRY(fw_nn_arena_place(s->blocks, s->block_count, g->node_count + 1, &plan->values_bytes,
                             &plan->bound_bytes, error));
    for (uint32_t i = 0; i < g->value_count; i++) {
        uint32_t owner = s->owner[i];
        if (owner != i) {
            plan->places[i] = plan->places[owner]; /* owners come before their aliases */
        } else if (plan->places[i].kind == IN_ARENA) {
            if (exists(plan, s, i))
                plan->places[i].at = s->blocks[s->block_of[i]].offset;
            else
                plan->places[i].kind = NOWHERE;
        }
    }
    return FW_OK;
}

static fw_status make_steps(fw_nn_plan *plan, const survey *s, fw_error *error) {
    const fw_nn_graph *g = plan->graph;
    plan->steps = calloc(g->node_count + 1, sizeof *plan->steps);
    if (!plan->steps) return fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
    for (uint32_t n = 0; n < g->node_count; n++) {
        const decision *how = &plan->decisions[n];
        if (!node_used(plan, s, n) || is_alias(&g->nodes[n]) || how->absorbed) continue;
        plan->steps[plan->step_count++] = (step){n, how};
        size_t scratch = round_up(how->choice.scratch_bytes, FW_NN_ALIGN_BYTES);
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
    if (status == FW_OK) {
        name_places(plan, &s);
        mark_used(plan, &s);
        status = make_decisions(plan, &s, error);
    }
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
    for (uint32_t i = 0; plan->decisions && i < plan->graph->node_count; i++) {
        const fw_nn_choice *choice = &plan->decisions[i].choice;
        if (choice->release) choice->release(choice->prepared);
    }
    free(plan->decisions);
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

const char *fw_nn_plan_backend(const fw_nn_plan *plan, uint32_t index) {
    return index < plan->step_count ? plan->steps[index].how->backend : NULL;
}

/* ---- sessions ---- */

fw_status fw_nn_session_new(const fw_nn_plan *plan, fw_nn_session **out, fw_error *error) {
    fw_nn_session *session = calloc(1, sizeof *session);
    if (!session) return fw_fail(error, FW_NO_MEMORY, "no memory for a session");
    size_t bytes = round_up(fw_nn_plan_arena_bytes(plan) + 1, FW_NN_ALIGN_BYTES);
    session->plan = plan;
    session->arena = fw_nn_zeros(bytes);
    session->calls = calloc(plan->step_count + 1, sizeof *session->calls);
    if (!session->arena || !session->calls) {
        fw_nn_session_free(session);
        return fw_fail(error, FW_NO_MEMORY, "no memory for a session: %zu bytes", bytes);
    }
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const fw_nn_choice *choice = &plan->steps[i].how->choice;
        fw_nn_call *call = &session->calls[i];
        fill_call(plan, plan->steps[i].node, call);
        call->scratch = session->arena + plan->values_bytes;
        call->prepared = choice->prepared;
        fw_status status = choice->open ? choice->open(choice->prepared, &call->own, error) : FW_OK;
        if (status != FW_OK) {
            fw_nn_session_free(session);
            return status;
        }
    }
    *out = session;
    return FW_OK;
}

void fw_nn_session_free(fw_nn_session *session) {
    if (!session) return;
    for (uint32_t i = 0; session->calls && i < session->plan->step_count; i++) {
        const fw_nn_choice *choice = &session->plan->steps[i].how->choice;
        if (choice->close && session->calls[i].own) choice->close(session->calls[i].own);
    }
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
        uint32_t n = plan->steps[i].node;
        const decision *how = plan->steps[i].how;
        const fw_nn_node *node = &plan->graph->nodes[n];
        fw_nn_call *call = &session->calls[i];
        call->rows = args->rows;
        call->first_row = args->first_row;
        call->seed = args->seed;
        for (uint32_t k = 0; k < node->input_count; k++)
            call->in[k].data = address(session, args, node->inputs[k]);
        for (uint32_t k = 0; k < node->output_count; k++)
            call->out[k].data = address(session, args, made_by(plan, n, k));
        if (how->with != ALONE && plan->graph->nodes[how->with].input_count > 1)
            call->with.data = address(session, args, second_operand(plan, n));
        how->choice.kernel(call);
        if (args->after) args->after(args->after_self, i, call);
    }
    session->last = *args;
}

const void *fw_nn_session_value(const fw_nn_session *session, fw_nn_value value) {
    return address(session, &session->last, value);
}
