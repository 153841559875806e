/* flywheel scenario FILE...: what there is to drive in recordings and scenes (learn/scenario/). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "lines/driving/learn/scenario/scenario_picture.h"
#include "lines/driving/learn/scenario/scene.h"

enum { FILES_MAX = 4096 };

static const char help_text[] =
    "usage: flywheel scenario FILE... [--svg FILE] [--json]\n\n"
    "Makes scenarios of units' recordings and imported scenes, as training and evaluation do, and says what there\n"
    "is to drive: tracks, routes, starts, how many tracks are left out and why, what smoothing moved (root mean\n"
    "square and 99th percentile, m; accelerations at the 0.5 and 99.5 percentile before and after, m/s2), and how\n"
    "many logged drives leave the drivable area by a corner.\n\n"
    "  --svg FILE       a picture of the one scenario\n"
    "  --json           a line of JSON for each file\n";

typedef struct options {
    const char *svg;
    bool json;
} options;

/* One file read; `is_scene` false: a unit's, of which only the counts are known. */
typedef struct look {
    char name[64];
    bool is_scene;
    fw_scenario *scenario; /* NULL: nothing to drive */
    fw_scenario_tags tags;
    fw_scene_report report;
} look;

typedef struct totals {
    uint32_t files, empty, tracks, starts, off_area;
    uint32_t fates[FW_SCENE_FATE_COUNT];
} totals;

/* ---- reading ---- */

static fw_status read_scene(const char *bytes, size_t size, look *out, fw_error *error) {
    fw_scene *scene = NULL;
    FW_TRY(fw_scene_parse(bytes, size, &scene, error));
    snprintf(out->name, sizeof out->name, "%s", scene->name);
    out->tags = scene->tags;
    fw_status status = fw_scenario_of_scene(scene, fw_vehicles_builtin(), &out->scenario, &out->report, error);
    fw_scene_free(scene);
    return status == FW_INVALID ? FW_OK : status; /* nothing to drive is an answer */
}

static fw_status read_unit(const char *bytes, size_t size, look *out, fw_error *error) {
    FW_TRY(fw_scenario_parse(bytes, size, fw_vehicles_builtin(), &out->scenario, error));
    out->tags = out->scenario->tags;
    out->report = (fw_scene_report){.tracks = out->scenario->track_count, .ticks = out->scenario->ticks,
                                    .lanelets = out->scenario->lane_count, .starts = out->scenario->start_count};
    return FW_OK;
}

static fw_status read_file(const char *path, look *out, fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    fw_error why = {""};
    const char *slash = strrchr(path, '/');
    *out = (look){.is_scene = false};
    snprintf(out->name, sizeof out->name, "%s", slash ? slash + 1 : path);
    FW_TRY(fw_file_read(path, FW_SCENARIO_FILE_MAX, &bytes, &size, error));
    out->is_scene = fw_scene_is(bytes, size);
    fw_status status = out->is_scene ? read_scene(bytes, size, out, &why) : read_unit(bytes, size, out, &why);
    free(bytes);
    return status == FW_OK ? FW_OK : fw_fail(error, status, "%.100s: %s", path, why.text);
}

/* ---- printing ---- */

static json_t *spread_json(const fw_scene_spread *s) { return json_pack("[f,f,f]", s->low, s->middle, s->high); }

static void print_json(const look *l) {
    const fw_scene_report *r = &l->report;
    json_t *json = json_pack("{s:s,s:b,s:s,s:s,s:i,s:i,s:i,s:i,s:i}", "name", l->name, "scene", (int)l->is_scene, "site",
                             l->tags.site, "group", l->tags.group, "ticks", (int)r->ticks, "lanelets",
                             (int)r->lanelets, "tracks", (int)r->tracks, "routes",
                             l->scenario ? (int)l->scenario->route_count : 0, "starts", (int)r->starts);
    if (json && l->is_scene) {
        json_t *fates = json_object();
        for (int i = 0; i < FW_SCENE_FATE_COUNT; i++)
            json_object_set_new(fates, fw_scene_fate_text((fw_scene_fate)i), json_integer((json_int_t)r->fates[i]));
        json_object_set_new(json, "fates", fates);
        json_object_set_new(json, "starts_off_area", json_integer((json_int_t)r->off_area));
        json_object_set_new(json, "residual_rms_m", json_real(r->residual_rms_m));
        json_object_set_new(json, "residual_p99_m", json_real(r->residual_p99_m));
        json_object_set_new(json, "accel_before_mps2", spread_json(&r->accel_before));
        json_object_set_new(json, "accel_after_mps2", spread_json(&r->accel_after));
        json_object_set_new(json, "curvature_max_pm", json_real(r->curvature_max_pm));
        json_object_set_new(json, "goal_side_max_m", json_real(r->goal_side_max_m));
    }
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text) puts(text);
    free(text);
    json_decref(json);
}

