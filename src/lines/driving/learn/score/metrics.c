#include "lines/driving/learn/score/metrics.h"

typedef const fw_sim_drive drive;

static void share(bool counts, bool is, double *top, double *bottom) {
    *bottom = counts;
    *top = counts && is;
}

/* Collision, off the road and the goal are ends: a drive has one of them. */
static bool spoilt(drive *d) {
    return d->end == FW_SIM_COLLISION || d->end == FW_SIM_OFF_ROAD || d->red_light;
}

static void clean_goal(drive *d, bool scene, double *top, double *bottom) {
    share(scene, d->end == FW_SIM_GOAL && !spoilt(d), top, bottom);
}

static void clean(drive *d, bool scene, double *top, double *bottom) {
    share(!scene, !spoilt(d) && !d->stuck, top, bottom);
}

static void goal(drive *d, bool scene, double *top, double *bottom) {
    share(scene, d->end == FW_SIM_GOAL, top, bottom);
}

static void collision(drive *d, bool scene, double *top, double *bottom) {
    (void)scene;
    share(true, d->end == FW_SIM_COLLISION, top, bottom);
}

static void at_fault(drive *d, bool scene, double *top, double *bottom) {
    (void)scene;
    share(true, d->end == FW_SIM_COLLISION && d->at_fault, top, bottom);
}

static void off_road(drive *d, bool scene, double *top, double *bottom) {
    (void)scene;
    share(true, d->end == FW_SIM_OFF_ROAD, top, bottom);
}

static void red_light(drive *d, bool scene, double *top, double *bottom) {
    (void)scene;
    share(d->light_seen, d->red_light, top, bottom);
}

static void time_out(drive *d, bool scene, double *top, double *bottom) {
    share(scene, d->end == FW_SIM_TIME_OUT, top, bottom);
}

static void progress(drive *d, bool scene, double *top, double *bottom) {
    *bottom = scene;
    *top = scene ? (double)d->progress : 0;
}

static void ade(drive *d, bool scene, double *top, double *bottom) {
    *bottom = scene && d->ticks > 0;
    *top = scene && d->ticks > 0 ? d->deviation_sum_m / d->ticks : 0;
}

static void fde(drive *d, bool scene, double *top, double *bottom) {
    *bottom = scene;
    *top = scene ? (double)d->final_deviation_m : 0;
}

static void ttc(drive *d, bool scene, double *top, double *bottom) {
    (void)scene;
    *top = d->ttc_ticks, *bottom = d->ticks;
}

static void accel(drive *d, bool scene, double *top, double *bottom) {
    (void)scene;
    *top = d->accel_ticks, *bottom = d->ticks;
}

static void jerk(drive *d, bool scene, double *top, double *bottom) {
    (void)scene;
    *top = d->jerk_ticks, *bottom = d->ticks;
}

static void lateral(drive *d, bool scene, double *top, double *bottom) {
    (void)scene;
    *top = d->lateral_ticks, *bottom = d->ticks;
}

static void speed(drive *d, bool scene, double *top, double *bottom) {
    (void)scene;
    *top = (double)d->distance_m, *bottom = d->ticks * (double)FW_DRIVE_TICK_S;
}

const fw_metric fw_metrics[FW_METRIC_COUNT] = {
    [FW_METRIC_CLEAN_GOAL] = {"clean_goal", "clean goal", "", +1, true, clean_goal},
    [FW_METRIC_CLEAN] = {"clean", "clean", "", +1, true, clean},
    [FW_METRIC_GOAL] = {"goal", "goal", "", +1, true, goal},
    [FW_METRIC_COLLISION] = {"collision", "collision", "", -1, true, collision},
    [FW_METRIC_AT_FAULT] = {"at_fault", "at fault", "", -1, true, at_fault},
    [FW_METRIC_OFF_ROAD] = {"off_road", "off-road", "", -1, true, off_road},
    [FW_METRIC_RED_LIGHT] = {"red_light", "red light", "", -1, true, red_light},
    [FW_METRIC_TIME_OUT] = {"timeout", "timeout", "", -1, true, time_out},
    [FW_METRIC_PROGRESS] = {"progress", "progress", "", +1, false, progress},
    [FW_METRIC_ADE] = {"ade_m", "ADE", "m", -1, false, ade},
    [FW_METRIC_FDE] = {"fde_m", "FDE", "m", -1, false, fde},
    [FW_METRIC_TTC] = {"ttc_share", "TTC<1.5s", "", -1, false, ttc},
    [FW_METRIC_ACCEL] = {"accel_share", "|a|>4", "", -1, false, accel},
    [FW_METRIC_JERK] = {"jerk_share", "|jerk|>8", "", -1, false, jerk},
    [FW_METRIC_LATERAL] = {"lateral_share", "lateral>4", "", -1, false, lateral},
    [FW_METRIC_SPEED] = {"speed_mps", "speed", "m/s", 0, false, speed},
};
