/* Which files an evaluation drives in, and what their suites say of them. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/evaluate.h"
#include "lines/driving/learn/scenario/suite.h"

enum { FILES_MAX = 1 << 20 };

typedef struct file {
    char *path; /* owned */
    fw_hash hash;
    fw_scenario_tags tags; /* of its suite; group empty: it came without one, and says itself */
} file;

typedef struct files {
    file *items; /* owned; sorted by path, each once */
    const char **paths;
    uint32_t count, room;
} files;

static void files_clear(files *f) {
    for (uint32_t i = 0; i < f->count; i++) free(f->items[i].path);
    free(f->items);
    free(f->paths);
}

/* item NULL: no suite names it. */
static fw_status add_file(files *f, const char *path, const fw_suite_item *item, fw_error *error) {
    if (f->count == FILES_MAX) return fw_fail(error, FW_TOO_BIG, "over %d files", FILES_MAX);
    if (f->count == f->room) {
        uint32_t room = f->room ? 2 * f->room : 64;
        file *more = realloc(f->items, room * sizeof *more);
        if (!more) return fw_fail(error, FW_NO_MEMORY, "no memory for %u names", room);
        f->items = more, f->room = room;
    }
    file one = {.path = strdup(path)};
    if (!one.path) return fw_fail(error, FW_NO_MEMORY, "no memory for a name");
    if (item) one.hash = item->hash, one.tags = item->tags;
    f->items[f->count++] = one;
    return FW_OK;
}

static bool ends_in(const char *text, const char *with) {
    size_t size = strlen(text), tail = strlen(with);
    return size >= tail && strcmp(text + size - tail, with) == 0;
}

static fw_status add_suite(files *f, const char *path, fw_error *error) {
    fw_suite suite;
    FW_TRY(fw_suite_read(path, &suite, error));
    fw_status status = suite.count > 0 ? FW_OK : fw_fail(error, FW_INVALID, "%.300s: the suite is empty", path);
    for (uint32_t i = 0; i < suite.count && status == FW_OK; i++) {
        char place[FW_PATH_MAX];
        status = fw_suite_path(path, &suite.items[i], place, error);
        if (status == FW_OK) status = add_file(f, place, &suite.items[i], error);
    }
    fw_suite_clear(&suite);
    return status;
}

static fw_status add_folder(files *f, const char *folder, fw_error *error) {
    DIR *dir = opendir(folder);
    if (!dir) return fw_fail_errno(error, "cannot read %s", folder);
    fw_status status = FW_OK;
    uint32_t before = f->count;
    for (const struct dirent *one; status == FW_OK && (one = readdir(dir));) {
        char path[2 * FW_PATH_MAX];
        if (one->d_name[0] == '.' || !ends_in(one->d_name, ".mcap")) continue;
        snprintf(path, sizeof path, "%.500s/%.255s", folder, one->d_name);
        status = add_file(f, path, NULL, error);
    }
    closedir(dir);
    if (status == FW_OK && f->count == before) return fw_fail(error, FW_NOT_FOUND, "%s holds no *.mcap", folder);
    return status;
}

static fw_status add_source(files *f, const char *path, fw_error *error) {
    struct stat about;
    if (stat(path, &about) != 0) return fw_fail_errno(error, "cannot read %s", path);
    if (S_ISDIR(about.st_mode)) return add_folder(f, path, error);
    return ends_in(path, ".json") ? add_suite(f, path, error) : add_file(f, path, NULL, error);
}

/* Those that a suite names come first of the same path: what it says of them counts. */
static int by_path(const void *a, const void *b) {
    const file *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order != 0 ? order : (y->tags.group[0] != '\0') - (x->tags.group[0] != '\0');
}

static fw_status sort_files(files *f, fw_error *error) {
    uint32_t kept = 0;
    qsort(f->items, f->count, sizeof *f->items, by_path);
    for (uint32_t i = 0; i < f->count; i++) {
        if (kept > 0 && strcmp(f->items[kept - 1].path, f->items[i].path) == 0) free(f->items[i].path);
        else f->items[kept++] = f->items[i];
    }
    f->count = kept;
    f->paths = calloc((size_t)kept + 1, sizeof *f->paths);
    if (!f->paths) return fw_fail(error, FW_NO_MEMORY, "no memory for %u names", kept);
    for (uint32_t i = 0; i < kept; i++) f->paths[i] = f->items[i].path;
    return FW_OK;
}

/* A suite knows site and group, and which bytes it meant. */
static fw_status take_tags(const files *f, fw_score_set *set, fw_error *error) {
    for (uint32_t i = 0; i < set->count; i++) {
        const file *from = &f->items[set->path_of[i]];
        if (from->tags.group[0] == '\0') continue;
        if (strcmp(set->items[i]->source.hex, from->hash.hex) != 0)
            return fw_fail(error, FW_MISMATCH, "%.300s is not the file that its suite names", from->path);
        set->items[i]->tags = from->tags;
    }
    return FW_OK;
}

fw_status fw_evaluate_read(fw_evaluation *e, uint32_t threads, fw_score_progress progress, fw_error *error) {
    files f = {0};
    fw_status status = FW_OK;
    for (int i = 0; i < e->source_count && status == FW_OK; i++) status = add_source(&f, e->sources[i], error);
    if (status == FW_OK) status = sort_files(&f, error);
    fw_score_read_config config = {.paths = f.paths, .count = f.count, .threads = threads, .progress = progress};
    if (status == FW_OK) status = fw_score_read(&config, &e->set, error);
    if (status == FW_OK) status = take_tags(&f, &e->set, error);
    files_clear(&f);
    return status;
}
