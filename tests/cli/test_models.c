/* flywheel models on a factory that really trained: lineage, diff, export, verify, and a rebuild to the bit. */
#include "program.h"

#include "../factory/fixture.h"
#include "../lines/synthetic_file.h"
#include "factory/registry/lineage.h"
#include "lines/driving/act/policy.h"

enum { UNITS = 4, EACH = 2, TICKS_MAX = 6000, OUT_MAX = 60000 };

typedef struct world {
    fixture *f;
    char first[FW_HASH_HEX + 1], candidate[FW_HASH_HEX + 1];
} world;

static char *output; /* (OUT_MAX) */

/* flywheel models WORDS; $D is the data folder, $F the one around it. */
static int models(const world *w, const char *words) {
    char command[900];
    snprintf(command, sizeof command, "D=%s; F=%s; " PROGRAM " models %s 2>&1", w->f->data, w->f->folder, words);
    return run_command(command, output, OUT_MAX);
}

static void expect(const world *w, int status, const char *text, const char *format, ...) {
    char words[500];
    va_list list;
    va_start(list, format);
    vsnprintf(words, sizeof words, format, list);
    va_end(list);
    expect_outcome(words, models(w, words), status, text, output);
}

/* ---- a factory with one turn of the loop behind it ---- */

static void upload(fixture *f, const char *unit, int salt) {
    char path[120], *bytes;
    size_t size;
    fw_error error = {""};
    snprintf(path, sizeof path, "%s/recording", f->folder);
    synthetic_file(path, unit, 3.0f + 0.7f * (float)salt);
    assert_int_equal(fw_file_read(path, 8 << 20, &bytes, &size, &error), FW_OK);
    assert_int_equal(put(f, unit, bytes, size), 201);
    free(bytes);
}

static void add_rule(world *w) {
    char *bytes, body[200];
    size_t size;
    fw_error error = {""};
    headers h = {{"Flywheel-Kind"}, {"model"}};
    assert_int_equal(fw_policy_rule_file(FW_POLICY_CONSTANT, &bytes, &size, &error), FW_OK);
    fw_hash hash = fw_hash_bytes(bytes, size);
    fw_http_response r = put_cut(w->f, hash.hex, bytes, size, size, h);
    assert_int_equal(r.status, 201);
    free(r.body);
    free(bytes);
    snprintf(body, sizeof body, "{\"hash\":\"%s\",\"champion\":true}", hash.hex);
    assert_int_equal(call(w->f, "POST", "/v1/models", body, NULL), 201);
    memcpy(w->first, hash.hex, sizeof w->first);
}

/* Until the gate has decided. */
static void turn(world *w) {
    json_t *json = NULL;
    fw_error error = {""};
    assert_int_equal(call(w->f, "POST", "/v1/generations", "{\"seed\":5,\"agent_steps\":16384}", NULL), 201);
    for (int i = 0; i < TICKS_MAX; i++) {
        if (fw_factory_tick(w->f->factory, &error) != FW_OK) fail_msg("%s", error.text);
        assert_int_equal(call(w->f, "GET", "/v1/generations/1", NULL, &json), 200);
        const char *stage = json_string_value(json_object_get(json, "stage"));
        bool over = strcmp(stage, "rollout") == 0 || strcmp(stage, "done") == 0 || strcmp(stage, "failed") == 0;
        if (over) break;
        json_decref(json);
        json = NULL;
        usleep(50000);
    }
    const char *candidate = json_string_value(json_object_get(json, "candidate"));
    if (!candidate || !*candidate) fail_msg("no candidate: %s", json_dumps(json, 0));
    snprintf(w->candidate, sizeof w->candidate, "%s", candidate);
    json_decref(json);
}

static int open_world(void **state) {
    world *w = calloc(1, sizeof *w);
    output = malloc(OUT_MAX);
    assert_non_null(output);
    assert_int_equal(fixture_open((void **)&w->f), 0);
    fixture_stop(w->f);
    w->f->config.env = fw_env_real();
    w->f->config.line = &fw_line_driving;
    w->f->config.launcher = fw_launcher_processes();
    w->f->config.program = PROGRAM;
    w->f->config.threads = 2;
    w->f->config.upload_max_bytes = 0;
    fixture_start(w->f);
    add_rule(w);
    for (int i = 0; i < UNITS * EACH; i++) {
        char unit[16];
        snprintf(unit, sizeof unit, "car-%d", i % UNITS);
        upload(w->f, unit, i);
    }
    turn(w);
    fixture_stop(w->f);
    *state = w;
    return 0;
}

