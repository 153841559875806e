#include "cli/train_sources.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/env.h"
#include "base/file.h"
#include "lines/driving/learn/scenario/suite.h"
#include "nn/train/checkpoint.h"

enum { RECORDINGS_MAX = 1 << 20 };

void fw_train_sources_clear(fw_train_sources *s) {
    for (uint32_t i = 0; i < s->count; i++) free(s->items[i].path);
    free(s->items);
    free(s->paths);
}

static fw_status add_file(fw_train_sources *s, const char *path, fw_error *error) {
    struct stat about;
    if (fw_nn_stop_wanted()) return fw_fail(error, FW_INTERRUPTED, "stopped");
    if (stat(path, &about) != 0) return fw_fail_errno(error, "cannot read %s", path);
    if (!S_ISREG(about.st_mode)) return fw_fail(error, FW_INVALID, "%s is not a plain file", path);
    if (s->count == RECORDINGS_MAX) return fw_fail(error, FW_TOO_BIG, "over %d recordings", RECORDINGS_MAX);
    if (s->count == s->room) {
        uint32_t room = s->room ? 2 * s->room : 64;
        fw_train_source *more = realloc(s->items, room * sizeof *more);
        if (!more) return fw_fail(error, FW_NO_MEMORY, "no memory for %u names", room);
        s->items = more, s->room = room;
    }
    fw_train_source *item = &s->items[s->count];
    FW_TRY(fw_hash_file(path, &item->hash, error));
    item->path = strdup(path);
    if (!item->path) return fw_fail(error, FW_NO_MEMORY, "no memory for a name");
    s->count++;
    return FW_OK;
}

static fw_status add_folder(fw_train_sources *s, const char *folder, fw_error *error) {
    DIR *dir = opendir(folder);
    if (!dir) return fw_fail_errno(error, "cannot read %s", folder);
    fw_status status = FW_OK;
    uint32_t before = s->count;
    for (const struct dirent *one; status == FW_OK && (one = readdir(dir));) {
        char path[FW_PATH_MAX];
        size_t length = strlen(one->d_name);
        if (one->d_name[0] == '.' || length < 5 || strcmp(one->d_name + length - 5, ".mcap") != 0) continue;
        fw_path_join(path, sizeof path, folder, one->d_name);
        status = add_file(s, path, error);
    }
    closedir(dir);
    if (status == FW_OK && s->count == before)
        return fw_fail(error, FW_NOT_FOUND, "%s holds no *.mcap", folder);
    return status;
}

fw_status fw_train_sources_add(fw_train_sources *s, const char *path, fw_error *error) {
    struct stat about;
    if (stat(path, &about) != 0) return fw_fail_errno(error, "cannot read %s", path);
    return S_ISDIR(about.st_mode) ? add_folder(s, path, error) : add_file(s, path, error);
}

/* ---- suites ---- */

static fw_status add_item(fw_train_sources *s, const char *suite_path, const fw_suite_item *item,
                          fw_error *error) {
    char path[FW_PATH_MAX];
    FW_TRY(fw_suite_path(suite_path, item, path, error));
    FW_TRY(add_file(s, path, error));
    if (fw_hash_compare(&s->items[s->count - 1].hash, &item->hash) != 0)
        return fw_fail(error, FW_MISMATCH, "%s is not the file that %s lists", path, suite_path);
    return FW_OK;
}

static fw_status add_items(fw_train_sources *s, const char *path, const fw_suite *suite, bool leave_sealed,
                           fw_error *error) {
    uint32_t sealed = 0;
    for (uint32_t i = 0; i < suite->count; i++) sealed += suite->items[i].sealed;
    if (sealed > 0 && !leave_sealed)
        return fw_fail(error, FW_DENIED, "%s: %u of its %u items are sealed: held out for evaluation, not to learn "
                       "from (--leave-sealed takes the others)", path, sealed, suite->count);
    s->sealed += sealed;
    for (uint32_t i = 0; i < suite->count; i++)
        if (!suite->items[i].sealed) FW_TRY(add_item(s, path, &suite->items[i], error));
    return FW_OK;
}

fw_status fw_train_sources_add_suite(fw_train_sources *s, const char *path, bool leave_sealed, fw_error *error) {
    fw_suite suite;
    FW_TRY(fw_suite_read(path, &suite, error));
    fw_status status = add_items(s, path, &suite, leave_sealed, error);
    fw_suite_clear(&suite);
    return status;
}

/* ---- in order ---- */

fw_status fw_train_sources_sort(fw_train_sources *s, fw_error *error) {
    uint32_t kept = 0;
    if (s->count > 0) qsort(s->items, s->count, sizeof *s->items, fw_hash_compare);
    for (uint32_t i = 0; i < s->count; i++) {
        if (kept > 0 && fw_hash_compare(&s->items[kept - 1].hash, &s->items[i].hash) == 0)
            free(s->items[i].path);
        else
            s->items[kept++] = s->items[i];
    }
    s->count = kept;
    s->paths = calloc(kept + 1, sizeof *s->paths);
    if (!s->paths) return fw_fail(error, FW_NO_MEMORY, "no memory for %u names", kept);
    for (uint32_t i = 0; i < kept; i++) s->paths[i] = s->items[i].path;
    return FW_OK;
}
