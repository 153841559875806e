/* score.c - sums of drives, and the figures made of them; see exam.h */
#include <math.h>
#include <stdio.h>

#include "base/statistics.h"
#include "worlds/exam/compare.h"

enum { BOOTSTRAP_DRAWS = 2000, BOOTSTRAP_SEED = 1979 };

void fw_exam_add(fw_exam_run *run, const fw_drive_result *r) {
    fw_exam_sums *sums = &run->sums;
    bool clean = fw_drive_result_clean(r);
    sums->desync += r->desync;
    if (r->desync && clean) { /* nothing failed before the world lost it: not scored */
        sums->lost++;
        return;
    }
    double time_s = (double)r->ticks * (double)FW_DRIVE_TICK_S;
    if (!clean && run->failure_count < FW_EXAM_FAILURES_MAX)
        run->failures[run->failure_count++] = *r;
    sums->drives++;
    sums->clean += clean;
    sums->collisions += r->collision;
    sums->at_fault += r->collision && r->at_fault;
    sums->met[r->met < FW_DRIVE_MET_COUNT ? r->met : FW_DRIVE_MET_NOBODY] += r->collision;
    sums->met_no_fault[r->met < FW_DRIVE_MET_COUNT ? r->met : FW_DRIVE_MET_NOBODY] +=
        r->collision && !r->at_fault;
    sums->bend_overlaps += r->bend_overlap;
    sums->off_lane += r->off_lane;
    sums->stuck += r->stuck;
    sums->red_light += r->red_light;
    sums->listed += r->listed_junction;
    sums->listed_clean += clean && r->listed_junction;
    sums->red_light_runs += r->red_light_runs;
    sums->hard_brakes += r->hard_brakes;
    sums->ticks += r->ticks;
    sums->distance_m += r->distance_m;
    sums->time_s += time_s;
    sums->jerk2_s += r->jerk_rms_mps3 * r->jerk_rms_mps3 * time_s;
}

static fw_exam_sums total_of(const fw_exam_sums *s, uint32_t runs) {
    fw_exam_sums t = {0};
    for (uint32_t i = 0; i < runs; i++) {
        t.drives += s[i].drives, t.clean += s[i].clean, t.collisions += s[i].collisions;
        t.at_fault += s[i].at_fault, t.off_lane += s[i].off_lane, t.stuck += s[i].stuck;
        t.red_light += s[i].red_light, t.desync += s[i].desync, t.listed += s[i].listed;
        t.listed_clean += s[i].listed_clean, t.unfinished += s[i].unfinished, t.lost += s[i].lost;
        t.not_started += s[i].not_started, t.red_light_runs += s[i].red_light_runs;
        t.hard_brakes += s[i].hard_brakes, t.ticks += s[i].ticks, t.vetoes += s[i].vetoes;
        t.decisions += s[i].decisions, t.distance_m += s[i].distance_m;
        t.bend_overlaps += s[i].bend_overlaps;
        t.time_s += s[i].time_s, t.jerk2_s += s[i].jerk2_s;
        for (int m = 0; m < FW_DRIVE_MET_COUNT; m++) {
            t.met[m] += s[i].met[m];
            t.met_no_fault[m] += s[i].met_no_fault[m];
        }
    }
    return t;
}

/* Rounded, so that a figure reads the same wherever it is printed. */
static double rounded(double x, double unit) { return round(x / unit) * unit; }

static double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

static void put(json_t *object, const char *name, double value) {
    json_object_set_new(object, name, json_real(rounded(value, 1e-6)));
}

/* clean with its two intervals: Wilson over drives, bootstrap over whole runs. */
static void put_clean(json_t *out, const fw_exam_sums *sums, uint32_t runs, bool without_listed) {
    double top[FW_EXAM_RUNS_MAX], bottom[FW_EXAM_RUNS_MAX];
    uint32_t clean = 0, drives = 0;
    for (uint32_t i = 0; i < runs; i++) {
        uint32_t n = sums[i].drives - (without_listed ? sums[i].listed : 0);
        uint32_t k = sums[i].clean - (without_listed ? sums[i].listed_clean : 0);
        clean += k;
        drives += n;
        top[i] = k;
        bottom[i] = n;
    }
    fw_interval wilson = fw_wilson95(clean, drives);
    fw_interval cluster = fw_cluster_bootstrap95(top, bottom, runs, BOOTSTRAP_DRAWS, BOOTSTRAP_SEED);
    json_object_set_new(out, "drives", json_integer(drives));
    put(out, "clean", share(clean, drives));
    put(out, "clean_low", wilson.low);
    put(out, "clean_high", wilson.high);
    put(out, "clean_cluster_low", cluster.low);
    put(out, "clean_cluster_high", cluster.high);
}