static int close_world(void **state) {
    world *w = *state;
    void *f = w->f;
    fixture_close(&f);
    free(output);
    free(w);
    return 0;
}

/* ---- what is asked ---- */

static void a_rebuild_gives_the_same_bytes(void **state) {
    const world *w = *state;
    expect(w, 0, "the same: ", "rebuild %.12s --data $D --threads 1", w->candidate);
    assert_non_null(strstr(output, w->candidate));
    expect(w, 0, "\"same\":true,\"promised\":true", "rebuild %.12s --data $D --json --out $F/again", w->candidate);
    char path[160];
    fw_hash hash;
    fw_error error;
    snprintf(path, sizeof path, "%s/again/model.safetensors", w->f->folder);
    assert_int_equal(fw_hash_file(path, &hash, &error), FW_OK);
    assert_string_equal(hash.hex, w->candidate);
    expect(w, 1, "brought by somebody", "rebuild %.12s --data $D", w->first);
    expect(w, 1, "no model begins with", "rebuild 00000000 --data $D");
}

static void another_recipe_is_another_model(void **state) {
    const world *w = *state;
    char path[200];
    fw_error error = {""};
    fw_catalogue *catalogue;
    snprintf(path, sizeof path, "%s/catalogue.sqlite", w->f->data);
    assert_int_equal(fw_catalogue_open(path, &catalogue, &error), FW_OK);
    static const char *const seeds[] = {"'6'", "(SELECT json_extract(train,'$.seed') FROM generations WHERE n=1)||''"};
    for (int i = 0; i < 2; i++) {
        char sql[300];
        snprintf(sql, sizeof sql,
                 "UPDATE models SET lineage=json_set(lineage,'$.recipe.seed',%s) WHERE kind='network'", seeds[i]);
        sqlite3 *db = fw_catalogue_begin(catalogue, &error);
        assert_int_equal(fw_catalogue_end(catalogue, fw_db_script(db, &error, sql), &error), FW_OK);
        if (i == 0) expect(w, 1, "NOT the same", "rebuild %.12s --data $D", w->candidate);
    }
    fw_catalogue_close(catalogue);
    expect(w, 0, "the same: ", "rebuild %.12s --data $D", w->candidate);
}

static void a_recording_that_is_gone_or_changed_is_named(void **state) {
    const world *w = *state;
    char command[400];
    expect(w, 0, "recording ", "lineage %.12s --data $D", w->candidate);
    expect(w, 0, "\"recordings\":[", "lineage %.12s --data $D --json", w->candidate);
    json_t *chain = json_loads(output, 0, NULL), *row;
    size_t at;
    const char *hash = NULL;
    json_array_foreach(json_object_get(json_array_get(chain, 0), "recordings"), at, row)
        if (strcmp(json_string_value(json_object_get(row, "role")), "train") == 0)
            hash = json_string_value(json_object_get(row, "sha256"));
    assert_non_null(hash);
    snprintf(command, sizeof command, "cd %s/objects/%.2s && cp -p %s ../../kept && echo x >> %s", w->f->data, hash,
             hash, hash);
    assert_int_equal(run_command(command, output, OUT_MAX), 0);
    expect(w, 1, "has SHA-256", "rebuild %.12s --data $D", w->candidate);
    snprintf(command, sizeof command, "rm -f %s/objects/%.2s/%s", w->f->data, hash, hash);
    assert_int_equal(run_command(command, output, OUT_MAX), 0);
    expect(w, 1, "is not here any more", "rebuild %.12s --data $D", w->candidate);
    snprintf(command, sizeof command, "mv %s/kept %s/objects/%.2s/%s", w->f->data, w->f->data, hash, hash);
    assert_int_equal(run_command(command, output, OUT_MAX), 0);
    json_decref(chain);
}

static void the_lineage_says_what_it_is_made_of(void **state) {
    const world *w = *state;
    expect(w, 0, "recipe ppo, 16384 agent-steps, seed ", "lineage %.12s --data $D", w->candidate);
    assert_non_null(strstr(output, "+- gate "));
    assert_non_null(strstr(output, "oneDNN"));
    assert_non_null(strstr(output, "brought by somebody"));
    expect(w, 0, "digraph lineage", "lineage %.12s --data $D --dot", w->candidate);
    expect(w, 0, "\"build_id\": \"", "show %.12s --data $D", w->candidate);
    expect(w, 0, w->candidate, "list --json --data $D");
    expect(w, 1, "no factory's data", "list --data $F/none");
    expect(w, 2, "want list", "show");
}

