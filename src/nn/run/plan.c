#include "nn/run/plan.h"

#include <stdlib.h>
#include <string.h>

#include "nn/run/arena.h"
#include "nn/run/convert.h"
#include "nn/run/plan_parts.h"

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

fw_nn_value fw_nn_plan_made_by(const fw_nn_plan *plan, uint32_t n, uint32_t i) {
    uint32_t with = plan->decisions[n].with;
    return plan->graph->nodes[i == 0 && with != FW_NN_ALONE ? with : n].outputs[i];
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
        for (uint32_t i = 0; with != FW_NN_ALONE && i < g->nodes[with].input_count; i++)
            if (g->nodes[with].inputs[i] != node->outputs[0]) read_at(s, g->nodes[with].inputs[i], n);
        for (uint32_t i = 0; i < node->output_count; i++) {
            fw_nn_value value = fw_nn_plan_made_by(plan, n, i);
            if (s->owner[value] == value) s->first[value] = n;
            read_at(s, value, n);
        }
    }
}

static size_t value_bytes(const fw_nn_plan *plan, uint32_t value) {
    const fw_nn_value_info *info = &plan->graph->values[value];
    size_t rows = info->batched ? plan->options.rows : 1;
    return fw_nn_round_up(rows * fw_nn_elements(info->shape) * fw_nn_dtype_bytes(plan->dtypes[value]),
                    FW_NN_ALIGN_BYTES);
}

/* The output of an element-wise node lies in its input's bytes when this is the input's last use. */
static bool try_overwrite(const fw_nn_plan *plan, survey *s, uint32_t n) {
    const fw_nn_node *node = &plan->graph->nodes[n];
    if (!fw_nn_op_info_of(node->op)->in_place) return false;
    uint32_t input = s->owner[node->inputs[0]], output = node->outputs[0];
    bool again = node->input_count > 1 && s->owner[node->inputs[1]] == input;
    if (again || plan->places[input].kind != FW_NN_IN_ARENA || s->last[input] != n ||
        plan->places[output].kind != FW_NN_IN_ARENA ||
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
            fw_nn_value value = fw_nn_plan_made_by(plan, n, i);
            if (s->owner[value] != value || plan->places[value].kind != FW_NN_IN_ARENA) continue;
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
        plan->places[i] = (fw_nn_place){.kind = FW_NN_IN_ARENA};
        if (value->kind == FW_NN_PARAMETER)
            plan->places[i] = (fw_nn_place){FW_NN_IN_PARAMETERS, plan->layout.offsets[i]};
        else if (value->kind == FW_NN_INPUT)
            plan->places[i] = (fw_nn_place){FW_NN_IN_INPUTS, inputs++};
        else if (is_alias(&g->nodes[value->node]))
            s->owner[i] = s->owner[g->nodes[value->node].inputs[0]];
    }
    for (uint32_t i = 0; i < plan->options.gradient_count; i++) {
        const fw_nn_gradient *one = &plan->options.gradients[i];
        plan->places[one->gradient] =
            (fw_nn_place){FW_NN_IN_GRADIENTS, plan->layout.offsets[one->parameter]};
    }
}

/* ---- steps ---- */

static fw_nn_view view_of(const fw_nn_plan *plan, fw_nn_value value) {
    const fw_nn_value_info *info = &plan->graph->values[value];
    bool parameter = info->kind == FW_NN_PARAMETER;
    return (fw_nn_view){.dtype = plan->dtypes[value],
                        .batched = info->batched,
                        .shape = info->shape,
                        .packable = parameter && plan->options.pack,
                        .range = plan->options.ranges ? plan->options.ranges[value] : 0};
}

fw_nn_value fw_nn_plan_second(const fw_nn_plan *plan, uint32_t n) {
    const fw_nn_node *second = &plan->graph->nodes[plan->decisions[n].with];
    if (second->input_count == 1) return FW_NN_NONE;
    return second->inputs[second->inputs[0] == plan->graph->nodes[n].outputs[0] ? 1 : 0];
}

void fw_nn_plan_call(const fw_nn_plan *plan, uint32_t n, fw_nn_call *call) {
    const fw_nn_node *node = &plan->graph->nodes[n];
    *call = (fw_nn_call){.attr = &node->attr,
                         .rows = plan->options.rows,
                         .training = plan->options.training,
                         .store = plan->options.store,
                         .input_count = node->input_count,
                         .output_count = node->output_count};
    for (uint32_t i = 0; i < node->input_count; i++)
        call->in[i] = view_of(plan, node->inputs[i]);
    for (uint32_t i = 0; i < node->output_count; i++) {
        call->out[i] = view_of(plan, fw_nn_plan_made_by(plan, n, i));
        call->accumulate |= plan->places[node->outputs[i]].kind == FW_NN_IN_GRADIENTS;
    }
    if (plan->decisions[n].with == FW_NN_ALONE) return;
    fw_nn_value other = fw_nn_plan_second(plan, n);
    call->fused = plan->graph->nodes[plan->decisions[n].with].op;
    if (other != FW_NN_NONE) call->with = view_of(plan, other);
}