/* Every figure of the table, its interval over whole runs beside it. */
static void put_figures(json_t *out, const fw_exam_sums *sums, uint32_t runs) {
    char name[64];
    for (const fw_exam_figure *f = fw_exam_figures(); f->name; f++) {
        const fw_interval of = fw_exam_interval(f, sums, runs);
        put(out, f->name, fw_exam_value(f, sums, runs));
        snprintf(name, sizeof name, "%s_cluster_low", f->name);
        put(out, name, of.low);
        snprintf(name, sizeof name, "%s_cluster_high", f->name);
        put(out, name, of.high);
    }
}

static const char *met_name(fw_drive_met met) {
    static const char *const names[] = {"nobody", "ahead",    "behind",
                                        "change", "junction", "beside"};
    _Static_assert(sizeof names / sizeof *names == FW_DRIVE_MET_COUNT, "a name for each");
    return names[met < FW_DRIVE_MET_COUNT ? met : FW_DRIVE_MET_NOBODY];
}

/* Collisions by how they came about: [all, not at fault]. */
static json_t *collisions_of(const fw_exam_sums *t) {
    json_t *out = json_object();
    for (int m = 1; m < FW_DRIVE_MET_COUNT; m++)
        json_object_set_new(out, met_name((fw_drive_met)m),
                            json_pack("[i, i]", (int)t->met[m], (int)t->met_no_fault[m]));
    return out;
}

static json_t *failures_of(const fw_exam_run *runs, uint32_t count) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < runs[i].failure_count; k++) {
            const fw_drive_result *r = &runs[i].failures[k];
            json_t *one = json_pack("{s:i, s:i, s:i, s:i, s:s, s:b, s:b, s:f, s:f}", "run", (int)i, "car",
                                    (int)r->car, "drive", (int)r->drive, "ticks", (int)r->ticks, "what",
                                    r->collision  ? met_name(r->met)
                                    : r->off_lane ? "off_lane"
                                    : r->stuck    ? "stuck"
                                                  : "red_light",
                                    "at_fault", r->at_fault, "met_ours", r->met_ours, "x_m",
                                    rounded((double)r->x_m, 0.1), "y_m", rounded((double)r->y_m, 0.1));
            FW_ASSERT(one != NULL);
            json_array_append_new(list, one);
        }
    return list;
}

json_t *fw_exam_result(const fw_exam_config *config, const fw_exam_run *run) {
    const uint32_t runs = config->runs;
    fw_exam_sums sums[FW_EXAM_RUNS_MAX];
    FW_ASSERT(runs >= 1 && runs <= FW_EXAM_RUNS_MAX);
    for (uint32_t i = 0; i < runs; i++) sums[i] = run[i].sums;
    fw_exam_sums t = total_of(sums, runs);
    json_t *out = json_pack("{s:i, s:s, s:b, s:i, s:i, s:i}", "exam_version", FW_EXAM_VERSION, "network",
                            config->network, "guard", config->guard, "runs", (int)runs, "cars",
                            (int)config->cars, "drives_wanted", (int)config->drives);
    FW_ASSERT(out != NULL);
    char conditions[FW_CONDITIONS_TEXT_MAX];
    fw_exam_conditions(config, conditions);
    json_object_set_new(out, "conditions", json_string(conditions));
    json_object_set_new(out, "bend_overlaps", json_integer(t.bend_overlaps));
    put_figures(out, sums, runs);
    put_clean(out, sums, runs, false);
    put(out, "red_light", share(t.red_light, t.drives));
    put(out, "km", t.distance_m / 1000);
    put(out, "veto_share", share((double)t.vetoes, (double)t.decisions));
    json_object_set_new(out, "desync", json_integer(t.desync));
    json_object_set_new(out, "not_started", json_integer(t.not_started));
    json_object_set_new(out, "unfinished", json_integer(t.unfinished));
    /* the worst reading: every drive the world lost counts as failed */
    uint32_t lost = t.lost + t.unfinished;
    put(out, "clean_lost_failed", share(t.clean, t.drives + lost));
    json_t *without = json_object();
    put_clean(without, sums, runs, true);
    json_object_set_new(out, "clean_without_listed_junctions", without);
    json_object_set_new(out, "collisions", collisions_of(&t));
    json_object_set_new(out, "per_run", fw_exam_sums_write(sums, runs));
    json_object_set_new(out, "failures", failures_of(run, runs));
    return out;
}
