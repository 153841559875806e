#include "lines/driving/learn/picture/fixes.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { BOTH = 2 };

/* Leaves the frames [from, to) of a trace, those there are. */
static void keep(fw_trace *trace, uint32_t from, uint32_t to) {
    if (to > trace->frame_count) to = trace->frame_count;
    if (from >= to) from = to - 1;
    memmove(trace->frames, trace->frames + from, (to - from) * sizeof *trace->frames);
    trace->frame_count = to - from;
    trace->first_tick += from;
}

/* Both from the same moment on: some seconds before the champion fails, to a little after. */
static void cut(fw_trace traces[BOTH]) {
    uint32_t fails = traces[0].frame_count;
    uint32_t from = fails > FW_FIXES_TICKS_MAX ? fails - FW_FIXES_TICKS_MAX : 0;
    for (int i = 0; i < BOTH; i++) keep(&traces[i], from, fails + FW_FIXES_AFTER_TICKS);
}

static fw_status add_one(const fw_score_config *config, fw_sim_traffic traffic, const fw_score_case *of, json_t *list,
                         fw_error *error) {
    fw_trace traces[BOTH];
    const fw_replay_case what = {.scenario = config->scenarios[of->scenario], .traffic = traffic, .track = of->track,
                                 .tick = of->tick, .ticks_max = config->ticks_max, .seed = config->seed};
    FW_TRY(fw_replay_run(&what, config->drivers, BOTH, traces, error));
    cut(traces);
    int failed = json_array_append_new(list, fw_trace_json(what.scenario, traces, BOTH));
    for (int i = 0; i < BOTH; i++) fw_trace_clear(&traces[i]);
    return failed ? fw_fail(error, FW_NO_MEMORY, "no memory for replays") : FW_OK;
}

static fw_status write_list(const char *path, const fw_score_config *config, json_t *list, fw_error *error) {
    json_t *all = json_pack("{s:s, s:s, s:O}", "champion", config->drivers[0].policy.hash.hex, "candidate",
                            config->drivers[1].policy.hash.hex, "replays", list);
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for replays");
    fw_status status = fw_file_write_durable(fw_env_real(), path, text, strlen(text), error);
    free(text);
    return status;
}

fw_status fw_fixes_write(const char *path, const fw_score_config *config, fw_sim_traffic traffic,
                         const fw_score_table *table, fw_error *error) {
    uint32_t cases[FW_FIXES_MOST];
    uint32_t count = fw_replay_find(table, 0, 1, cases, FW_FIXES_MOST);
    json_t *list = json_array();
    fw_status status = list ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for replays");
    for (uint32_t i = 0; i < count && status == FW_OK; i++)
        status = add_one(config, traffic, &table->cases[cases[i]], list, error);
    if (status == FW_OK) status = write_list(path, config, list, error);
    json_decref(list);
    return status;
}
