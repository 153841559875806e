/* compare.c - see compare.h */
#include "worlds/exam/compare.h"

#include <math.h>
#include <string.h>

/* The sums that the table of figures reads; and those of drives that came to a signal, which are 0 in results of
 * programs that did not count them. */
enum { DRIVES, CLEAN, COLLISIONS, AT_FAULT, OFF_LANE, STUCK, RED, BRAKES, DISTANCE, TIME, JERK2, NEEDED,
       SIGNAL = NEEDED, SIGNAL_CLEAN, SUMS };
static const char *const sum_names[SUMS] = {
    [DRIVES] = "drives",         [CLEAN] = "clean",           [COLLISIONS] = "collisions",
    [AT_FAULT] = "at_fault",     [OFF_LANE] = "off_lane",     [STUCK] = "stuck",
    [RED] = "red_light_runs",    [BRAKES] = "hard_brakes",    [DISTANCE] = "distance_m",
    [TIME] = "time_s",           [JERK2] = "jerk2_s",
    [SIGNAL] = "signal",         [SIGNAL_CLEAN] = "signal_clean",
};

static double get(const fw_exam_sums *s, int which) {
    const double all[SUMS] = {s->drives, s->clean, s->collisions, s->at_fault, s->off_lane, s->stuck,
                              (double)s->red_light_runs, (double)s->hard_brakes, s->distance_m, s->time_s,
                              s->jerk2_s, s->signal, s->signal_clean};
    return all[which];
}

static void set(fw_exam_sums *s, const double all[SUMS]) {
    *s = (fw_exam_sums){.drives = (uint32_t)all[DRIVES],
                        .clean = (uint32_t)all[CLEAN],
                        .collisions = (uint32_t)all[COLLISIONS],
                        .at_fault = (uint32_t)all[AT_FAULT],
                        .off_lane = (uint32_t)all[OFF_LANE],
                        .stuck = (uint32_t)all[STUCK],
                        .red_light_runs = (uint64_t)all[RED],
                        .hard_brakes = (uint64_t)all[BRAKES],
                        .distance_m = all[DISTANCE],
                        .time_s = all[TIME],
                        .jerk2_s = all[JERK2],
                        .signal = (uint32_t)all[SIGNAL],
                        .signal_clean = (uint32_t)all[SIGNAL_CLEAN]};
}

json_t *fw_exam_sums_write(const fw_exam_sums *sums, uint32_t runs) {
    json_t *out = json_object();
    for (int k = 0; k < SUMS; k++) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < runs; i++)
            json_array_append_new(list, json_real(round(get(&sums[i], k) * 1e3) / 1e3));
        json_object_set_new(out, sum_names[k], list);
    }
    return out;
}

fw_status fw_exam_sums_read(const json_t *per_run, fw_exam_sums *sums, uint32_t runs, fw_error *error) {
    for (uint32_t i = 0; i < runs; i++) {
        double all[SUMS];
        for (int k = 0; k < SUMS; k++) {
            const json_t *list = json_object_get(per_run, sum_names[k]), *one = json_array_get(list, i);
            all[k] = json_number_value(one);
            if (k >= NEEDED && list == NULL) continue;
            if (json_array_size(list) != runs || !json_is_number(one) || !(all[k] >= 0) || all[k] > 1e9)
                return fw_fail(error, FW_CORRUPT, "per_run.%s is no list of %u sums", sum_names[k], runs);
        }
        set(&sums[i], all);
    }
    return FW_OK;
}

static fw_status check_same(const json_t *a, const json_t *b, fw_error *error) {
    static const char *const same[] = {"exam_version", "network", "runs", "cars", "drives_wanted",
                                       "conditions"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const json_t *x = json_object_get(a, same[i]), *y = json_object_get(b, same[i]);
        if (x == NULL || y == NULL)
            return fw_fail(error, FW_INVALID, "no \"%s\" in %s: no exam result of this version", same[i],
                           x ? "the second" : "the first");
        if (!json_equal(x, y))
            return fw_fail(error, FW_INVALID, "the exams differ in \"%s\": only the same runs can be compared",
                           same[i]);
    }
    return FW_OK;
}

static json_t *row(const fw_exam_figure *f, const fw_exam_sums *a, const fw_exam_sums *b, uint32_t runs) {
    const double x = fw_exam_value(f, a, runs), y = fw_exam_value(f, b, runs);
    const fw_interval of = fw_exam_difference(f, a, b, runs);
    const int side = of.low > 0 ? 1 : of.high < 0 ? -1 : 0;
    json_t *out = json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:s}", "name", f->name, "a", x, "b", y, "difference",
                            y - x, "low", of.low, "high", of.high, "better",
                            side * f->better > 0   ? "b"
                            : side * f->better < 0 ? "a"
                                                   : "");
    FW_ASSERT(out != NULL);
    return out;
}

fw_status fw_exam_compare(const json_t *a, const json_t *b, json_t **out, fw_error *error) {
    fw_exam_sums sums[2][FW_EXAM_RUNS_MAX];
    FW_TRY(check_same(a, b, error));
    const json_int_t runs = json_integer_value(json_object_get(a, "runs"));
    if (runs < 1 || runs > FW_EXAM_RUNS_MAX)
        return fw_fail(error, FW_CORRUPT, "an exam of %lld runs", (long long)runs);
    FW_TRY(fw_exam_sums_read(json_object_get(a, "per_run"), sums[0], (uint32_t)runs, error));
    FW_TRY(fw_exam_sums_read(json_object_get(b, "per_run"), sums[1], (uint32_t)runs, error));
    json_t *figures = json_array();
    for (const fw_exam_figure *f = fw_exam_figures(); f->name; f++)
        json_array_append_new(figures, row(f, sums[0], sums[1], (uint32_t)runs));
    *out = json_pack("{s:I, s:o}", "runs", runs, "figures", figures);
    FW_ASSERT(*out != NULL);
    return FW_OK;
}
