/* MLflow's model registry over the factory's models. The files in tests/factory/mlflow are exchanges as its clients have them:
 * [{"method","path","query":{},"body":{}|null,"status","answer":{}}], written after its public model_registry.proto.
 * In an answer "*" stands for any value, and members that are not named do not matter. */
#include "drives.h"

#include "factory/registry/mlflow_filter.h"

/* ---- exchanges ---- */

typedef struct world {
    fixture *f;
    fw_hash first, second;
} world;

static const char *parameter(const void *native, const char *name) {
    return json_string_value(json_object_get(native, name));
}

static int exchange(world *w, const char *method, const char *path, const json_t *query, const json_t *body,
                    json_t **answer) {
    char *text = body && !json_is_null(body) ? json_dumps(body, 0) : NULL;
    fw_http_request request = {.method = method,
                               .path = path,
                               .header = no_header,
                               .query = parameter,
                               .native = query,
                               .body = text,
                               .body_bytes = text ? strlen(text) : 0};
    fw_http_response response = {0};
    w->f->app.handle(w->f->app.self, &request, &response);
    *answer = response.body ? json_loadb(response.body, response.body_bytes, 0, NULL) : NULL;
    free(response.body);
    free(text);
    return response.status;
}

/* Is everything that is wanted there? Arrays in their order, whole. */
static bool holds(const json_t *got, const json_t *want) {
    const char *key;
    json_t *value;
    size_t at;
    if (json_is_string(want) && strcmp(json_string_value(want), "*") == 0) return got != NULL;
    if (json_is_object(want)) {
        json_object_foreach((json_t *)(uintptr_t)want, key, value) if (!holds(json_object_get(got, key), value)) return false;
        return json_is_object(got);
    }
    if (!json_is_array(want)) return json_equal(got, want);
    if (json_array_size(got) != json_array_size(want)) return false;
    json_array_foreach((json_t *)(uintptr_t)want, at, value) if (!holds(json_array_get(got, at), value)) return false;
    return true;
}

/* The hashes of this test's models for $FIRST and $SECOND. */
static char *with_hashes(const world *w, const char *text) {
    char *out = calloc(1, strlen(text) * 4 + 1), *to = out;
    while (*text) {
        bool first = strncmp(text, "$FIRST", 6) == 0, second = strncmp(text, "$SECOND", 7) == 0;
        if (first || second) {
            memcpy(to, first ? w->first.hex : w->second.hex, FW_HASH_HEX);
            to += FW_HASH_HEX;
            text += first ? 6 : 7;
        } else {
            *to++ = *text++;
        }
    }
    return out;
}

static void play(world *w, const char *name) {
    char path[400], *text;
    size_t size, at;
    fw_error error = {""};
    json_error_t why;
    json_t *step, *got;
    snprintf(path, sizeof path, "%s/tests/factory/mlflow/%s.json", FW_SOURCE_DIR, name);
    if (fw_file_read(path, 1 << 20, &text, &size, &error) != FW_OK) fail_msg("%s", error.text);
    char *filled = with_hashes(w, text);
    json_t *steps = json_loads(filled, 0, &why);
    if (!steps) fail_msg("%s, line %d: %s", path, why.line, why.text);
    json_array_foreach(steps, at, step) {
        const char *of = json_string_value(json_object_get(step, "path"));
        int status = exchange(w, json_string_value(json_object_get(step, "method")), of, json_object_get(step, "query"),
                              json_object_get(step, "body"), &got);
        if (status != json_integer_value(json_object_get(step, "status")) || !holds(got, json_object_get(step, "answer")))
            fail_msg("%s, exchange %zu (%s): %d %s", name, at, of, status, json_dumps(got, JSON_ENCODE_ANY));
        json_decref(got);
    }
    json_decref(steps);
    free(filled);
    free(text);
}

/* Two models; the second is the champion. */
static int open_world(void **state) {
    world *w = calloc(1, sizeof *w);
    assert_int_equal(fixture_open((void **)&w->f), 0);
    w->first = add_champion(w->f, "the first model");
    w->second = add_champion(w->f, "the second model");
    *state = w;
    return 0;
}

static int close_world(void **state) {
    world *w = *state;
    void *f = w->f;
    fixture_close(&f);
    free(w);
    return 0;
}

static void clients_list_and_fetch(void **state) { play(*state, "read"); }
static void searches_have_filters_order_and_pages(void **state) { play(*state, "search"); }
static void tags_and_aliases_are_peoples(void **state) { play(*state, "write"); }
static void failures_have_mlflows_codes(void **state) { play(*state, "failures"); }

