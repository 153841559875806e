/* rollout_simulate.c - `flywheel rollout simulate`: detection curves over many seeds (detection.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/env.h"
#include "base/file.h"
#include "base/pace.h"
#include "base/statistics.h"
#include "cli/cli.h"
#include "cli/rollout.h"
#include "cli/stop.h"
#include "factory/rollout/detection.h"

enum { SEEDS_MAX = 100000 };

typedef struct options {
    uint64_t units, seeds, seed;
    const char *harm, *plan;
    bool table, json;
} options;

/* What came of one harm over all seeds. */
typedef struct curve {
    const fw_harm *harm;
    uint32_t seeds, halted, over_percent; /* over_percent: over 1 % of the fleet was told */
    uint32_t ended[FW_RINGS_MAX];         /* by ring */
    double *hours, *exposed, *km;         /* (seeds) */
} curve;

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    *o = (options){.units = 10000, .seeds = 100, .seed = 1};
    const fw_arg table[] = {{"--units", FW_ARG_U64, &o->units, 2, FW_DETECTION_UNITS_MAX},
                            {"--seeds", FW_ARG_U64, &o->seeds, 1, SEEDS_MAX},
                            {"--seed", FW_ARG_U64, &o->seed, 0, INT64_MAX},
                            {"--harm", FW_ARG_TEXT, &o->harm, 1, 40},
                            {"--plan", FW_ARG_TEXT, &o->plan, 1, 400},
                            {"--table", FW_ARG_FLAG, &o->table, 0, 0},
                            {"--json", FW_ARG_FLAG, &o->json, 0, 0}};
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if (o->table && o->harm) return fw_fail(error, FW_INVALID, "--harm or --table, not both");
    return FW_OK;
}

static fw_status read_plan(const options *o, fw_rollout_plan *plan, fw_error *error) {
    char *text;
    size_t size;
    if (!o->plan) return fw_rollout_plan_default((uint32_t)o->units, plan, error);
    FW_TRY(fw_file_read(o->plan, FW_ROLLOUT_PLAN_MAX_BYTES, &text, &size, error));
    fw_status status = fw_rollout_plan_parse(text, size, (uint32_t)o->units, plan, error);
    free(text);
    return status;
}

/* ---- many rollouts ---- */

static void note(curve *c, const fw_detection *d, uint64_t units) {
    c->hours[c->seeds] = d->hours;
    c->exposed[c->seeds] = (double)d->exposed / (double)units;
    c->km[c->seeds] = d->exposed_km;
    c->halted += d->end == FW_ROLLOUT_HALT;
    c->over_percent += (double)d->exposed > 0.01 * (double)units;
    c->ended[d->ring]++;
    c->seeds++;
}

static void show(const curve *c, uint64_t seeds, fw_pace *pace) {
    char words[96];
    fw_pace_note(pace, fw_env_mono_ns(fw_env_real()), c->seeds);
    fw_pace_words(fw_pace_per_s(pace), fw_pace_left_s(pace, (double)seeds), "rollouts", words, sizeof words);
    fprintf(stderr, "\r\033[K  %s: %u of %llu%s%s", c->harm->name, c->seeds, (unsigned long long)seeds,
            words[0] ? ", " : "", words);
}

static fw_status simulate(const options *o, const fw_rollout_plan *plan, curve *c, fw_error *error) {
    const fw_detection_world world = fw_detection_world_of();
    bool terminal = isatty(STDERR_FILENO);
    fw_pace pace;
    fw_pace_start(&pace, fw_env_mono_ns(fw_env_real()), 0);
    c->hours = calloc(3 * o->seeds, sizeof *c->hours);
    if (!c->hours) return fw_fail(error, FW_NO_MEMORY, "no memory for %llu rollouts", (unsigned long long)o->seeds);
    c->exposed = c->hours + o->seeds;
    c->km = c->exposed + o->seeds;
    for (uint64_t i = 0; i < o->seeds; i++) {
        fw_detection d = {0};
        if (fw_cli_stopped) return fw_fail(error, FW_INTERRUPTED, "interrupted");
        FW_TRY(fw_detect(plan, &world, c->harm, (uint32_t)o->units, o->seed + i, &d, error));
        note(c, &d, o->units);
        if (terminal && i % 16 == 0) show(c, o->seeds, &pace);
    }
    if (terminal) fputs("\r\033[K", stderr);
    return FW_OK;
}

/* ---- what came of it ---- */

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(const double *sorted, uint32_t count, double share) {
    return sorted[(uint32_t)(share * (count - 1) + 0.5)];
}

static void sort_all(curve *c) {
    qsort(c->hours, c->seeds, sizeof *c->hours, by_size);
    qsort(c->exposed, c->seeds, sizeof *c->exposed, by_size);
    qsort(c->km, c->seeds, sizeof *c->km, by_size);
}

static void print_head(const options *o, const fw_rollout_plan *plan) {
    fw_detection_world w = fw_detection_world_of();
    printf("%llu units, %llu seeds from %llu; alpha %g, beta %g, x%g to rule out\n", (unsigned long long)o->units,
           (unsigned long long)o->seeds, (unsigned long long)o->seed, plan->alpha, plan->beta, plan->harm_ratio);
    printf("assumed: %g events and %g vetoes a km; units' own factor gamma %g, a unit's hour gamma %g\n\n",
           w.events_per_km, w.vetoes_per_km, w.unit_shape, w.hour_shape);
    printf("%-24s %18s %7s  %-21s %-17s %s\n", "harm", "halted [95 %]", "> 1 %", "hours median/95 %/max",
           "fleet median/max", "km median/95 %");
}

