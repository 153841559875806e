/* world.c - whose step is next, and when all is said (sim.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sim/world.h"

enum { CALM_S = 3 * 3600 }; /* after the faults, for what is left to do */

int64_t fw_sim_wait_ns(fw_random *random, double mean_s) {
    double unit = ((double)fw_random_u32(random) + 1) / 4294967297.0;
    return (int64_t)(-log(unit) * mean_s * 1e9) + 1;
}

/* ---- setting up ---- */

static void take_log(void *self, fw_log_level level, const char *line) {
    fw_sim_world *w = self;
    static const char *const names[] = {"debug", "info", "warn", "error"};
    fw_sim_hint(&w->trace, w->now_ns, names[level], line);
}

static fw_status open_world(fw_sim_world *w, const fw_sim_config *config, fw_error *error) {
    *w = (fw_sim_world){.config = config, .faults = true};
    fw_sim_trace_begin(&w->trace);
    w->trace.each = config->each;
    w->trace.each_self = config->each_self;
    fw_log_divert(take_log, w);
    w->units = calloc(config->units, sizeof *w->units);
    if (!w->units) return fw_fail(error, FW_NO_MEMORY, "no memory for the simulation");
    FW_TRY(fw_folder_make(config->scratch, 0700, error));
    FW_TRY(fw_sim_factory_open(w, error));
    for (uint32_t i = 0; i < config->units; i++) FW_TRY(fw_sim_unit_open(w, &w->units[i], i + 1, error));
    fw_sim_byzantine_open(w);
    fw_sim_operator_open(w);
    return FW_OK;
}

static void add_disk(fw_sim_counts *c, const fw_sim_disk *d) {
    c->lost_writes += d->lost_writes;
    c->torn_writes += d->torn_writes;
    c->lost_names += d->lost_names;
}

static void close_world(fw_sim_world *w) {
    fw_error error;
    add_disk(&w->result.counts, &w->factory.machine.disk);
    for (uint32_t i = 0; w->units && i < w->config->units; i++) {
        add_disk(&w->result.counts, &w->units[i].machine.disk);
        fw_sim_unit_close(&w->units[i]);
    }
    fw_sim_factory_close(w);
    fw_sim_promises_free(&w->promises);
    free(w->units);
    fw_sim_operator_close(w);
    fw_log_divert(NULL, NULL);
    (void)!fw_folder_remove(w->config->scratch, &error);
}

/* ---- steps ---- */

/* The unit that is due first; NULL when the factory or the byzantine one is. */
static fw_sim_unit *next_unit(fw_sim_world *w, int64_t *due_ns) {
    fw_sim_unit *first = NULL;
    int64_t soonest = w->factory.due_ns;
    if (w->faults && w->byzantine.due_ns < soonest) soonest = w->byzantine.due_ns;
    if (w->faults && w->op.due_ns < soonest) soonest = w->op.due_ns;
    for (uint32_t i = 0; i < w->config->units; i++) {
        if (w->units[i].due_ns >= soonest) continue;
        soonest = w->units[i].due_ns;
        first = &w->units[i];
    }
    *due_ns = soonest;
    return first;
}

static void step(fw_sim_world *w) {
    int64_t due_ns;
    fw_sim_unit *unit = next_unit(w, &due_ns);
    if (due_ns > w->now_ns) w->now_ns = due_ns;
    if (unit)
        fw_sim_unit_step(w, unit);
    else if (w->factory.due_ns <= w->now_ns)
        fw_sim_factory_step(w);
    else if (w->byzantine.due_ns <= w->now_ns)
        fw_sim_byzantine_step(w);
    else
        fw_sim_operator_step(w);
    if (w->factory.machine.disk.dead && w->factory.factory) fw_sim_factory_fell(w);
    if (w->factory.machine.disk.dead && w->factory.due_ns <= w->now_ns)
        w->factory.due_ns = w->now_ns + FW_SIM_SECOND_NS;
    w->result.counts.steps++;
}

static bool goes_on(const fw_sim_world *w, int64_t until_ns) {
    return !w->result.broken && w->now_ns < until_ns && !(w->config->stop && *w->config->stop);
}

static bool all_done(fw_sim_world *w) {
    for (uint32_t i = 0; i < w->config->units; i++)
        if (!fw_sim_unit_is_done(&w->units[i])) return false;
    return w->factory.factory != NULL;
}

/* ---- the whole ---- */

static void calm(fw_sim_world *w) {
    fw_sim_say(&w->trace, w->now_ns, "world", "the faults stop");
    w->faults = false;
    fw_sim_factory_calm(w);
    for (uint32_t i = 0; i < w->config->units; i++) fw_sim_unit_calm(&w->units[i]);
}

static void settle(fw_sim_world *w) {
    calm(w);
    int64_t until_ns = w->now_ns + CALM_S * FW_SIM_SECOND_NS;
    while (goes_on(w, until_ns) && !all_done(w)) step(w);
    if (w->result.broken || (w->config->stop && *w->config->stop)) return;
    if (!all_done(w)) fw_sim_broken(w, "arrives", "world", "something still waits, hours after the last fault");
    fw_sim_check_arrived(w);
    fw_sim_check_receipts(w, true);
    fw_sim_check_records(w);
    fw_factory_close(w->factory.factory);
    w->factory.factory = NULL;
    fw_sim_check_equal(w, true);
}

fw_status fw_sim_run(const fw_sim_config *config, fw_sim_result *result, fw_error *error) {
    if (config->units < 1 || config->units > FW_SIM_UNITS_MAX || !(config->hours > 0) || config->hours > 1e5)
        return fw_fail(error, FW_INVALID, "1 to %d units, and some hours", FW_SIM_UNITS_MAX);
    fw_sim_world *w = malloc(sizeof *w);
    if (!w) return fw_fail(error, FW_NO_MEMORY, "no memory for the simulation");
    fw_status status = open_world(w, config, error);
    if (status == FW_OK) {
        while (goes_on(w, (int64_t)(config->hours * 3600e9))) step(w);
        if (!w->result.broken) settle(w);
        if (config->stop && *config->stop) status = fw_fail(error, FW_INTERRUPTED, "stopped");
    }
    w->result.simulated_ns = w->now_ns;
    if (w->result.broken) w->result.tail = fw_sim_trace_tail(&w->trace);
    w->result.lines = w->trace.lines;
    close_world(w);
    w->result.trace = fw_sim_trace_end(&w->trace);
    if (status == FW_OK) *result = w->result;
    else free(w->result.tail);
    free(w);
    return status;
}
