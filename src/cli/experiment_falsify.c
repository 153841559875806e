/* experiment_falsify.c - a recording that lies; see experiment_drill.h */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/experiment_drill.h"
#include "lines/driving/act/recorder.h"

enum { BEHIND_POINTS = 5 };
#define FILE_MAX_BYTES ((size_t)8 << 20)

void fw_experiment_give_path(const fw_drive_recording *r, fw_drive_obs *obs) {
    const uint32_t end = r->path_first + r->path_count;
    double at = floor((double)obs->s_m / (double)FW_DRIVE_GRID_M) - BEHIND_POINTS;
    uint32_t first = at > r->path_first ? (uint32_t)at : r->path_first;
    if (first >= end) first = end - 1;
    obs->path_first = first;
    obs->path_count = end - first < FW_DRIVE_PATH_MAX ? end - first : FW_DRIVE_PATH_MAX;
    memcpy(obs->path, r->path + (first - r->path_first), obs->path_count * sizeof *obs->path);
}

static void lie(fw_drive_obs *obs) {
    for (uint32_t i = 0; i < obs->user_count; i++) {
        obs->users[i].x_m = 2 * obs->x_m - obs->users[i].x_m;
        obs->users[i].y_m = 2 * obs->y_m - obs->users[i].y_m;
    }
    if (obs->light == FW_DRIVE_LIGHT_RED) obs->light = FW_DRIVE_LIGHT_GREEN;
    else if (obs->light == FW_DRIVE_LIGHT_GREEN) obs->light = FW_DRIVE_LIGHT_RED;
}

static fw_status write_ticks(const fw_drive_recording *r, fw_drive_recorder *recorder, fw_drive_obs *obs,
                             fw_error *error) {
    const double values[FW_DRIVE_EVENT_COUNT] = {0};
    for (uint32_t i = 0; i < r->tick_count; i++) {
        const fw_drive_recorded_tick *t = &r->ticks[i];
        const fw_drive_decision decision = {.policy = t->policy, .action = t->action, .veto = t->veto,
                                            .model = r->model};
        *obs = t->obs;
        if (r->path_count > 0) fw_experiment_give_path(r, obs);
        lie(obs);
        if (i > 0 && !fw_drive_recorder_continues(recorder, obs)) break;
        FW_TRY(fw_drive_recorder_tick(recorder, obs, &decision, t->events, values, error));
    }
    return FW_OK;
}

fw_status fw_experiment_falsify(const fw_drive_recording *recording, char **bytes, size_t *size_bytes,
                                fw_error *error) {
    fw_drive_recorder *recorder = NULL;
    fw_drive_recorded done = {0};
    fw_drive_obs *obs = calloc(1, sizeof *obs);
    fw_mcap_memory memory = {.bytes = malloc(FILE_MAX_BYTES), .capacity_bytes = FILE_MAX_BYTES};
    fw_status status = obs && memory.bytes ? fw_drive_recorder_open(&recorder, error)
                                           : fw_fail(error, FW_NO_MEMORY, "no memory to falsify");
    if (status == FW_OK)
        status = fw_drive_recorder_begin(recorder, fw_mcap_memory_sink(&memory), recording->unit, error);
    /* a window like the others: whole drives of a unit would take the place of its windows (recordings.h) */
    if (status == FW_OK && recording->tick_count > 0)
        fw_drive_recorder_mark(recorder, "falsified", recording->ticks[0].obs.time_ns);
    if (status == FW_OK) status = write_ticks(recording, recorder, obs, error);
    if (status == FW_OK) status = fw_drive_recorder_end(recorder, &done, error);
    if (recorder) fw_drive_recorder_close(recorder);
    free(obs);
    if (status != FW_OK) {
        free(memory.bytes);
        return status;
    }
    *bytes = (char *)memory.bytes;
    *size_bytes = memory.size_bytes;
    return FW_OK;
}