/* Asks the backends in their order; *choice.kernel stays NULL when none takes it. */
static fw_status ask(const fw_nn_plan *plan, const fw_nn_node *node, const fw_nn_call *call,
                     fw_nn_decision *out, fw_error *error) {
    const fw_nn_backend *const *backend = plan->options.backends;
    const fw_nn_call wide = fw_nn_widened(call);
    for (; backend && *backend && !out->choice.kernel; backend++) {
        bool knows = (*backend)->bf16;
        FW_TRY((*backend)->choose(node, knows ? call : &wide, &out->choice, error));
        out->backend = (*backend)->name;
        out->converts = !knows && fw_nn_converts(call);
    }
    return FW_OK;
}

/* ---- fusion ---- */

/* The only reader of a value among the nodes that are needed; FW_NN_ALONE: none or several. */
static uint32_t only_reader(const fw_nn_plan *plan, const survey *s, uint32_t n) {
    const fw_nn_graph *g = plan->graph;
    fw_nn_value value = g->nodes[n].outputs[0];
    uint32_t reader = FW_NN_ALONE, reads = 0;
    for (uint32_t i = n + 1; i < g->node_count && reads < 2; i++) {
        if (!node_used(plan, s, i)) continue;
        for (uint32_t k = 0; k < g->nodes[i].input_count; k++)
            if (g->nodes[i].inputs[k] == value) reads++, reader = i;
    }
    return reads == 1 ? reader : FW_NN_ALONE;
}

static bool is_kept(const fw_nn_plan *plan, fw_nn_value value) {
    const fw_nn_graph *g = plan->graph;
    bool kept = plan->places[value].kind != FW_NN_IN_ARENA;
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
    if (!fw_nn_op_info_of(second->op)->in_place || plan->places[made].kind != FW_NN_IN_ARENA ||
        !fw_nn_shape_equal(g->values[value].shape, g->values[made].shape) ||
        g->values[value].batched != g->values[made].batched)
        return false;
    call->fused = second->op;
    call->out[0] = view_of(plan, made); /* which may be kept otherwise than the value between them */
    if (second->input_count == 1) return true;
    fw_nn_value other = second->inputs[second->inputs[0] == value ? 1 : 0];
    if (second->inputs[0] != value && second->op != FW_NN_ADD) return false;
    const fw_nn_value_info *owner = &g->values[s->owner[other]];
    call->with = view_of(plan, other);
    return owner->kind != FW_NN_MADE || owner->node < n;
}

/* Whether a value may be kept as bf16: an array of an example, between two nodes. What forward nodes
 * make beside their result (statistics, cells) stays fp32. */
static bool may_be_bf16(const fw_nn_plan *plan, fw_nn_value value) {
    const fw_nn_value_info *info = &plan->graph->values[value];
    if (info->kind != FW_NN_MADE || info->dtype != FW_NN_F32 || !info->batched) return false;
    bool beside = plan->graph->nodes[info->node].op < FW_NN_GRADIENT_OPS && info->output > 0;
    return !beside && plan->places[value].kind == FW_NN_IN_ARENA && fw_nn_elements(info->shape) > 1;
}

static void name_dtypes(fw_nn_plan *plan, const survey *s) {
    const fw_nn_graph *g = plan->graph;
    for (uint32_t i = 0; i < g->value_count; i++) {
        bool narrow = plan->options.store == FW_NN_BF16 && may_be_bf16(plan, i);
        plan->dtypes[i] = narrow ? FW_NN_BF16 : g->values[i].dtype;
    }
    for (uint32_t i = 0; i < g->value_count; i++)
        if (plan->dtypes[i] == FW_NN_BF16 && is_kept(plan, i)) plan->dtypes[s->owner[i]] = FW_NN_F32;
    for (uint32_t i = 0; i < g->value_count; i++) plan->dtypes[i] = plan->dtypes[s->owner[i]];
}

static fw_status decide(fw_nn_plan *plan, const survey *s, uint32_t n, fw_error *error) {
    const fw_nn_node *node = &plan->graph->nodes[n];
    const fw_nn_op_info *info = fw_nn_op_info_of(node->op);
    fw_nn_decision *own = &plan->decisions[n];
    fw_nn_call call;
    fw_nn_plan_call(plan, n, &call);
    uint32_t reader = is_kept(plan, node->outputs[0]) ? FW_NN_ALONE : only_reader(plan, s, n);
    if (reader != FW_NN_ALONE && may_fuse(plan, s, n, reader, &call)) {
        FW_TRY(ask(plan, node, &call, own, error));
        if (own->choice.kernel) {
            own->with = reader;
            plan->decisions[reader].absorbed = true;
            return FW_OK;
        }
    }
    fw_nn_plan_call(plan, n, &call);
    FW_TRY(ask(plan, node, &call, own, error));
    if (own->choice.kernel) return FW_OK;
    const fw_nn_call wide = fw_nn_widened(&call);
    own->choice.kernel = info->reference;
    own->choice.scratch_bytes = info->scratch_bytes ? info->scratch_bytes(&wide) : 0;
    own->converts = fw_nn_converts(&call);
    own->backend = "reference";
    return FW_OK;
}