/* What mlflow.artifacts.download_artifacts does with the address of get-download-uri. */
static void a_model_is_downloaded(void **state) {
    world *w = *state;
    json_t *answer, *query = json_pack("{s:s,s:s}", "name", "driving", "version", "2"), *row;
    size_t at;
    char path[200];
    assert_int_equal(exchange(w, "GET", "/api/2.0/mlflow/model-versions/get-download-uri", query, NULL, &answer), 200);
    const char *uri = json_string_value(json_object_get(answer, "artifact_uri"));
    assert_int_equal(strncmp(uri, "mlflow-artifacts:/", 18), 0);
    json_t *list_query = json_pack("{s:s}", "path", uri + 18), *files;
    assert_int_equal(exchange(w, "GET", "/api/2.0/mlflow-artifacts/artifacts", list_query, NULL, &files), 200);
    bool found = false;
    json_array_foreach(json_object_get(files, "files"), at, row) {
        const char *name = json_string_value(json_object_get(row, "path"));
        snprintf(path, sizeof path, "/api/2.0/mlflow-artifacts/artifacts/%s/%s", uri + 18, name);
        fw_http_response r = ask_raw(w->f, "GET", path, NULL, NULL);
        assert_int_equal(r.status, 200);
        if (strcmp(name, "model.safetensors") == 0) {
            fw_hash hash;
            fw_error error;
            found = true;
            assert_int_equal(fw_hash_file(r.file_path, &hash, &error), FW_OK);
            assert_string_equal(hash.hex, w->second.hex);
            assert_int_equal(json_integer_value(json_object_get(row, "file_size")), strlen("the second model"));
        } else {
            assert_int_equal(json_integer_value(json_object_get(row, "file_size")), r.body_bytes);
        }
        free(r.body);
    }
    assert_true(found);
    assert_int_equal(json_array_size(json_object_get(files, "files")), 5);
    json_decref(files);
    json_decref(list_query);
    json_decref(answer);
    json_decref(query);
}

/* ---- the language of filters ---- */

static const char *of_row(const void *self, fw_mlflow_field field, fw_mlflow_text key) {
    static const char *const values[FW_MLFLOW_FIELDS] = {"driving", "12", "generation-3", "mlflow-artifacts:/ab",
                                                         "1000",    "2000", NULL};
    (void)self;
    if (field != FW_MLFLOW_TAG) return values[field];
    return key.size == 5 && memcmp(key.at, "owner", 5) == 0 ? "Ann" : NULL;
}

static void filters_match_as_they_say(void **state) {
    (void)state;
    static const struct {
        const char *filter;
        bool match;
    } cases[] = {{"", true},
                 {"   ", true},
                 {"name = 'driving'", true},
                 {"name='robots'", false},
                 {"name != 'robots'", true},
                 {"name LIKE 'dri%'", true},
                 {"name LIKE '%i%i%g'", true},
                 {"name LIKE 'DRI%'", false},
                 {"name ILIKE 'DRI_ING'", true},
                 {"name LIKE '%a%a%a%a%a%a%a%a%a%a%a%b'", false},
                 {"name LIKE ''", false},
                 {"name LIKE '%'", true},
                 {"version_number = 12", true},
                 {"version_number > 12", false},
                 {"version_number >= 12 AND version_number <= 12", true},
                 {"creation_timestamp < 1000", false},
                 {"last_updated_timestamp > 1999 and name = \"driving\"", true},
                 {"run_id IN ('generation-1','generation-3')", true},
                 {"run_id in ( 'generation-1' )", false},
                 {"tags.owner = 'Ann'", true},
                 {"tag.`owner` ILIKE 'aNN'", true},
                 {"tags.owner != 'Bea'", true},
                 {"tags.other != 'Bea'", false}, /* a tag that is not there */
                 {"attribute.name = 'driving' AND tags.owner = 'Bea'", false},
                 {"source_path LIKE 'mlflow-artifacts:/%'", true}};
    fw_mlflow_filter filter;
    fw_error error = {""};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (fw_mlflow_filter_read(cases[i].filter, &filter, &error) != FW_OK)
            fail_msg("%s: %s", cases[i].filter, error.text);
        if (fw_mlflow_filter_match(&filter, &(fw_mlflow_row){NULL, of_row}) != cases[i].match)
            fail_msg("%s", cases[i].filter);
    }
}

static void what_is_no_filter_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"name", "name =", "name = driving", "name = 'open", "name > 'a'", "colour = 'x'",
                                      "version_number = 'x'", "version_number LIKE '1'", "name IN ('a')",
                                      "run_id IN ('a'", "run_id IN ()", "name = 'a' OR name = 'b'", "name = 'a' AND",
                                      "AND", "tags. = 'x'", "version_number = 99999999999999999999", "name = 'a' 'b'"};
    fw_mlflow_filter filter;
    fw_mlflow_field field;
    bool down;
    fw_error error;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (fw_mlflow_filter_read(bad[i], &filter, &error) != FW_INVALID) fail_msg("taken: %s", bad[i]);
    assert_int_equal(fw_mlflow_order_read("version_number DESC", &field, &down, &error), FW_OK);
    assert_true(field == FW_MLFLOW_VERSION && down);
    assert_int_equal(fw_mlflow_order_read("name", &field, &down, &error), FW_OK);
    assert_false(down);
    assert_int_equal(fw_mlflow_order_read("tags.owner", &field, &down, &error), FW_INVALID);
    assert_int_equal(fw_mlflow_order_read("name UP", &field, &down, &error), FW_INVALID);
}

int main(void) {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)
    const struct CMUnitTest tests[] = {
        IN_WORLD(clients_list_and_fetch),         IN_WORLD(searches_have_filters_order_and_pages),
        IN_WORLD(tags_and_aliases_are_peoples),   IN_WORLD(failures_have_mlflows_codes),
        IN_WORLD(a_model_is_downloaded),          cmocka_unit_test(filters_match_as_they_say),
        cmocka_unit_test(what_is_no_filter_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
