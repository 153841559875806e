#include "lines/driving/learn/scenario/suite.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>


#define CORRUPT(error, ...) fw_fail(error, FW_CORRUPT, "suite: " __VA_ARGS__)

/* ---- reading ---- */

static fw_status get_text(const json_t *json, size_t at, const char *name, char *out, size_t room, fw_error *error) {
    const char *text = json_string_value(json_object_get(json, name));
    if (!text || strlen(text) >= room) return CORRUPT(error, "item %zu: %s is no text under %zu bytes", at, name, room);
    memcpy(out, text, strlen(text) + 1);
    return FW_OK;
}

/* A name below the suite's folder: no way up, no way out. */
static bool lies_below(const char *file) {
    if (!file[0] || file[0] == '/') return false;
    for (const char *part = file; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        if (strcmp(part, "..") == 0 || strncmp(part, "../", 3) == 0) return false;
    return true;
}

static fw_status parse_item(const json_t *json, size_t at, fw_suite_item *out, fw_error *error) {
    const char *hash = json_string_value(json_object_get(json, "sha256"));
    const json_t *sealed = json_object_get(json, "sealed");
    FW_TRY(get_text(json, at, "file", out->file, sizeof out->file, error));
    FW_TRY(get_text(json, at, "site", out->tags.site, sizeof out->tags.site, error));
    FW_TRY(get_text(json, at, "group", out->tags.group, sizeof out->tags.group, error));
    if (!lies_below(out->file)) return CORRUPT(error, "item %zu: file must lie in the suite's folder", at);
    if (!hash || !fw_hash_valid(hash)) return CORRUPT(error, "item %zu: sha256 is none", at);
    if (!out->tags.group[0]) return CORRUPT(error, "item %zu: group is empty", at);
    if (!json_is_boolean(sealed)) return CORRUPT(error, "item %zu: sealed is neither true nor false", at);
    memcpy(out->hash.hex, hash, FW_HASH_HEX + 1);
    out->sealed = json_is_true(sealed);
    return FW_OK;
}

static int by_hash(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static fw_status check_twice(const fw_suite *suite, fw_error *error) {
    const char **hashes = calloc((size_t)suite->count + 1, sizeof *hashes);
    if (!hashes) return fw_fail(error, FW_NO_MEMORY, "suite: no memory");
    for (uint32_t i = 0; i < suite->count; i++) hashes[i] = suite->items[i].hash.hex;
    qsort(hashes, suite->count, sizeof *hashes, by_hash);
    fw_status status = FW_OK;
    for (uint32_t i = 1; i < suite->count && status == FW_OK; i++)
        if (strcmp(hashes[i], hashes[i - 1]) == 0) status = CORRUPT(error, "%.16s... is in it twice", hashes[i]);
    free(hashes);
    return status;
}

static fw_status parse_items(const json_t *json, fw_suite *suite, fw_error *error) {
    const json_t *items = json_object_get(json, "items");
    const char *name = json_string_value(json_object_get(json, "name"));
    if (json_integer_value(json_object_get(json, "format")) != 1)
        return fw_fail(error, FW_UNSUPPORTED, "suite: its format is not 1");
    if (!name || strlen(name) >= sizeof suite->name) return CORRUPT(error, "it has no proper name");
    if (!json_is_array(items)) return CORRUPT(error, "it has no items");
    if (json_array_size(items) > FW_SUITE_ITEMS_MAX)
        return fw_fail(error, FW_TOO_BIG, "suite: over %d items", FW_SUITE_ITEMS_MAX);
    memcpy(suite->name, name, strlen(name) + 1);
    suite->items = calloc(json_array_size(items) + 1, sizeof *suite->items);
    if (!suite->items) return fw_fail(error, FW_NO_MEMORY, "suite: no memory");
    for (size_t i = 0; i < json_array_size(items); i++, suite->count++)
        FW_TRY(parse_item(json_array_get(items, i), i, &suite->items[i], error));
    return check_twice(suite, error);
}

fw_status fw_suite_parse(const char *text, size_t size_bytes, fw_suite *out, fw_error *error) {
    json_error_t why;
    fw_suite suite = {.count = 0};
    json_t *json = json_loadb(text, size_bytes, JSON_REJECT_DUPLICATES, &why);
    if (!json) return CORRUPT(error, "no JSON: line %d: %s", why.line, why.text);
    fw_status status = parse_items(json, &suite, error);
    json_decref(json);
    if (status == FW_OK)
        *out = suite;
    else
        fw_suite_clear(&suite);
    return status;
}

fw_status fw_suite_read(const char *path, fw_suite *out, fw_error *error) {
    char *text = NULL;
    size_t size_bytes = 0;
    FW_TRY(fw_file_read(path, FW_SUITE_BYTES_MAX, &text, &size_bytes, error));
    fw_status status = fw_suite_parse(text, size_bytes, out, error);
    free(text);
    return status;
}

void fw_suite_clear(fw_suite *suite) {
    free(suite->items);
    *suite = (fw_suite){.count = 0};
}

/* ---- writing ---- */

static json_t *item_json(const fw_suite_item *item) {
    return json_pack("{s:s,s:s,s:s,s:s,s:b}", "file", item->file, "sha256", item->hash.hex, "site", item->tags.site,
                     "group", item->tags.group, "sealed", (int)item->sealed);
}

static char *suite_text(const fw_suite *suite) {
    json_t *items = json_array(), *json = json_pack("{s:i,s:s,s:O}", "format", 1, "name", suite->name, "items", items);
    bool fine = json != NULL;
    for (uint32_t i = 0; fine && i < suite->count; i++)
        fine = json_array_append_new(items, item_json(&suite->items[i])) == 0;
    char *text = fine ? json_dumps(json, JSON_INDENT(1)) : NULL;
    json_decref(items);
    json_decref(json);
    return text;
}

static fw_status write_new(const char *path, const char *text, fw_error *error) {
    char *there = NULL;
    size_t size = 0;
    if (!fw_file_exists(path)) return fw_file_write_durable(fw_env_real(), path, text, strlen(text), error);
    FW_TRY(fw_file_read(path, FW_SUITE_BYTES_MAX, &there, &size, error));
    bool same = size == strlen(text) && memcmp(there, text, size) == 0;
    free(there);
    return same ? FW_OK
                : fw_fail(error, FW_EXISTS, "%s is there with other content; write to another folder", path);
}

fw_status fw_suite_write(const char *path, const fw_suite *suite, fw_error *error) {
    char *text = suite_text(suite);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "suite: no memory");
    fw_status status = write_new(path, text, error);
    free(text);
    return status;
}

fw_status fw_suite_path(const char *suite_path, const fw_suite_item *item, char out[FW_PATH_MAX], fw_error *error) {
    const char *slash = strrchr(suite_path, '/');
    size_t folder = slash ? (size_t)(slash - suite_path) + 1 : 0;
    if (folder + strlen(item->file) >= FW_PATH_MAX)
        return fw_fail(error, FW_TOO_BIG, "suite: the path of %s is too long", item->file);
    memcpy(out, suite_path, folder);
    memcpy(out + folder, item->file, strlen(item->file) + 1);
    return FW_OK;
}

/* ---- what is held out ---- */

typedef struct drawn {
    fw_hash hash;
    uint32_t group;
} drawn;

static int compare_drawn(const void *a, const void *b) {
    return strcmp(((const drawn *)a)->hash.hex, ((const drawn *)b)->hash.hex);
}

fw_status fw_suite_hold_out(const char *site, const char *const *groups, uint32_t count, bool *held_out,
                            fw_error *error) {
    drawn *order = calloc((size_t)count + 1, sizeof *order);
    if (!order) return fw_fail(error, FW_NO_MEMORY, "suite: no memory");
    for (uint32_t i = 0; i < count; i++) {
        char name[128];
        int size = snprintf(name, sizeof name, "%.47s/%.47s", site, groups[i]);
        order[i] = (drawn){fw_hash_bytes(name, (size_t)size), i};
        held_out[i] = false;
    }
    if (count > 0) qsort(order, count, sizeof *order, compare_drawn);
    for (uint32_t i = 0; i < (count + 2) / 4; i++) held_out[order[i].group] = true;
    free(order);
    return FW_OK;
}
