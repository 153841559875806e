/* `flywheel rollout` against a real factory: start, status, list, people's words, plans; and simulate without one. */
#include "program.h"
#include <jansson.h>

#include "base/file.h"
#include "factory/factory.h"
#include "factory/generations/launcher.h"
#include "lines/driving/act/policy.h"

static char folder[64], output[1 << 16];
static fw_factory *factory;
static fw_http_server *server;

static void execute(const char *sql) {
    fw_error error = {""};
    sqlite3 *db = fw_catalogue_begin(factory->catalogue, &error);
    fw_status status = db ? fw_db_script(db, &error, sql) : FW_IO;
    if (fw_catalogue_end(factory->catalogue, status, &error) != FW_OK) fail_msg("%s", error.text);
}

static char other[FW_HASH_HEX + 1], champion[FW_HASH_HEX + 1]; /* hashes */

/* A rule as a registered model. */
static void add_model(fw_policy_kind kind, char hex[FW_HASH_HEX + 1]) {
    fw_error error = {""};
    fw_hash hash;
    char *bytes, sql[700];
    size_t size;
    if (fw_policy_rule_file(kind, &bytes, &size, &error) != FW_OK) fail_msg("%s", error.text);
    if (fw_objects_put(&factory->objects, bytes, size, &hash, &error) != FW_OK) fail_msg("%s", error.text);
    free(bytes);
    snprintf(hex, FW_HASH_HEX + 1, "%s", hash.hex);
    snprintf(sql, sizeof sql,
             "INSERT INTO objects(sha256,kind,size_bytes,received_ns) VALUES('%s','model',%zu,1);"
             "INSERT INTO models(hash,line,kind,metrics,created_ns) VALUES('%s','driving','rule','{}',1);",
             hex, size, hex);
    execute(sql);
}

/* Two models, one of them the fleet's; eight units. */
static void populate(void) {
    fw_error error = {""};
    char sql[200];
    add_model(FW_POLICY_IDM, other);
    add_model(FW_POLICY_CONSTANT, champion);
    snprintf(sql, sizeof sql, "INSERT INTO settings(name,value) VALUES('champion','%s')", champion);
    execute(sql);
    for (int i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "car-%d", i);
        if (fw_units_report(&factory->units, name, "{}", 2, NULL, &error) != FW_OK) fail_msg("%s", error.text);
    }
}

static int start(void **state) {
    (void)state;
    char data[100], url[60];
    fw_error error = {""};
    snprintf(folder, sizeof folder, "/tmp/fw-rollout-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(data, sizeof data, "%s/data", folder);
    fw_factory_config config = {.data_folder = strdup(data), .program = "/no/flywheel",
                                .env = fw_env_real(), .line = &fw_line_driving,
                                .launcher = fw_launcher_processes(), .threads = 1};
    if (fw_factory_open(&config, &factory, &error) != FW_OK) fail_msg("%s", error.text);
    populate();
    fw_http_app app = fw_factory_app(factory);
    fw_http_config http = {.address = "127.0.0.1", .body_max_bytes = 1 << 20};
    if (fw_http_server_start(&http, &app, &server, &error) != FW_OK) fail_msg("%s", error.text);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)fw_http_server_port(server));
    return setenv("FLYWHEEL_URL", url, 1);
}

static int stop(void **state) {
    (void)state;
    char *data = (char *)(uintptr_t)factory->config.data_folder;
    fw_http_server_stop(server);
    fw_factory_close(factory);
    free(data);
    return fw_folder_remove(folder, NULL) == FW_OK ? 0 : -1;
}

static void expect(const char *words, int status, const char *text) {
    char command[1200];
    snprintf(command, sizeof command, "cd %s && %s rollout %s </dev/null 2>&1", folder, PROGRAM, words);
    int got = run_command(command, output, sizeof output);
    expect_outcome(words, got, status, text, output);
}

/* `flywheel rollout start HASH REST`, by the first digits of a hash. */
static void expect_start(const char *hash, const char *rest, int status, const char *text) {
    char words[200];
    snprintf(words, sizeof words, "start %.10s %s", hash, rest);
    expect(words, status, text);
}

static void test_a_rollout_by_hand(void **state) {
    (void)state;
    expect("", 1, "no rollout yet");
    expect("start zz", 1, "no model 'zz'");
    expect_start(champion, "", 1, "fleet's model already");
    expect_start(other, "", 0, "ring 1 of 3 (canary)");
    expect_start(other, "", 1, "one at a time");
    expect("status", 0, "1 told, 0 run it, 0 failed, of 8");
    expect("status 1 --json", 0, "\"state\":\"rolling\"");
    expect("list", 0, "canary");
    expect("halt 1 --reason 'a long weekend'", 0, "a long weekend");
    expect("resume 1", 0, "goes on with this ring");
    expect("rollback 1", 0, "rolling_back");
    expect("rollback 1", 1, "being turned back already");
    expect("halt 7", 1, "not open");
    expect("status 7", 1, "no rollout 7");
}

static void test_plans_and_groups(void **state) {
    (void)state;
    char path[120];
    fw_error error;
    static const char plan[] = "{\"rings\":[{\"name\":\"everybody\",\"share\":1}]}";
    snprintf(path, sizeof path, "%s/plan.json", folder);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, plan, strlen(plan), &error), FW_OK);
    expect("plan", 0, "\"canary\"");
    expect("plan --plan plan.json", 0, "\"everybody\"");
    expect("plan --json", 0, "\"name\":\"everybody\"");
    expect("plan --plan none.json", 1, "none.json");
    expect_start(other, "--group car-1,car-2", 0, "2 told, 0 run it, 0 failed, of 2");
}

static void test_usage(void **state) {
    (void)state;
    expect("--help", 0, "usage: flywheel rollout");
    expect("start", 2, "want status");
    expect("halt x", 2, "no rollout's number");
    expect("dance 1", 2, "want status");
    expect("--harm 2", 2, "--harm");
}

static void test_simulate(void **state) {
    (void)state;
    expect("simulate --seeds 3", 0, "100.0%");
    expect("simulate --seeds 2 --harm 'crash on start' --json", 0, "\"halted\":2");
    expect("simulate --seeds 2 --harm 1.7", 0, "events x1.7");
    expect("simulate --harm x", 2, "no factor");
    expect("simulate --harm 2 --table", 2, "not both");
    expect("simulate --units 1", 2, "--units");
    expect("simulate --plan none.json", 1, "none.json");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {TEST(test_a_rollout_by_hand), TEST(test_plans_and_groups), TEST(test_usage),
                                       TEST(test_simulate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
