/* score.c - sums of drives, and the figures made of them; see exam.h */
#include <math.h>

#include "base/statistics.h"
#include "worlds/exam/exam.h"

enum { BOOTSTRAP_DRAWS = 2000, BOOTSTRAP_SEED = 1979 };

void fw_exam_add(fw_exam_sums *sums, const fw_drive_result *r) {
    bool clean = fw_drive_result_clean(r);
    sums->desync += r->desync;
    if (r->desync && clean) { /* nothing failed before the world lost it: not scored */
        sums->lost++;
        return;
    }
    double time_s = (double)r->ticks * (double)FW_DRIVE_TICK_S;
    sums->drives++;
    sums->clean += clean;
    sums->collisions += r->collision;
    sums->at_fault += r->collision && r->at_fault;
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
        t.time_s += s[i].time_s, t.jerk2_s += s[i].jerk2_s;
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

json_t *fw_exam_result(const fw_exam_config *config, const fw_exam_sums *sums, uint32_t runs) {
    FW_ASSERT(runs >= 1 && runs <= FW_EXAM_RUNS_MAX);
    fw_exam_sums t = total_of(sums, runs);
    double km = t.distance_m / 1000;
    json_t *out = json_object();
    json_object_set_new(out, "network", json_string(config->network));
    json_object_set_new(out, "guard", json_boolean(config->guard));
    put_clean(out, sums, runs, false);
    put(out, "collisions_per_km", share(t.collisions, km));
    put(out, "at_fault_per_km", share(t.at_fault, km));
    put(out, "red_light_runs_per_km", share((double)t.red_light_runs, km));
    put(out, "off_lane", share(t.off_lane, t.drives));
    put(out, "stuck", share(t.stuck, t.drives));
    put(out, "collision", share(t.collisions, t.drives));
    put(out, "red_light", share(t.red_light, t.drives));
    put(out, "hard_brakes_per_km", share((double)t.hard_brakes, km));
    put(out, "mean_speed_mps", share(t.distance_m, t.time_s));
    put(out, "jerk_rms", sqrt(share(t.jerk2_s, t.time_s)));
    put(out, "km", km);
    put(out, "veto_share", share((double)t.vetoes, (double)t.decisions));
    json_object_set_new(out, "desync", json_integer(t.desync));
    json_object_set_new(out, "not_started", json_integer(t.not_started));
    json_object_set_new(out, "unfinished", json_integer(t.unfinished));
    json_object_set_new(out, "runs", json_integer(runs));
    json_t *by_run = json_array(); /* for whoever resamples runs over several exams */
    for (uint32_t i = 0; i < runs; i++)
        json_array_append_new(by_run, json_pack("[i, i]", (int)sums[i].drives, (int)sums[i].clean));
    json_object_set_new(out, "by_run", by_run);
    /* the worst reading: every drive the world lost counts as failed */
    uint32_t lost = t.lost + t.unfinished;
    put(out, "clean_lost_failed", share(t.clean, t.drives + lost));
    json_t *without = json_object();
    put_clean(without, sums, runs, true);
    json_object_set_new(out, "clean_without_listed_junctions", without);
    return out;
}
