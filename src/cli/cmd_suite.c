/* flywheel suite ngsim: scenes imported, split by overlap group, written as suites (scenario/suite.h). */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/env.h"
#include "base/pace.h"
#include "cli/cli.h"
#include "cli/stop.h"
#include "cli/table.h"
#include "import/import.h"
#include "lines/driving/learn/scenario/overlap.h"
#include "lines/driving/learn/scenario/scene.h"
#include "lines/driving/learn/scenario/suite.h"

enum { SCENES_MAX = 4096, INDEX_BYTES_MAX = 4 << 20, NAME_MAX_BYTES = 64, GROUPS_MAX = SCENES_MAX };

static const char help_text[] =
    "usage: flywheel suite ngsim FOLDER --out FOLDER [--json]\n\n"
    "Imports the CommonRoad scenes of NGSIM (US-101 and Lankershim) that lie in a folder with an index.csv of\n"
    "the columns scene and overlap_group, and writes what there is to drive in as suites:\n\n"
    "  train.json      three quarters of each site's overlap groups, joined where scenes show the same people\n"
    "  heldout.json    the rest, sealed: training refuses it\n"
    "  us101.json, lanker.json   all of one site, to see what is learned on one and holds on the other\n"
    "  scenes/         the scenes as recordings, by hash\n\n"
    "Which groups are held out follows from their names alone. A repeated run changes nothing; a suite that is\n"
    "there with other content is not overwritten. Scenes in which nobody can be driven, and scenes that show the\n"
    "traffic of another one in another frame, are imported but in no suite.\n\n"
    "  --out FOLDER    where they go\n"
    "  --json          the counts as JSON\n";

typedef struct scene {
    char name[NAME_MAX_BYTES]; /* USA_US101-22_1_T-1 */
    fw_suite_item item;
    fw_hash traffic; /* fw_scene_traffic */
    uint32_t starts; /* 0: nothing to drive, or nothing new */
} scene;

typedef struct work {
    const char *folder, *out;
    bool json;
    char scenes_folder[FW_PATH_MAX];
    scene *scenes;
    fw_overlap *overlap;
    uint32_t count, empty, doubles, joined;
} work;

/* ---- the index ---- */

/* Cell `column` of a line of comma-separated values without quotes; false when there are fewer. */
static bool cell(const char *line, size_t size, size_t column, char *out, size_t room) {
    const char *at = line, *end = line + size;
    while (column-- > 0) {
        at = memchr(at, ',', (size_t)(end - at));
        if (!at++) return false;
    }
    const char *comma = memchr(at, ',', (size_t)(end - at));
    size_t bytes = (size_t)((comma ? comma : end) - at);
    if (bytes >= room) return false;
    memcpy(out, at, bytes);
    out[bytes] = '\0';
    return true;
}

static fw_status find_column(const char *line, size_t size, const char *name, size_t *out, fw_error *error) {
    char title[NAME_MAX_BYTES];
    for (size_t i = 0; cell(line, size, i, title, sizeof title); i++)
        if (strcmp(title, name) == 0) {
            *out = i;
            return FW_OK;
        }
    return fw_fail(error, FW_CORRUPT, "index.csv has no column %s", name);
}

/* The site of USA_SITE-1_2_T-3. */
static bool site_of(const char *name, char *out, size_t room) {
    const char *from = strchr(name, '_'), *to = from ? strchr(from, '-') : NULL;
    if (!to || to - from - 1 < 1 || (size_t)(to - from - 1) >= room || strchr(name, '/')) return false;
    memcpy(out, from + 1, (size_t)(to - from - 1));
    out[to - from - 1] = '\0';
    return true;
}

static fw_status read_row(work *w, const char *line, size_t size, size_t name_at, size_t group_at, uint64_t number,
                          fw_error *error) {
    if (w->count == SCENES_MAX) return fw_fail(error, FW_TOO_BIG, "index.csv: over %d scenes", SCENES_MAX);
    scene *s = &w->scenes[w->count];
    fw_scenario_tags *tags = &s->item.tags;
    if (!cell(line, size, name_at, s->name, sizeof s->name) ||
        !cell(line, size, group_at, tags->group, sizeof tags->group) || !tags->group[0] ||
        !site_of(s->name, tags->site, sizeof tags->site))
        return fw_fail(error, FW_CORRUPT, "index.csv, line %" PRIu64 ": wants a scene like USA_US101-1_1_T-1 and its group",
                       number);
    w->count++;
    return FW_OK;
}