static void two_models_are_compared(void **state) {
    const world *w = *state;
    expect(w, 0, "\"weights\":[", "diff %.12s %.12s --data $D --json", w->candidate, w->first);
    json_t *json = json_loads(output, 0, NULL);
    assert_true(json_object_size(json_object_get(json, "card")) > 5);
    json_decref(json);
    expect(w, 0, "", "diff %.12s %.12s --data $D --json", w->candidate, w->candidate);
    json = json_loads(output, 0, NULL);
    assert_int_equal(json_object_size(json_object_get(json, "card")), 0);
    size_t at;
    json_t *row;
    assert_true(json_array_size(json_object_get(json, "weights")) > 4);
    json_array_foreach(json_object_get(json, "weights"), at, row)
        assert_true(json_number_value(json_object_get(row, "difference")) == 0);
    json_decref(json);
}

static void an_export_is_a_folder_for_other_tools(void **state) {
    const world *w = *state;
    char path[160], *text;
    size_t size;
    fw_hash hash;
    fw_error error;
    expect(w, 0, w->candidate, "export %.12s $F/out --data $D", w->candidate);
    snprintf(path, sizeof path, "%s/out/model.safetensors", w->f->folder);
    assert_int_equal(fw_hash_file(path, &hash, &error), FW_OK);
    assert_string_equal(hash.hex, w->candidate);
    snprintf(path, sizeof path, "%s/out/lineage.json", w->f->folder);
    assert_int_equal(fw_file_read(path, 1 << 16, &text, &size, &error), FW_OK);
    fw_lineage lineage;
    assert_int_equal(fw_lineage_read(text, size, &lineage, &error), FW_OK);
    assert_string_equal(lineage.model, w->candidate);
    assert_int_equal(lineage.recipe.agent_steps, 16384);
    free(text);
    snprintf(path, sizeof path, "%s/out/model.onnx", w->f->folder);
    assert_true(fw_file_exists(path));
    snprintf(path, sizeof path, "%s/out/model.sig", w->f->folder);
    if (!fw_file_exists(path)) return; /* refused by the gate: never released */
    expect(w, 0, "ok  the statement names this lineage", "verify $F/out --data $D");
}

/* The rule was made the fleet's target, and so released. */
static void a_release_is_verified_and_a_forgery_is_not(void **state) {
    const world *w = *state;
    char command[300];
    expect(w, 0, "ok  the statement is signed with this key", "verify %.12s --data $D", w->first);
    assert_null(strstr(output, "NO "));
    expect(w, 2 - 1, "say --key", "verify %.12s --url http://127.0.0.1:1", w->first);
    expect(w, 0, w->first, "export %.12s $F/rule --data $D", w->first);
    expect(w, 0, "\"ok\":true", "verify $F/rule --data $D --json");
    snprintf(command, sizeof command, "cd %s/rule && cp model.safetensors m && echo x >> model.safetensors",
             w->f->folder);
    assert_int_equal(run_command(command, output, OUT_MAX), 0);
    expect(w, 1, "NO  the statement names this model", "verify $F/rule --data $D");
    snprintf(command, sizeof command, "cd %s/rule && mv m model.safetensors && echo ' ' >> lineage.json", w->f->folder);
    assert_int_equal(run_command(command, output, OUT_MAX), 0);
    expect(w, 1, "NO  the statement names this lineage", "verify $F/rule --data $D");
    snprintf(command, sizeof command, "cd %s/rule && rm lineage.json", w->f->folder);
    assert_int_equal(run_command(command, output, OUT_MAX), 0);
    expect(w, 1, "NO  the statement names this lineage", "verify $F/rule --data $D");
}

/* What --data does with the folder, --url does with a running factory. */
static void over_http_it_is_the_same(void **state) {
    const world *w = *state;
    unsigned port;
    pid_t pid = start_serve(w->f->folder, NULL, "http", &port);
    expect(w, 0, "the same: ", "rebuild %.12s --url http://127.0.0.1:%u", w->candidate, port);
    expect(w, 0, "recording ", "lineage %.12s --url http://127.0.0.1:%u", w->candidate, port);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rebuild_gives_the_same_bytes), cmocka_unit_test(another_recipe_is_another_model),
        cmocka_unit_test(a_recording_that_is_gone_or_changed_is_named),
        cmocka_unit_test(the_lineage_says_what_it_is_made_of), cmocka_unit_test(two_models_are_compared),
        cmocka_unit_test(an_export_is_a_folder_for_other_tools),
        cmocka_unit_test(a_release_is_verified_and_a_forgery_is_not), cmocka_unit_test(over_http_it_is_the_same)};
    return cmocka_run_group_tests(tests, open_world, close_world);
}