static void print_curve(const curve *c, const fw_rollout_plan *plan) {
    fw_interval halted = fw_wilson95(c->halted, c->seeds);
    printf("%-24s %5.1f%% [%4.1f %5.1f] %7u  %6.1f %6.1f %6.1f  %7.2f%% %7.2f%%  %.0f %.0f\n", c->harm->name,
           100.0 * c->halted / c->seeds, 100 * halted.low, 100 * halted.high, c->over_percent,
           quantile(c->hours, c->seeds, 0.5), quantile(c->hours, c->seeds, 0.95), quantile(c->hours, c->seeds, 1),
           100 * quantile(c->exposed, c->seeds, 0.5), 100 * quantile(c->exposed, c->seeds, 1),
           quantile(c->km, c->seeds, 0.5), quantile(c->km, c->seeds, 0.95));
    printf("  ended in");
    for (uint32_t i = 0; i < plan->ring_count; i++)
        if (c->ended[i]) printf("  %s: %u", plan->rings[i].name, c->ended[i]);
    puts("");
}

static json_t *curve_json(const curve *c, const fw_rollout_plan *plan) {
    fw_interval halted = fw_wilson95(c->halted, c->seeds);
    json_t *rings = json_object();
    for (uint32_t i = 0; i < plan->ring_count; i++)
        json_object_set_new(rings, plan->rings[i].name, json_integer(c->ended[i]));
    return json_pack("{s:s,s:I,s:I,s:[f,f],s:I,s:o,s:{s:f,s:f,s:f},s:{s:f,s:f},s:{s:f,s:f}}", "harm", c->harm->name,
                     "seeds", (json_int_t)c->seeds, "halted", (json_int_t)c->halted, "halted_95", halted.low,
                     halted.high, "over_1_percent", (json_int_t)c->over_percent, "ended", rings, "hours", "median",
                     quantile(c->hours, c->seeds, 0.5), "p95", quantile(c->hours, c->seeds, 0.95), "max",
                     quantile(c->hours, c->seeds, 1), "exposed_share", "median", quantile(c->exposed, c->seeds, 0.5),
                     "max", quantile(c->exposed, c->seeds, 1), "exposed_km", "median", quantile(c->km, c->seeds, 0.5),
                     "p95", quantile(c->km, c->seeds, 0.95));
}

static fw_status run_one(const options *o, const fw_rollout_plan *plan, const fw_harm *harm, json_t *list,
                         fw_error *error) {
    curve c = {.harm = harm};
    fw_status status = simulate(o, plan, &c, error);
    if (status == FW_OK) {
        sort_all(&c);
        if (o->json) json_array_append_new(list, curve_json(&c, plan));
        else print_curve(&c, plan);
        fflush(stdout);
    }
    free(c.hours);
    return status;
}

/* --harm: "2" is events x2; or a name of the table. */
static fw_status find_harm(const char *text, fw_harm *own, const fw_harm **out, fw_error *error) {
    int count;
    char *end;
    const fw_harm *table = fw_harms(&count);
    double times = strtod(text, &end);
    for (int i = 0; i < count; i++)
        if (strcmp(table[i].name, text) == 0) return *out = &table[i], FW_OK;
    if (*end || !(times >= 0.01 && times <= 1000))
        return fw_fail(error, FW_INVALID, "--harm: '%s' is no factor from 0.01 to 1000 and no name of --table", text);
    static char name[40];
    snprintf(name, sizeof name, "events x%g", times);
    *own = (fw_harm){.name = name, .events = times, .vetoes = 1, .late_share = -1};
    *out = own;
    return FW_OK;
}

static fw_status run_all(const options *o, const fw_rollout_plan *plan, json_t *list, fw_error *error) {
    int count = 1;
    fw_harm own;
    const fw_harm *some = NULL;
    if (o->table) some = fw_harms(&count);
    else FW_TRY(find_harm(o->harm ? o->harm : "2", &own, &some, error));
    if (!o->json) print_head(o, plan);
    for (int i = 0; i < count; i++) FW_TRY(run_one(o, plan, &some[i], list, error));
    return FW_OK;
}

int fw_cli_rollout_simulate(int argc, char **argv) {
    fw_error error = {""};
    options o;
    fw_rollout_plan plan;
    fw_status status = read_options(argc, argv, &o, &error);
    if (status == FW_OK) status = read_plan(&o, &plan, &error);
    if (status == FW_INVALID) return fw_cli_usage("rollout", &error);
    if (status != FW_OK) return fw_cli_fail(&error);
    fw_cli_catch_stop();
    json_t *list = json_array();
    status = run_all(&o, &plan, list, &error);
    if (status == FW_OK && o.json) {
        char *text = json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(9));
        if (text) puts(text);
        free(text);
    }
    json_decref(list);
    fw_rollout_plan_free(&plan);
    if (status == FW_INVALID) return fw_cli_usage("rollout", &error);
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
