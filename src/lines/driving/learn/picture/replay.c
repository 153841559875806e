#include "lines/driving/learn/picture/replay.h"

#include <stdlib.h>
#include <string.h>

#include "lines/driving/learn/score/cases.h"
#include "lines/driving/learn/score/drive.h"

/* ---- one drive, watched ---- */

typedef struct watching {
    fw_trace *trace;
    uint32_t agent; /* of the track we look at */
    fw_status status;
    fw_error error;
} watching;

static void decided(void *self, const fw_sim *sim, uint32_t agent, fw_drive_action action, fw_guard_veto veto) {
    watching *w = self;
    if (agent != w->agent || w->status != FW_OK) return;
    w->status = fw_trace_add(w->trace, sim, agent, action, veto, &w->error);
}

/* All cases that one world holds: the one asked for, or in self-play everybody's. */
static fw_status cases_of(const fw_replay_case *what, fw_score_case **out, uint32_t *count, fw_error *error) {
    const fw_scenario *list[] = {what->scenario};
    const fw_score_config config = {.scenarios = list, .scenario_count = 1, .traffic = {[FW_SIM_SELF_PLAY] = true}};
    const uint32_t cluster = 0;
    if (what->traffic == FW_SIM_SELF_PLAY) return fw_score_cases(&config, FW_SIM_SELF_PLAY, &cluster, 1, out, count, error);
    *out = calloc(1, sizeof **out);
    if (!*out) return fw_fail(error, FW_NO_MEMORY, "no memory for a drive");
    **out = (fw_score_case){.track = what->track, .tick = what->tick};
    *count = 1;
    return FW_OK;
}

static fw_status drive(const fw_replay_case *what, const fw_driver *driver, fw_score_case *cases, uint32_t count,
                       fw_sim *sim, fw_trace *trace, fw_error *error) {
    _Atomic uint32_t bins[FW_SCORE_BINS] = {0}; /* times of decisions: nobody reads them here */
    const atomic_bool stop = false;
    uint32_t at = 0;
    while (at < count && cases[at].track != what->track) at++;
    fw_sim_drive *drives = calloc(count ? count : 1, sizeof *drives);
    if (!drives) return fw_fail(error, FW_NO_MEMORY, "no memory for a drive");
    watching w = {.trace = trace, .agent = at % FW_SIM_AGENTS_MAX};
    const fw_score_watch watch = {&w, decided};
    uint32_t first = at - at % FW_SIM_AGENTS_MAX, in_world = count - first;
    const fw_score_run_of run = {.scenario = what->scenario, .driver = driver, .traffic = what->traffic,
                                 .cases = cases + first,
                                 .count = in_world < FW_SIM_AGENTS_MAX ? in_world : FW_SIM_AGENTS_MAX,
                                 .ticks_max = what->ticks_max, .seed = what->seed, .stop = &stop, .drives = drives,
                                 .bins = bins, .watch = &watch};
    fw_trace_begin(trace, driver->name, what->track, what->tick);
    fw_status status = at == count ? fw_fail(error, FW_INVALID, "track %u is not driven there", what->track)
                                   : fw_score_drive_all(&run, sim, error);
    if (status == FW_OK && w.status != FW_OK) status = fw_fail(error, w.status, "%s", w.error.text);
    if (status == FW_OK) trace->drive = drives[at - first];
    if (status == FW_OK && trace->frame_count == 0)
        status = fw_fail(error, FW_INVALID, "no drive of track %u begins at tick %u", what->track, what->tick);
    free(drives);
    return status;
}

fw_status fw_replay_run(const fw_replay_case *what, const fw_driver *drivers, uint32_t count, fw_trace *out,
                        fw_error *error) {
    fw_sim *sim = NULL;
    fw_score_case *cases = NULL;
    uint32_t case_count = 0, done = 0;
    FW_TRY(fw_sim_new(what->seed, &sim, error));
    fw_status status = cases_of(what, &cases, &case_count, error);
    for (; done < count && status == FW_OK; done++)
        status = drive(what, &drivers[done], cases, case_count, sim, &out[done], error);
    for (uint32_t i = 0; i < done && status != FW_OK; i++) fw_trace_clear(&out[i]);
    free(cases);
    fw_sim_free(sim);
    return status;
}

/* ---- finding ---- */

static bool in_scenario_of(const fw_score_table *table, const uint32_t *cases, uint32_t count, uint32_t scenario) {
    for (uint32_t i = 0; i < count; i++)
        if (table->cases[cases[i]].scenario == scenario) return true;
    return false;
}

uint32_t fw_replay_find(const fw_score_table *table, uint32_t failed, uint32_t passed, uint32_t *cases, uint32_t most) {
    uint32_t found = 0;
    for (int grave = 1; grave >= 0; grave--)
        for (uint32_t i = 0; i < table->case_count && found < most; i++) {
            const fw_sim_drive *bad = &table->drives[failed][i];
            bool is_grave = bad->end == FW_SIM_COLLISION || bad->red_light;
            if (!fw_trace_failed(bad) || is_grave != (grave == 1)) continue;
            if (passed != FW_REPLAY_ANYBODY && fw_trace_failed(&table->drives[passed][i])) continue;
            if (in_scenario_of(table, cases, found, table->cases[i].scenario)) continue;
            cases[found++] = i;
        }
    return found;
}
