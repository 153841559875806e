/* run.c - one tick of a compiled condition. Nothing here fails, allocates or asks a clock. */
#include <math.h>

#include "base/random.h"
#include "campaign/ops.h"

void fw_campaign_restart(fw_campaign_state *state) {
    state->primed = false;
    state->going = false;
}

/* Exact for what a person writes: 0.1 s is 100,000,000 ns, not 100,000,001. */
static int64_t ns_of_seconds(float seconds) {
    return (int64_t)llround((double)seconds * 1000) * 1000000;
}

/* A memory's tick: how long after the one before, in ns; 0 when there is none. */
static double run_rate(fw_campaign_state *state, uint16_t index, double value, int64_t elapsed_ns) {
    double before = state->memories[index];
    state->memories[index] = value;
    return elapsed_ns > 0 ? (value - before) / ((double)elapsed_ns * 1e-9) : (double)NAN;
}

static double run_rising(fw_campaign_state *state, uint16_t index, double value,
                         int64_t elapsed_ns) {
    double before = state->memories[index];
    state->memories[index] = value;
    return elapsed_ns > 0 && before == 0 && value != 0;
}

static double run_held(fw_campaign_state *state, const fw_campaign_op *op, double value,
                       int64_t elapsed_ns) {
    double *for_ns = &state->memories[op->index];
    if (value == 0)
        *for_ns = -1;
    else
        *for_ns = elapsed_ns > 0 && *for_ns >= 0 ? *for_ns + (double)elapsed_ns : 0;
    return *for_ns >= (double)op->number * 1e6;
}

/* Operations of one operand. */
static double run_one(const fw_campaign_op *op, fw_campaign_state *state, double a,
                      int64_t elapsed_ns) {
    switch ((fw_campaign_op_kind)op->kind) {
    case FW_CAMPAIGN_OP_RATE: return run_rate(state, op->index, a, elapsed_ns);
    case FW_CAMPAIGN_OP_NEGATE: return -a;
    case FW_CAMPAIGN_OP_ABS: return fabs(a);
    case FW_CAMPAIGN_OP_TRUTH: return a < 0 || a > 0;
    case FW_CAMPAIGN_OP_NOT: return a == 0;
    case FW_CAMPAIGN_OP_RISING: return run_rising(state, op->index, a, elapsed_ns);
    case FW_CAMPAIGN_OP_HELD: return run_held(state, op, a, elapsed_ns);
    default: fw_assert_failed("an operation of one operand", __FILE__, __LINE__);
    }
}

/* Operations of two. Comparisons are written so that NaN makes each false. */
static double run_two(const fw_campaign_op *op, double a, double b) {
    switch ((fw_campaign_op_kind)op->kind) {
    case FW_CAMPAIGN_OP_ADD: return a + b;
    case FW_CAMPAIGN_OP_SUBTRACT: return a - b;
    case FW_CAMPAIGN_OP_LESS: return a < b;
    case FW_CAMPAIGN_OP_LESS_EQUAL: return a <= b;
    case FW_CAMPAIGN_OP_GREATER: return a > b;
    case FW_CAMPAIGN_OP_GREATER_EQUAL: return a >= b;
    case FW_CAMPAIGN_OP_EQUAL: return a == b;
    case FW_CAMPAIGN_OP_NOT_EQUAL: return a < b || a > b;
    case FW_CAMPAIGN_OP_AND: return a != 0 && b != 0;
    case FW_CAMPAIGN_OP_OR: return a != 0 || b != 0;
    default: fw_assert_failed("an operation of two operands", __FILE__, __LINE__);
    }
}

static bool takes_two(uint16_t kind) {
    return (kind >= FW_CAMPAIGN_OP_ADD && kind <= FW_CAMPAIGN_OP_NOT_EQUAL) ||
           kind == FW_CAMPAIGN_OP_AND || kind == FW_CAMPAIGN_OP_OR;
}

static bool condition_is_true(const fw_campaign *campaign, fw_campaign_state *state,
                              const double *signals, int64_t elapsed_ns) {
    double stack[FW_CAMPAIGN_STACK_MAX];
    uint32_t depth = 0;
    for (uint32_t i = 0; i < campaign->op_count; i++) {
        const fw_campaign_op *op = &campaign->ops[i];
        if (op->kind == FW_CAMPAIGN_OP_NUMBER) {
            stack[depth++] = (double)op->number;
        } else if (op->kind == FW_CAMPAIGN_OP_SIGNAL) {
            stack[depth++] = signals[op->index];
        } else if (takes_two(op->kind)) {
            depth--;
            stack[depth - 1] = run_two(op, stack[depth - 1], stack[depth]);
        } else {
            stack[depth - 1] = run_one(op, state, stack[depth - 1], elapsed_ns);
        }
    }
    FW_ASSERT(depth == 1);
    return stack[0] != 0;
}

/* The dice of the state's newest trigger. */
static bool throw_dice(const fw_campaign *campaign, const fw_campaign_state *state,
                       const char *unit) {
    uint64_t of_campaign = fw_seed_mix(state->triggers, campaign->id);
    uint64_t drawn = fw_seed_mix(of_campaign, unit ? unit : "");
    return (double)(drawn >> 11) * 0x1p-53 < (double)campaign->sample;
}

/* Has the budget of bytes or the time ended it, also in the middle of a trigger? */
static bool over(const fw_campaign *campaign, const fw_campaign_state *state, int64_t wall_ns) {
    if (campaign->expires_ns && wall_ns >= campaign->expires_ns) return true;
    return campaign->budget_bytes && state->captured_bytes >= campaign->budget_bytes;
}

static bool count_is_spent(const fw_campaign *campaign, const fw_campaign_state *state) {
    return campaign->budget_count && state->captures >= campaign->budget_count;
}

static bool cools(const fw_campaign *campaign, const fw_campaign_state *state, int64_t time_ns) {
    int64_t since_ns;
    if (state->triggers == 0) return false;
    if (__builtin_sub_overflow(time_ns, state->last_trigger_ns, &since_ns)) return false;
    return since_ns >= 0 && since_ns < ns_of_seconds(campaign->cooldown_s); /* < 0: a new clock */
}

/* From the tick before; 0: there is none. */
static int64_t elapsed_since(const fw_campaign_state *state, int64_t time_ns) {
    int64_t elapsed_ns = 0;
    if (!state->primed || __builtin_sub_overflow(time_ns, state->time_ns, &elapsed_ns)) return 0;
    return elapsed_ns > 0 && elapsed_ns <= (int64_t)FW_CAMPAIGN_GAP_MS * 1000000 ? elapsed_ns : 0;
}

bool fw_campaign_step(const fw_campaign *campaign, fw_campaign_state *state, const char *unit,
                      const double *signals, int64_t time_ns, int64_t wall_ns) {
    int64_t elapsed_ns = elapsed_since(state, time_ns);
    bool is_true = condition_is_true(campaign, state, signals, elapsed_ns);
    bool goes_on = state->going && elapsed_ns > 0 && campaign->cooldown_s <= 0;
    state->primed = true;
    state->time_ns = time_ns;
    state->going = false;
    if (!is_true || over(campaign, state, wall_ns)) return false;
    if (!goes_on) {
        if (cools(campaign, state, time_ns) || count_is_spent(campaign, state)) return false;
        state->triggers++;
        state->chosen = throw_dice(campaign, state, unit);
    }
    state->going = true;
    state->last_trigger_ns = time_ns;
    return state->chosen;
}