static void add_row(fw_table *t, const look *l) {
    const fw_scene_report *r = &l->report;
    fw_table_cell(t, "%s", l->name);
    fw_table_cell(t, "%s", l->tags.group);
    fw_table_cell(t, "%u", r->ticks);
    fw_table_cell(t, "%u", r->tracks);
    fw_table_cell(t, "%u", l->scenario ? l->scenario->route_count : 0);
    fw_table_cell(t, "%u", r->starts);
    if (l->is_scene) {
        fw_table_cell(t, "%u", r->off_area);
        fw_table_cell(t, "%.3f", r->residual_rms_m);
        fw_table_cell(t, "%.2f", r->residual_p99_m);
        fw_table_cell(t, "%.1f..%.1f", r->accel_before.low, r->accel_before.high);
        fw_table_cell(t, "%.1f..%.1f", r->accel_after.low, r->accel_after.high);
    } else {
        for (int i = 0; i < 5; i++) fw_table_cell(t, "-");
    }
}

static void print_totals(const totals *t) {
    printf("%u files (%u with nothing to drive), %u tracks, %u starts, %u of them off the area in the log (%.1f %%)\n",
           t->files, t->empty, t->tracks, t->starts, t->off_area,
           t->starts ? 100.0 * (double)t->off_area / (double)t->starts : 0.0);
    for (int i = 0, shown = 0; i < FW_SCENE_FATE_COUNT; i++)
        if (t->fates[i] > 0) printf("%s%s: %u", shown++ ? ", " : "scenes' tracks: ", fw_scene_fate_text((fw_scene_fate)i), t->fates[i]);
    putchar('\n');
}

static void add_totals(totals *t, const look *l) {
    t->files++;
    t->empty += l->report.starts == 0;
    t->tracks += l->report.tracks;
    t->starts += l->report.starts;
    t->off_area += l->report.off_area;
    for (int i = 0; i < FW_SCENE_FATE_COUNT; i++) t->fates[i] += l->report.fates[i];
}

static fw_status write_svg(const char *path, const fw_scenario *scenario, fw_error *error) {
    char *text = NULL;
    size_t size = 0;
    if (!scenario) return fw_fail(error, FW_INVALID, "there is nothing to drive in it, so nothing to draw");
    FILE *out = open_memstream(&text, &size);
    if (!out) return fw_fail(error, FW_NO_MEMORY, "no memory for the picture");
    fw_scenario_picture(scenario, out);
    bool fine = fclose(out) == 0;
    fw_status status = fine ? fw_file_write_durable(fw_env_real(), path, text, size, error)
                            : fw_fail(error, FW_NO_MEMORY, "no memory for the picture");
    free(text);
    return status;
}

static fw_status show_all(const options *o, const char *const *files, int count, fw_error *error) {
    fw_table table = {.columns = 11,
                      .titles = {"file", "group", "ticks", "tracks", "routes", "starts", "off area", "moved m", "p99 m",
                                 "a before", "a after"},
                      .right = {[2] = true, true, true, true, true, true, true, true, true}};
    totals sum = {.files = 0};
    fw_status status = FW_OK;
    for (int i = 0; i < count && status == FW_OK; i++) {
        look seen;
        status = read_file(files[i], &seen, error);
        if (status != FW_OK) break;
        if (o->json) print_json(&seen);
        else add_row(&table, &seen);
        add_totals(&sum, &seen);
        if (o->svg) status = write_svg(o->svg, seen.scenario, error);
        fw_scenario_free(seen.scenario);
    }
    if (!o->json && status == FW_OK) {
        fw_table_print(&table, stdout);
        print_totals(&sum);
    }
    fw_table_clear(&table);
    return status;
}

int fw_cmd_scenario(int argc, char **argv) {
    static const char *const flags[] = {"--json", "--help", NULL};
    const char **files = calloc(FILES_MAX, sizeof *files);
    options o = {.json = false};
    fw_error error = {""};
    int count = 0;
    const fw_arg table[] = {{"--svg", FW_ARG_TEXT, &o.svg, 1, 400}, {"--json", FW_ARG_FLAG, &o.json, 0, 0}};
    if (fw_cli_asks_help(argc, argv, help_text)) {
        free(files);
        return FW_CLI_DONE;
    }
    if (!files) return fw_cli_fail(&(fw_error){"no memory"});
    fw_status status = fw_cli_words(&argc, argv, flags, files, FILES_MAX, &count, &error);
    if (status == FW_OK) status = fw_args_parse(argc, argv, table, sizeof table / sizeof *table, &error);
    if (status == FW_OK && count == 0) status = fw_fail(&error, FW_INVALID, "which files?");
    if (status == FW_OK && o.svg && count > 1) status = fw_fail(&error, FW_INVALID, "--svg draws one file");
    bool usage = status != FW_OK;
    if (!usage) status = show_all(&o, files, count, &error);
    free(files);
    if (status == FW_OK) return FW_CLI_DONE;
    return usage ? fw_cli_usage("scenario", &error) : fw_cli_fail(&error);
}
