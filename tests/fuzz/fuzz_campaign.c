/* Campaigns from outside: JSON, or a bare condition, then ticks of signals made of the rest.
 *
 *   input: kind, then the text up to a zero byte, then ticks: one byte of time, one for each signal
 *
 * Whatever compiles must run: within its stack, with counts that fit together, and the same twice. */
/* links: fw_driving_act */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "campaign/ops.h"
#include "lines/driving/act/signals.h"

static void check_compiled(const fw_campaign *c) {
    FW_ASSERT(c->op_count >= 1 && c->op_count <= FW_CAMPAIGN_OPS_MAX);
    FW_ASSERT(c->memory_count <= FW_CAMPAIGN_MEMORIES_MAX);
    for (uint32_t i = 0; i < c->op_count; i++) {
        const fw_campaign_op *op = &c->ops[i];
        if (op->kind == FW_CAMPAIGN_OP_SIGNAL) FW_ASSERT(op->index < FW_DRIVE_SIGNAL_COUNT);
        if (op->kind == FW_CAMPAIGN_OP_RATE || op->kind >= FW_CAMPAIGN_OP_RISING)
            FW_ASSERT(op->index < c->memory_count);
        FW_ASSERT(isfinite(op->number));
    }
}

/* A signal's value from one byte: small numbers, and those that break things. */
static double value_of(uint8_t byte) {
    static const double odd[] = {NAN, INFINITY, -INFINITY, 1e300, -0.0, 1e-300};
    return byte < sizeof odd / sizeof *odd ? odd[byte] : ((double)byte - 128) / 8;
}

/* Time of the next tick: mostly the next 0.1 s, at times a gap, a stand or a jump. */
static int64_t time_after(int64_t time_ns, uint8_t byte) {
    switch (byte) {
    case 0: return time_ns;
    case 1: return INT64_MAX;
    case 2: return INT64_MIN;
    case 3: return time_ns < INT64_MAX - 2000000000 ? time_ns + 2000000000 : 0;
    default: return time_ns < INT64_MAX - 100000000 ? time_ns + 100000000 : 0;
    }
}

static void run(const fw_campaign *c, const uint8_t *bytes, size_t size) {
    fw_campaign_state state = {0}, same = {0};
    int64_t time_ns = 0;
    double signals[FW_DRIVE_SIGNAL_COUNT];
    uint64_t fired = 0;
    for (size_t at = 0; at < size; at++) {
        time_ns = time_after(time_ns, bytes[at]);
        for (uint32_t i = 0; i < FW_DRIVE_SIGNAL_COUNT; i++)
            signals[i] = value_of(bytes[(at + i) % size]);
        if (bytes[at] == 9) fw_campaign_restart(&state), fw_campaign_restart(&same);
        int64_t wall_ns = (int64_t)bytes[at] << 54;
        bool fires = fw_campaign_step(c, &state, "7", signals, time_ns, wall_ns);
        FW_ASSERT(fires == fw_campaign_step(c, &same, "7", signals, time_ns, wall_ns));
        if (fires) fired++;
        FW_ASSERT(!fires || state.triggers > 0);
        if (fires && bytes[at] % 3 == 0) state.captures++, same.captures++;
        state.captured_bytes += bytes[at], same.captured_bytes += bytes[at];
    }
    FW_ASSERT(fired <= size && state.triggers <= size);
}

static void run_json(const char *text, size_t size, const uint8_t *rest, size_t rest_size) {
    fw_campaign campaign;
    bool wanted;
    fw_error error = {""};
    if (fw_campaign_parse(text, size, &fw_drive_signals, "7", &campaign, &wanted, &error) != FW_OK) {
        FW_ASSERT(error.text[0] && !strchr(error.text, '\n'));
        return;
    }
    check_compiled(&campaign);
    run(&campaign, rest, rest_size);
}

static void run_condition(const char *text, size_t size, const uint8_t *rest, size_t rest_size) {
    fw_campaign campaign = {.sample = 1};
    fw_error error = {""};
    if (fw_campaign_compile(text, size, &fw_drive_signals, &campaign, &error) != FW_OK) {
        FW_ASSERT(strncmp(error.text, "when: column ", 13) == 0);
        FW_ASSERT(strtoul(error.text + 13, NULL, 10) <= size + 1);
        return;
    }
    check_compiled(&campaign);
    run(&campaign, rest, rest_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    char *text = malloc(size); /* exactly as large, so that reading on is found */
    if (!text) return 0;
    const uint8_t *zero = memchr(data + 1, 0, size - 1);
    size_t text_size = zero ? (size_t)(zero - data) - 1 : size - 1;
    memcpy(text, data + 1, text_size);
    char *exact = realloc(text, text_size ? text_size : 1);
    const uint8_t *rest = data + 1 + text_size;
    size_t rest_size = size - 1 - text_size;
    if (data[0] == 'j')
        run_json(exact, text_size, rest, rest_size);
    else
        run_condition(exact, text_size, rest, rest_size);
    free(exact);
    return 0;
}