static fw_status read_lines(work *w, const char *text, size_t size_bytes, fw_error *error) {
    const char *at = text, *line = NULL;
    size_t size = 0, name_at = 0, group_at = 0;
    uint64_t number = 0;
    if (!fw_import_line(&at, text + size_bytes, &line, &size, &number))
        return fw_fail(error, FW_CORRUPT, "index.csv is empty");
    FW_TRY(find_column(line, size, "scene", &name_at, error));
    FW_TRY(find_column(line, size, "overlap_group", &group_at, error));
    while (fw_import_line(&at, text + size_bytes, &line, &size, &number))
        if (size > 0) FW_TRY(read_row(w, line, size, name_at, group_at, number, error));
    return FW_OK;
}

static fw_status read_index(work *w, fw_error *error) {
    char path[FW_PATH_MAX], *text = NULL;
    size_t size = 0;
    fw_path_join(path, sizeof path, w->folder, "index.csv");
    w->scenes = calloc(SCENES_MAX, sizeof *w->scenes);
    if (!w->scenes) return fw_fail(error, FW_NO_MEMORY, "no memory");
    FW_TRY(fw_file_read(path, INDEX_BYTES_MAX, &text, &size, error));
    fw_status status = read_lines(w, text, size, error);
    free(text);
    return status;
}

/* ---- import ---- */

static fw_status import_scene(const work *w, scene *s, fw_error *error) {
    char path[FW_PATH_MAX];
    fw_import_result made;
    fw_error why = {""};
    const fw_import_label labels[] = {{"site", s->item.tags.site}, {"group", s->item.tags.group}};
    snprintf(path, sizeof path, "%.400s/%s.xml.gz", w->folder, s->name);
    if (!fw_file_exists(path)) snprintf(path, sizeof path, "%.400s/%s.xml", w->folder, s->name);
    fw_import_request request = {.source = path, .unit = "ngsim", .line = "driving", .folder = w->scenes_folder,
                                 .labels = labels, .label_count = 2, .interrupted = &fw_cli_stopped};
    fw_status status = fw_import("commonroad", &request, &made, &why);
    if (status != FW_OK) return fw_fail(error, status, "%s: %.300s", s->name, why.text);
    if (made.count != 1)
        status = fw_fail(error, FW_TOO_BIG, "%s fills %u recordings, a scene is one", s->name, made.count);
    else {
        s->item.hash = made.files[0].hash;
        snprintf(s->item.file, sizeof s->item.file, "scenes/%s.mcap", made.files[0].hash.hex);
    }
    fw_import_result_clear(&made);
    return status;
}

static bool told_before(const work *w, const scene *s) {
    for (const scene *other = w->scenes; other < s; other++)
        if (other->starts > 0 && strcmp(other->traffic.hex, s->traffic.hex) == 0) return true;
    return false;
}

static fw_status count_in(work *w, scene *s, const fw_scene *read, fw_error *error) {
    fw_scenario *scenario = NULL;
    fw_scene_report report;
    FW_TRY(fw_overlap_add(w->overlap, read, error));
    FW_TRY(fw_scene_traffic(read, &s->traffic, error));
    if (told_before(w, s)) {
        w->doubles++;
        return FW_OK;
    }
    fw_status status = fw_scenario_of_scene(read, fw_vehicles_builtin(), &scenario, &report, error);
    fw_scenario_free(status == FW_OK ? scenario : NULL);
    s->starts = report.starts;
    w->empty += report.starts == 0;
    return status == FW_INVALID ? FW_OK : status; /* nothing to drive is no failure */
}

static fw_status count_starts(work *w, scene *s, fw_error *error) {
    char path[FW_PATH_MAX], *bytes = NULL;
    size_t size = 0;
    fw_scene *read = NULL;
    fw_path_join(path, sizeof path, w->out, s->item.file);
    FW_TRY(fw_file_read(path, FW_SCENARIO_FILE_MAX, &bytes, &size, error));
    fw_status status = fw_scene_parse(bytes, size, &read, error);
    free(bytes);
    if (status == FW_OK) status = count_in(w, s, read, error);
    fw_scene_free(read);
    return status;
}

static void show(const work *w, const fw_pace *pace, uint32_t done) {
    char words[80];
    if (!isatty(STDERR_FILENO)) return;
    fw_pace_words(fw_pace_per_s(pace), fw_pace_left_s(pace, w->count), "scenes", words, sizeof words);
    fprintf(stderr, "\r%u of %u scenes  %s\033[K%s", done, w->count, words, done == w->count ? "\n" : "");
}

