/* session.c - arenas, packed parameters, and running a plan. */
#include <stdlib.h>
#include <string.h>

#include "nn/run/convert.h"
#include "nn/run/memory.h"
#include "nn/run/plan_parts.h"

/* A pointer of a call that each run sets anew: parameters, gradients and inputs are the caller's. */
typedef struct slot {
    void **data;
    fw_nn_value value;
} slot;

struct fw_nn_session {
    const fw_nn_plan *plan;
    uint8_t *arena;
    fw_nn_call *calls; /* (step_count); close() of each step is due on own */
    slot *slots;       /* (slot_count) */
    uint32_t slot_count;
    fw_nn_run_args last;
};

/* ---- packed parameters ---- */

size_t fw_nn_plan_packed_bytes(const fw_nn_plan *plan) {
    return plan->packed_bytes;
}

uint32_t fw_nn_plan_pack_tasks(const fw_nn_plan *plan) {
    return plan->pack_count;
}

void fw_nn_plan_pack_task(const fw_nn_plan *plan, const float *parameters, void *packed,
                          uint32_t task) {
    const fw_nn_step *step = &plan->steps[plan->packs[task]];
    const fw_nn_node *node = &plan->graph->nodes[step->node];
    fw_nn_call call;
    fw_nn_plan_call(plan, step->node, &call);
    for (uint32_t i = 0; i < node->input_count; i++) {
        const fw_nn_place *at = &plan->places[node->inputs[i]];
        if (at->kind == FW_NN_IN_PARAMETERS)
            call.in[i].data = (void *)(uintptr_t)(parameters + at->at);
    }
    call.prepared = step->how->choice.prepared;
    step->how->choice.pack(&call, (uint8_t *)packed + step->how->packed_at);
}

void fw_nn_plan_pack(const fw_nn_plan *plan, const float *parameters, void *packed) {
    for (uint32_t i = 0; i < plan->pack_count; i++)
        fw_nn_plan_pack_task(plan, parameters, packed, i);
}

/* ---- sessions ---- */

static void place_operand(fw_nn_session *session, fw_nn_view *view, fw_nn_value value) {
    const fw_nn_place *at = &session->plan->places[value];
    if (at->kind == FW_NN_IN_ARENA)
        view->data = session->arena + at->at;
    else if (at->kind != FW_NN_NOWHERE)
        session->slots[session->slot_count++] = (slot){&view->data, value};
}

static fw_status open_step(fw_nn_session *session, uint32_t i, fw_error *error) {
    const fw_nn_plan *plan = session->plan;
    const fw_nn_decision *how = plan->steps[i].how;
    uint32_t n = plan->steps[i].node;
    const fw_nn_node *node = &plan->graph->nodes[n];
    fw_nn_call *call = &session->calls[i];
    fw_nn_plan_call(plan, n, call);
    for (uint32_t k = 0; k < node->input_count; k++)
        place_operand(session, &call->in[k], node->inputs[k]);
    for (uint32_t k = 0; k < node->output_count; k++)
        place_operand(session, &call->out[k], fw_nn_plan_made_by(plan, n, k));
    if (how->with != FW_NN_ALONE && fw_nn_plan_second(plan, n) != FW_NN_NONE)
        place_operand(session, &call->with, fw_nn_plan_second(plan, n));
    call->scratch = session->arena + plan->values_bytes;
    call->prepared = how->choice.prepared;
    return how->choice.open ? how->choice.open(how->choice.prepared, &call->own, error) : FW_OK;
}

fw_status fw_nn_session_new(const fw_nn_plan *plan, fw_nn_session **out, fw_error *error) {
    fw_nn_session *session = calloc(1, sizeof *session);
    if (!session) return fw_fail(error, FW_NO_MEMORY, "no memory for a session");
    enum { OPERANDS = FW_NN_INPUTS_MAX + FW_NN_OUTPUTS_MAX + 1 };
    size_t bytes = fw_nn_round_up(fw_nn_plan_arena_bytes(plan) + 1, FW_NN_ALIGN_BYTES);
    session->plan = plan;
    session->arena = fw_nn_zeros(bytes);
    session->calls = calloc(plan->step_count + 1, sizeof *session->calls);
    session->slots = calloc((size_t)plan->step_count * OPERANDS + 1, sizeof *session->slots);
    fw_status status = FW_OK;
    if (!session->arena || !session->calls || !session->slots)
        status = fw_fail(error, FW_NO_MEMORY, "no memory for a session: %zu bytes", bytes);
    for (uint32_t i = 0; status == FW_OK && i < plan->step_count; i++)
        status = open_step(session, i, error);
    if (status != FW_OK) {
        fw_nn_session_free(session);
        return status;
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
    free(session->slots);
    free(session);
}

static void *address(const fw_nn_session *session, const fw_nn_run_args *args, fw_nn_value value) {
    const fw_nn_place *at = &session->plan->places[value];
    switch (at->kind) {
    case FW_NN_IN_ARENA: return session->arena + at->at;
    case FW_NN_IN_PARAMETERS: return (void *)(uintptr_t)(args->parameters + at->at);
    case FW_NN_IN_GRADIENTS: return args->gradients + at->at;
    case FW_NN_IN_INPUTS: return (void *)(uintptr_t)args->inputs[at->at];
    default: return NULL;
    }
}

/* Sums that a step adds to but nobody has begun: those beside a parameter's gradient in the arena. */
static void clear_sums(const fw_nn_plan *plan, uint32_t n, const fw_nn_call *call) {
    for (uint32_t k = 0; k < call->output_count; k++)
        if (plan->places[plan->graph->nodes[n].outputs[k]].kind == FW_NN_IN_ARENA &&
            !call->out[k].batched)
            memset(call->out[k].data, 0, fw_nn_elements(call->out[k].shape) * sizeof(float));
}

void fw_nn_session_run(fw_nn_session *session, const fw_nn_run_args *args) {
    const fw_nn_plan *plan = session->plan;
    FW_ASSERT(args->rows > 0 && args->rows <= plan->options.rows);
    FW_ASSERT(plan->options.gradient_count == 0 || args->gradients);
    FW_ASSERT(plan->packed_bytes == 0 || args->packed);
    for (uint32_t i = 0; i < session->slot_count; i++)
        *session->slots[i].data = address(session, args, session->slots[i].value);
    if (args->first && !plan->begins)
        memset(args->gradients, 0, plan->layout.floats * sizeof(float));
    bool sets = args->first && plan->begins;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const fw_nn_decision *how = plan->steps[i].how;
        fw_nn_call *call = &session->calls[i];
        call->rows = args->rows;
        call->first_row = args->first_row;
        call->seed = args->seed;
        call->accumulate = plan->steps[i].adds && !(sets && plan->steps[i].begins);
        if (plan->steps[i].clears && call->accumulate)
            clear_sums(plan, plan->steps[i].node, call);
        if (how->choice.pack) call->packed = (const uint8_t *)args->packed + how->packed_at;
        if (how->converts)
            fw_nn_convert_run(how->choice.kernel, call, how->choice.scratch_bytes);
        else
            how->choice.kernel(call);
        if (args->after) args->after(args->after_self, i, call);
    }
    session->last = *args;
}

const void *fw_nn_session_value(const fw_nn_session *session, fw_nn_value value) {
    return address(session, &session->last, value);
}
