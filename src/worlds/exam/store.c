/* store.c - see store.h */
#include "worlds/exam/store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/log.h"

fw_status fw_exam_store_open(const char *folder, fw_error *error) {
    FW_TRY(fw_folder_make(folder, 0700, error));
    if (chmod(folder, 0700) != 0)
        return fw_fail_errno(error, "cannot close exam store %s to others", folder);
    return FW_OK;
}

fw_status fw_exam_key(const fw_exam_config *config, json_t **key, fw_error *error) {
    fw_hash program, city, policy = {"sumo"};
    FW_TRY(fw_hash_file("/proc/self/exe", &program, error));
    FW_TRY(fw_world_fingerprint(config->network, &city, error));
    if (strcmp(config->policy, "sumo") != 0)
        FW_TRY(fw_hash_file(config->policy, &policy, error));
    char conditions[FW_CONDITIONS_TEXT_MAX];
    fw_exam_conditions(config, conditions);
    *key = json_pack("{s:i, s:s, s:s, s:s, s:b, s:s, s:i, s:i, s:i, s:s, s:s}", "exam_version", FW_EXAM_VERSION,
                     "program", program.hex, "city", city.hex, "policy", policy.hex, "guard", config->guard,
                     "network", config->network, "drives", (int)config->drives, "cars",
                     (int)config->cars, "runs", (int)config->runs, "conditions", conditions, "vehicles",
                     config->vehicles ? fw_hash_bytes(config->vehicles, sizeof *config->vehicles).hex
                                      : "builtin");
    FW_ASSERT(*key != NULL);
    return FW_OK;
}

static void path_of(char path[FW_PATH_MAX], const char *folder, json_t *key) {
    char name[FW_HASH_HEX + 8];
    char *text = json_dumps(key, JSON_COMPACT | JSON_SORT_KEYS);
    FW_ASSERT(text != NULL);
    snprintf(name, sizeof name, "%s.json", fw_hash_bytes(text, strlen(text)).hex);
    free(text);
    fw_path_join(path, FW_PATH_MAX, folder, name);
}

static fw_status read_object(const char *path, json_t **object, fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    json_error_t why;
    FW_TRY(fw_file_read(path, FW_EXAM_FILE_MAX, &bytes, &size, error));
    json_t *read = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &why);
    free(bytes);
    if (!json_is_object(read)) {
        json_decref(read);
        return fw_fail(error, FW_CORRUPT, "%s is no exam result", path);
    }
    *object = read;
    return FW_OK;
}

static fw_status read_entry(const char *path, json_t **entry, fw_error *error) {
    json_t *object = NULL;
    FW_TRY(read_object(path, &object, error));
    if (!json_is_object(json_object_get(object, "key")) ||
        !json_is_object(json_object_get(object, "result"))) {
        json_decref(object);
        return fw_fail(error, FW_CORRUPT, "%s is no exam result", path);
    }
    *entry = object;
    return FW_OK;
}

fw_status fw_exam_result_read(const char *path, json_t **result, fw_error *error) {
    json_t *object = NULL;
    FW_TRY(read_object(path, &object, error));
    json_t *inner = json_object_get(object, "result");
    *result = json_incref(json_is_object(inner) ? inner : object);
    json_decref(object);
    return FW_OK;
}

fw_status fw_exam_store_find(const char *folder, json_t *key, json_t **result, fw_error *error) {
    char path[FW_PATH_MAX];
    json_t *entry = NULL;
    fw_error why = {"it has another key"};
    path_of(path, folder, key);
    fw_status status = read_entry(path, &entry, &why);
    if (status == FW_NOT_FOUND) return fw_fail(error, status, "no result yet: %s", why.text);
    if (status != FW_OK || !json_equal(json_object_get(entry, "key"), key)) {
        fw_log_warn("%s is passed over: %s", path, why.text);
        json_decref(entry);
        return fw_fail(error, FW_NOT_FOUND, "no usable result in %s", path);
    }
    *result = json_incref(json_object_get(entry, "result"));
    json_decref(entry);
    return FW_OK;
}

fw_status fw_exam_store_put(const fw_env *env, const char *folder, json_t *key, const char *label,
                            json_t *result, fw_error *error) {
    char path[FW_PATH_MAX];
    path_of(path, folder, key);
    json_t *entry = json_pack("{s:O, s:s, s:I, s:O}", "key", key, "label", label ? label : "",
                              "finished_ns",
                              (json_int_t)fw_env_wall_ns(env), "result", result);
    char *text = json_dumps(entry, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_REAL_PRECISION(9));
    json_decref(entry);
    FW_ASSERT(text != NULL);
    fw_status status = fw_file_write_durable(env, path, text, strlen(text), error);
    free(text);
    return status;
}

/* One flat row of the list from an entry, which is released. */
static json_t *row_of(json_t *entry, const char *file_name) {
    json_t *row = json_copy(json_object_get(entry, "result"));
    json_object_del(row, "per_run");
    json_object_del(row, "failures");
    json_t *policy = json_object_get(json_object_get(entry, "key"), "policy");
    if (policy) json_object_set(row, "policy", policy);
    static const char *const beside[] = {"label", "finished_ns"};
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++)
        if (json_object_get(entry, beside[i]))
            json_object_set(row, beside[i], json_object_get(entry, beside[i]));
    json_object_set_new(row, "id", json_stringn(file_name, FW_HASH_HEX));
    json_decref(entry);
    return row;
}

static int is_result(const struct dirent *entry) {
    char name[FW_HASH_HEX + 1] = "";
    if (strlen(entry->d_name) != FW_HASH_HEX + 5) return 0;
    memcpy(name, entry->d_name, FW_HASH_HEX);
    return fw_hash_valid(name) && strcmp(entry->d_name + FW_HASH_HEX, ".json") == 0;
}

fw_status fw_exam_store_list(const char *folder, json_t **out, fw_error *error) {
    struct dirent **names = NULL;
    int count = scandir(folder, &names, is_result, alphasort);
    if (count < 0) return fw_fail_errno(error, "cannot list exam store %s", folder);
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        char path[FW_PATH_MAX];
        json_t *entry = NULL;
        fw_error why;
        fw_path_join(path, sizeof path, folder, names[i]->d_name);
        if (i < FW_EXAM_LIST_MAX && read_entry(path, &entry, &why) == FW_OK)
            json_array_append_new(list, row_of(entry, names[i]->d_name));
        free(names[i]);
    }
    free(names);
    *out = json_pack("{s:o}", "exams", list);
    return FW_OK;
}