static fw_status import_all(work *w, fw_error *error) {
    fw_pace pace;
    fw_path_join(w->scenes_folder, sizeof w->scenes_folder, w->out, "scenes");
    FW_TRY(fw_folder_make(w->scenes_folder, 0755, error));
    fw_pace_start(&pace, fw_env_mono_ns(fw_env_real()), 0);
    for (uint32_t i = 0; i < w->count; i++) {
        if (fw_cli_stopped) return fw_fail(error, FW_INTERRUPTED, "interrupted");
        FW_TRY(import_scene(w, &w->scenes[i], error));
        FW_TRY(count_starts(w, &w->scenes[i], error));
        fw_pace_note(&pace, fw_env_mono_ns(fw_env_real()), i + 1);
        show(w, &pace, i + 1);
    }
    return FW_OK;
}

/* ---- groups ---- */

static bool same_group(const scene *a, const scene *b) {
    return strcmp(a->item.tags.site, b->item.tags.site) == 0 && strcmp(a->item.tags.group, b->item.tags.group) == 0;
}

/* Groups of the index that show the same people become one, by the name of the first. */
static fw_status join_groups(work *w, fw_error *error) {
    uint32_t *first = calloc((size_t)w->count + 1, sizeof *first);
    if (!first) return fw_fail(error, FW_NO_MEMORY, "no memory");
    for (uint32_t i = 0; i < w->count; i++)
        while (!same_group(&w->scenes[first[i]], &w->scenes[i])) first[i]++;
    fw_status status = fw_overlap_join(w->overlap, first, error);
    for (uint32_t i = 0; status == FW_OK && i < w->count; i++) {
        if (same_group(&w->scenes[i], &w->scenes[first[i]])) continue;
        w->scenes[i].item.tags = w->scenes[first[i]].item.tags;
        w->joined++;
    }
    free(first);
    return status;
}

/* ---- the split ---- */

static uint32_t place_of(const char **names, uint32_t *count, const char *name) {
    uint32_t i = 0;
    while (i < *count && strcmp(names[i], name) != 0) i++;
    if (i == *count) names[(*count)++] = name;
    return i;
}

/* Of all groups of the index, whether there is something to drive in them or not. */
static fw_status seal_site(work *w, const char *site, fw_error *error) {
    const char **groups = calloc(w->count, sizeof *groups);
    bool *held_out = calloc(w->count, sizeof *held_out);
    uint32_t count = 0;
    fw_status status = groups && held_out ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory");
    for (uint32_t i = 0; status == FW_OK && i < w->count; i++)
        if (strcmp(w->scenes[i].item.tags.site, site) == 0) place_of(groups, &count, w->scenes[i].item.tags.group);
    if (status == FW_OK) status = fw_suite_hold_out(site, groups, count, held_out, error);
    for (uint32_t i = 0; status == FW_OK && i < w->count; i++)
        if (strcmp(w->scenes[i].item.tags.site, site) == 0)
            w->scenes[i].item.sealed = held_out[place_of(groups, &count, w->scenes[i].item.tags.group)];
    free(groups);
    free(held_out);
    return status;
}

static fw_status seal(work *w, fw_error *error) {
    const char **sites = calloc((size_t)w->count + 1, sizeof *sites);
    uint32_t count = 0;
    fw_status status = sites ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory");
    for (uint32_t i = 0; status == FW_OK && i < w->count; i++) place_of(sites, &count, w->scenes[i].item.tags.site);
    for (uint32_t i = 0; status == FW_OK && i < count; i++) status = seal_site(w, sites[i], error);
    free(sites);
    return status;
}

/* ---- the suites ---- */

typedef struct wanted {
    const char *name, *site; /* site NULL: all */
    int sealed;              /* -1: either */
} wanted;

static bool belongs(const wanted *which, const scene *s) {
    return s->starts > 0 && (!which->site || strcmp(which->site, s->item.tags.site) == 0) &&
           (which->sealed < 0 || which->sealed == (int)s->item.sealed);
}

static int by_group(const void *a, const void *b) {
    const fw_suite_item *x = a, *y = b;
    int order = strcmp(x->tags.site, y->tags.site);
    if (order == 0) order = strcmp(x->tags.group, y->tags.group);
    return order ? order : strcmp(x->hash.hex, y->hash.hex);
}

static uint32_t group_count(const fw_suite *suite) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < suite->count; i++)
        count += i == 0 || strcmp(suite->items[i].tags.group, suite->items[i - 1].tags.group) != 0 ||
                 strcmp(suite->items[i].tags.site, suite->items[i - 1].tags.site) != 0;
    return count;
}