static fw_status make_decisions(fw_nn_plan *plan, const survey *s, fw_error *error) {
    const fw_nn_graph *g = plan->graph;
    plan->decisions = calloc(g->node_count + 1, sizeof *plan->decisions);
    if (!plan->decisions) return fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
    for (uint32_t n = 0; n < g->node_count; n++) plan->decisions[n].with = FW_NN_ALONE;
    for (uint32_t n = 0; n < g->node_count; n++)
        if (node_used(plan, s, n) && !is_alias(&g->nodes[n]) && !plan->decisions[n].absorbed)
            FW_TRY(decide(plan, s, n, error));
    return FW_OK;
}

/* Whether a step writes it. */
static bool exists(const fw_nn_plan *plan, const survey *s, fw_nn_value value) {
    const fw_nn_value_info *info = &plan->graph->values[value];
    if (info->kind != FW_NN_MADE || !node_used(plan, s, info->node)) return false;
    return info->output != 0 || plan->decisions[info->node].with == FW_NN_ALONE;
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
        } else if (plan->places[i].kind == FW_NN_IN_ARENA) {
            if (exists(plan, s, i))
                plan->places[i].at = s->blocks[s->block_of[i]].offset;
            else
                plan->places[i].kind = FW_NN_NOWHERE;
        }
    }
    return FW_OK;
}

static size_t step_scratch_bytes(const fw_nn_plan *plan, uint32_t n) {
    const fw_nn_decision *how = &plan->decisions[n];
    size_t bytes = fw_nn_round_up(how->choice.scratch_bytes, FW_NN_ALIGN_BYTES);
    fw_nn_call call;
    fw_nn_plan_call(plan, n, &call);
    return how->converts ? bytes + fw_nn_convert_bytes(&call) : bytes;
}

/* Whether a step before adds to the same place. */
static bool added_before(const fw_nn_plan *plan, size_t at) {
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const fw_nn_node *node = &plan->graph->nodes[plan->steps[i].node];
        for (uint32_t k = 0; plan->steps[i].adds && k < node->output_count; k++) {
            const fw_nn_place *place = &plan->places[node->outputs[k]];
            if (place->kind == FW_NN_IN_GRADIENTS && place->at == at) return true;
        }
    }
    return false;
}

static void add_step(fw_nn_plan *plan, uint32_t n) {
    const fw_nn_node *node = &plan->graph->nodes[n];
    fw_nn_step step = {.node = n, .how = &plan->decisions[n]};
    uint32_t first = 0, later = 0;
    for (uint32_t k = 0; k < node->output_count; k++) {
        const fw_nn_place *place = &plan->places[node->outputs[k]];
        bool batched = plan->graph->values[node->outputs[k]].batched;
        step.clears |= place->kind == FW_NN_IN_ARENA && !batched;
        if (place->kind != FW_NN_IN_GRADIENTS) continue;
        if (added_before(plan, place->at)) later++;
        else first++;
    }
    step.adds = first + later > 0;
    step.clears &= step.adds;
    step.begins = first > 0 && later == 0;
    if (first > 0 && later > 0) plan->begins = false;
    plan->steps[plan->step_count++] = step;
}

static fw_status make_steps(fw_nn_plan *plan, const survey *s, fw_error *error) {
    const fw_nn_graph *g = plan->graph;
    plan->steps = calloc(g->node_count + 1, sizeof *plan->steps);
    plan->packs = calloc(g->node_count + 1, sizeof *plan->packs);
    if (!plan->steps || !plan->packs)
        return fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
    plan->begins = true;
    for (uint32_t n = 0; n < g->node_count; n++) {
        fw_nn_decision *how = &plan->decisions[n];
        if (!node_used(plan, s, n) || is_alias(&g->nodes[n]) || how->absorbed) continue;
        size_t scratch = step_scratch_bytes(plan, n);
        if (scratch > plan->scratch_bytes) plan->scratch_bytes = scratch;
        if (how->choice.pack) {
            how->packed_at = plan->packed_bytes;
            plan->packed_bytes += fw_nn_round_up(how->choice.packed_bytes, FW_NN_ALIGN_BYTES);
            plan->packs[plan->pack_count++] = plan->step_count;
        }
        add_step(plan, n);
    }
    return FW_OK;
}

static fw_status check_options(const fw_nn_graph *graph, const fw_nn_plan_options *o,
                               fw_error *error) {
    FW_TRY(fw_nn_graph_check(graph, error));
    if (o->store != FW_NN_F32 && o->store != FW_NN_BF16)
        return fw_fail(error, FW_INVALID, "values are kept as fp32 or bf16");
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
        plan->dtypes = calloc(graph->value_count + 1, sizeof *plan->dtypes);
        if (!plan->places || !plan->dtypes) status = fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
    }
    if (status == FW_OK) status = fw_nn_layout_make(graph, &plan->layout, error);
    if (status == FW_OK) {
        name_places(plan, &s);
        mark_used(plan, &s);
        name_dtypes(plan, &s);
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
    free(plan->dtypes);
    free(plan->packs);
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
