/* conformance.h - one case of the conformance suite, put to fw-mcap-conformance.
 *
 * A case is X.mcap and {"records":[...],"meta":{"variant":{"features":[...]}}} as in github
 * foxglove/mcap, tests/conformance. Reading must give the records, streamed and mapped; reading
 * through the index must give what the suite's runner derives from them (schemas and channels by
 * id, messages by log time); writing must give X.mcap, byte for byte. Each says by fail_msg what
 * differs.
 */
#ifndef FW_TESTS_MCAP_CONFORMANCE_H
#define FW_TESTS_MCAP_CONFORMANCE_H

#include <jansson.h>

#include "support.h"

/* What a run of the program printed, NULL when it failed; to free. */
static inline char *run_program(const char *how, const char *path, size_t *size) {
    char line[2200];
    snprintf(line, sizeof line, "'%s/src/fw-mcap-conformance' %s '%s'", FW_BINARY_DIR, how, path);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    size_t capacity = 1 << 16, used = 0, got;
    char *made = malloc(capacity);
    assert_non_null(made);
    while ((got = fread(made + used, 1, capacity - used - 1, pipe)) > 0) {
        used += got;
        if (used + 1 < capacity) continue;
        made = realloc(made, capacity *= 2);
        assert_non_null(made);
    }
    made[used] = '\0';
    *size = used;
    if (pclose(pipe) == 0) return made;
    free(made);
    return NULL;
}

static inline bool has_feature(const json_t *whole, const char *name) {
    const json_t *variant = json_object_get(json_object_get(whole, "meta"), "variant");
    const json_t *features = json_object_get(variant, "features");
    size_t i;
    const json_t *value;
    json_array_foreach(features, i, value) {
        if (strcmp(json_string_value(value), name) == 0) return true;
    }
    return false;
}

static inline bool is_type(const json_t *record, const char *type) {
    return strcmp(json_string_value(json_object_get(record, "type")), type) == 0;
}

static inline uint64_t number_of(const json_t *record, const char *name) {
    const json_t *fields = json_object_get(record, "fields");
    size_t i;
    const json_t *pair;
    json_array_foreach(fields, i, pair) {
        if (strcmp(json_string_value(json_array_get(pair, 0)), name) != 0) continue;
        return strtoull(json_string_value(json_array_get(pair, 1)), NULL, 10);
    }
    fail_msg("a record without %s", name);
    return 0;
}

/* Records of one type, sorted by a number (equal ones keep their order); of those with the same
 * id only the first. */
static inline json_t *chosen(const json_t *records, const char *type, const char *by, bool once) {
    json_t *list = json_array();
    size_t i;
    json_t *record;
    json_array_foreach(records, i, record) {
        if (!is_type(record, type)) continue;
        uint64_t key = by == NULL ? 0 : number_of(record, by);
        size_t at = json_array_size(list);
        bool known = false;
        while (by != NULL && at > 0 && number_of(json_array_get(list, at - 1), by) >= key) {
            bool same = number_of(json_array_get(list, at - 1), by) == key;
            if (same) known = true;
            if (same) break;
            at--;
        }
        if (!known || !once) json_array_insert(list, at, record);
    }
    return list;
}

/* The suite's IndexedReadTestRunner.expectedResult. */
static inline json_t *expected_indexed(const json_t *records) {
    return json_pack("{s:o, s:o, s:o, s:o}", "schemas", chosen(records, "Schema", "id", true),
                     "channels", chosen(records, "Channel", "id", true), "messages",
                     chosen(records, "Message", "log_time", false), "statistics",
                     chosen(records, "Statistics", NULL, false));
}

/* What the suite's indexed runners ask of a case before they run it. */
static inline bool suite_runs_indexed(const json_t *whole) {
    size_t i;
    const json_t *record;
    bool messages = false;
    json_array_foreach(json_object_get(whole, "records"), i, record) {
        messages = messages || is_type(record, "Message");
    }
    return messages && has_feature(whole, "ch") && has_feature(whole, "chx") &&
           has_feature(whole, "rch") && has_feature(whole, "rsh") && has_feature(whole, "mx");
}

static inline void check_json(const char *how, const char *path, const json_t *expected) {
    size_t size;
    char *printed = run_program(how, path, &size);
    if (printed == NULL) fail_msg("%s %s failed", how, path);
    json_t *got = json_loads(printed, 0, NULL);
    if (got == NULL || !json_equal(got, expected)) {
        char *wanted = json_dumps(expected, JSON_COMPACT);
        print_error("%s %s:\n got %s\n not %s\n", how, path, printed, wanted);
        free(wanted);
        fail_msg("%s: other than expected", path);
    }
    json_decref(got);
    free(printed);
}

static inline void check_reading(const char *mcap_path, const json_t *whole) {
    const json_t *records = json_object_get(whole, "records");
    json_t *expected = json_pack("{s:O}", "records", records);
    check_json("read", mcap_path, expected);
    check_json("read-mapped", mcap_path, expected);
    json_decref(expected);
    expected = expected_indexed(records);
    check_json("read-indexed", mcap_path, expected);
    json_decref(expected);
    fw_error error;
    if (fw_mcap_validate(NULL, mcap_path, NULL, &error) != FW_OK) fail_msg("%s", error.text);
}

/* The case is written again, byte for byte. */
static inline void check_writing(const char *mcap_path, const char *json_path) {
    size_t size;
    char *printed = run_program("write", json_path, &size);
    if (printed == NULL) fail_msg("write %s failed", json_path);
    fw_mcap_file file;
    ok(fw_mcap_file_map(mcap_path, &file, error));
    if (size != file.size_bytes || memcmp(printed, file.bytes, size) != 0) {
        fail_msg("%s: written differently (%zu bytes, not %zu)", json_path, size, file.size_bytes);
    }
    fw_mcap_file_unmap(&file);
    free(printed);
}

#endif