static fw_status write_suite(const work *w, const wanted *which, fw_table *table, json_t *rows, fw_error *error) {
    char file[64], path[FW_PATH_MAX];
    uint32_t starts = 0;
    fw_suite suite = {.items = calloc((size_t)w->count + 1, sizeof *suite.items)};
    if (!suite.items) return fw_fail(error, FW_NO_MEMORY, "no memory");
    snprintf(suite.name, sizeof suite.name, "%s", which->name);
    for (uint32_t i = 0; i < w->count; i++)
        if (belongs(which, &w->scenes[i])) {
            suite.items[suite.count++] = w->scenes[i].item;
            starts += w->scenes[i].starts;
        }
    qsort(suite.items, suite.count, sizeof *suite.items, by_group);
    snprintf(file, sizeof file, "%s.json", which->name);
    fw_path_join(path, sizeof path, w->out, file);
    fw_status status = fw_suite_write(path, &suite, error);
    if (status == FW_OK) {
        fw_table_cell(table, "%s", file);
        fw_table_cell(table, "%u", suite.count);
        fw_table_cell(table, "%u", group_count(&suite));
        fw_table_cell(table, "%u", starts);
        json_array_append_new(rows, json_pack("{s:s,s:I,s:I,s:I}", "suite", file, "files", (json_int_t)suite.count,
                                              "groups", (json_int_t)group_count(&suite), "starts", (json_int_t)starts));
    }
    fw_suite_clear(&suite);
    return status;
}

static fw_status write_all(const work *w, fw_error *error) {
    static const wanted all[] = {{"train", NULL, 0}, {"heldout", NULL, 1}, {"us101", "US101", -1}, {"lanker", "Lanker", -1}};
    fw_table table = {.columns = 4, .titles = {"suite", "files", "groups", "starts"}, .right = {[1] = true, [2] = true, [3] = true}};
    json_t *rows = json_array();
    fw_status status = FW_OK;
    for (size_t i = 0; i < sizeof all / sizeof *all && status == FW_OK; i++)
        status = write_suite(w, &all[i], &table, rows, error);
    if (status == FW_OK && w->json) {
        json_t *json = json_pack("{s:O,s:I,s:I,s:I,s:I}", "suites", rows, "scenes", (json_int_t)w->count, "empty",
                                 (json_int_t)w->empty, "doubles", (json_int_t)w->doubles, "joined",
                                 (json_int_t)w->joined);
        char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
        if (text) puts(text);
        free(text);
        json_decref(json);
    } else if (status == FW_OK) {
        fw_table_print(&table, stdout);
        printf("%u scenes; left out: %u in which nobody can be driven for %.0f s, %u with the traffic of another; "
               "%u in another's group than the index says, for the people in both\n",
               w->count, w->empty, (double)FW_SCENARIO_TICKS_MIN * (double)FW_DRIVE_TICK_S, w->doubles, w->joined);
    }
    json_decref(rows);
    fw_table_clear(&table);
    return status;
}

static fw_status make(work *w, fw_error *error) {
    fw_cli_catch_stop();
    FW_TRY(read_index(w, error));
    FW_TRY(fw_overlap_new(&w->overlap, error));
    FW_TRY(import_all(w, error));
    FW_TRY(join_groups(w, error));
    FW_TRY(seal(w, error));
    return write_all(w, error);
}

static fw_status read_options(int argc, char **argv, work *w, fw_error *error) {
    static const char *const flags[] = {"--json", "--help", NULL};
    const char *words[2] = {""};
    int count = 0;
    const fw_arg table[] = {{"--out", FW_ARG_TEXT, &w->out, 1, 300}, {"--json", FW_ARG_FLAG, &w->json, 0, 0}};
    FW_TRY(fw_cli_words(&argc, argv, flags, words, 2, &count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if (count < 2 || strcmp(words[0], "ngsim") != 0) return fw_fail(error, FW_INVALID, "want ngsim FOLDER");
    if (!w->out) return fw_fail(error, FW_INVALID, "needs --out FOLDER");
    if (strlen(words[1]) > 300) return fw_fail(error, FW_INVALID, "the folder's name is too long");
    w->folder = words[1];
    return FW_OK;
}

int fw_cmd_suite(int argc, char **argv) {
    work w = {.json = false};
    fw_error error = {""};
    if (fw_cli_asks_help(argc, argv, help_text)) return FW_CLI_DONE;
    if (read_options(argc, argv, &w, &error) != FW_OK) return fw_cli_usage("suite", &error);
    fw_status status = make(&w, &error);
    free(w.scenes);
    fw_overlap_free(w.overlap);
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
