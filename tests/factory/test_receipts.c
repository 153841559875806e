/* Receipts in a factory: made of what others wrote, signed, kept while nothing changes, gone with their unit. */
#include "fixture.h"

#include "factory/receipts/receipt.h"
#include "factory/receipts/receipts.h"
#include "trust/canonical.h"
#include "trust/dsse.h"

/* ---- a line whose drives pass for the models named here ---- */

static struct {
    char good[FW_HASH_HEX + 1]; /* this model passes */
    int drives;
    bool broken; /* nothing to drive */
} world;

static json_t *drive_of(const char *path) {
    const char *model = strrchr(path, '/') + 1;
    return json_pack("{s:s, s:b}", "model", model, "passed", strcmp(model, world.good) == 0);
}
static fw_status drive_again(const fw_line_moment *moment, const char *const models[2], json_t **proof,
                             json_t **pictures, fw_error *error) {
    world.drives++;
    assert_string_equal(moment->kind, "hard_brake");
    assert_int_equal(moment->time_ns, 2000);
    if (world.broken) return fw_fail(error, FW_INVALID, "recording of 50 ticks, but no road");
    *proof = json_pack("{s:s, s:[o,o]}", "scenario", strrchr(moment->recording, '/') + 1, "drives", drive_of(models[0]),
                       drive_of(models[1]));
    if (pictures) *pictures = json_pack("{s:i}", "format", 1);
    return FW_OK;
}

static fw_factory_line line;
static int open_driving(void **state) {
    memset(&world, 0, sizeof world);
    int failed = fixture_open(state);
    fixture *f = *state;
    fixture_stop(f);
    line = any_line;
    line.drive_again = drive_again;
    f->config.line = &line;
    fixture_start(f);
    return failed;
}

/* ---- asking ---- */

static void sql(fixture *f, const char *text) {
    fw_error error = {""};
    sqlite3 *db = fw_catalogue_begin(f->factory->catalogue, &error);
    fw_status status = fw_db_script(db, &error, text);
    if (fw_catalogue_end(f->factory->catalogue, status, &error) != FW_OK) fail_msg("%s: %s", text, error.text);
}

static json_t *get(fixture *f, const char *path, int wanted) {
    json_t *json = NULL;
    int status = call(f, "GET", path, NULL, &json);
    if (status != wanted) fail_msg("%s: %d", path, status);
    return json;
}

static int64_t number(const json_t *json, const char *name) {
    return json_integer_value(json_object_get(json, name));
}

/* The statement of an event's receipt, its signature and chain checked. */
static json_t *receipt_of(fixture *f, int event, fw_receipt_view *view) {
    char path[60], *payload = NULL, *text;
    size_t size = 0;
    fw_public_key *key = NULL;
    json_t *statement = NULL;
    fw_error error = {""};
    snprintf(path, sizeof path, "/v1/events/%d/receipt", event);
    json_t *envelope = get(f, path, 200), *public = get(f, "/v1/receipts/key", 200);
    assert_int_equal(fw_public_key_read(public, &key, &error), FW_OK);
    text = json_dumps(envelope, JSON_COMPACT);
    fw_status status = fw_dsse_check(text, strlen(text), FW_DSSE_IN_TOTO, key, &payload, &size, &error);
    if (status == FW_OK) status = fw_canonical_read(payload, size, &statement, &error);
    if (status == FW_OK) status = fw_receipt_check(statement, view, &error);
    if (status != FW_OK) fail_msg("event %d: %s", event, error.text);
    fw_public_key_free(key);
    free(payload), free(text);
    json_decref(envelope), json_decref(public);
    return statement;
}

static void expect_why(const fw_receipt_view *view, fw_receipt_hop hop, const char *why) {
    const char *said = json_string_value(json_object_get(fw_receipt_hop_of(view, hop), "why"));
    if (!why && said) fail_msg("%s: %s", fw_receipt_hop_names[hop], said);
    if (why && (!said || !strstr(said, why))) fail_msg("%s says %s, not %s", fw_receipt_hop_names[hop], said ? said : "nothing", why);
}

static void outcome_is(fixture *f, int event, bool complete, const char *outcome) {
    fw_receipt_view view;
    json_t *statement = receipt_of(f, event, &view);
    assert_string_equal(view.outcome, outcome);
    assert_int_equal(view.complete, complete);
    json_decref(statement);
}

/* ---- a factory at work ---- */

static void ticks(fixture *f, int count) {
    fw_error error = {""};
    while (count-- > 0)
        if (fw_factory_tick(f->factory, &error) != FW_OK) fail_msg("%s", error.text);
}

/* One turn of the loop; its candidate into `candidate`. */
static void turn(fixture *f, int n, act gate, char candidate[FW_HASH_HEX + 1]) {
    char path[60], body[80];
    f->jobs.script[f->jobs.started] = ACT_SUCCEED;
    f->jobs.script[f->jobs.started + 1] = gate;
    snprintf(body, sizeof body, "{\"seed\":%d,\"agent_steps\":1000}", n);
    assert_int_equal(call(f, "POST", "/v1/generations", body, NULL), 201);
    ticks(f, 20);
    snprintf(path, sizeof path, "/v1/generations/%d", n);
    json_t *g = get(f, path, 200);
    const char *found = json_string_value(json_object_get(g, "candidate"));
    assert_non_null(found);
    snprintf(candidate, FW_HASH_HEX + 1, "%s", found);
    json_decref(g);
    sql(f, "UPDATE generations SET stage='done'");
}

/* As the rollouts' station leaves it. */
static void roll_out(fixture *f, int n, const char *model, const char *state) {
    char text[1000];
    snprintf(text, sizeof text,
             "DELETE FROM rollout_units; DELETE FROM rollout_steps; DELETE FROM rollouts WHERE generation=%d;"
             "INSERT INTO rollouts(n,generation,model,previous,plan,state,ring,created_ns,ring_ns,done_ns) VALUES(%d,%d,"
             "'%s','','{}','%s',2,1,1,(SELECT max(received_ns) FROM objects)+7000000000);"
             "INSERT INTO rollout_units(rollout,unit,ring,state,told_ns,active_ns,report) VALUES(%d,'car-0',0,'active',"
             "1,2,'signed 0'),(%d,'car-1',1,'active',1,3,'signed 1')",
             n, 100 + n, n, model, state, 100 + n, 100 + n);
    sql(f, text);
}

static void upload(fixture *f) {
    for (int i = 0; i < 8; i++) {
        char unit[16];
        snprintf(unit, sizeof unit, "car-%d", i % 4);
        assert_int_equal(put_mcap(f, unit, 100 + i, i == 1), 201);
    }
}

/* ---- tests ---- */

static void from_an_event_to_a_fixed_fleet(void **state) {
    fixture *f = *state;
    char candidate[FW_HASH_HEX + 1];
    fw_receipt_view view;
    add_champion(f, "generation 0");
    upload(f);
    json_t *statement = receipt_of(f, 1, &view);
    assert_false(view.complete);
    expect_why(&view, FW_RECEIPT_RECORDING, NULL);
    expect_why(&view, FW_RECEIPT_DATASET, "no data set");
    expect_why(&view, FW_RECEIPT_REPLAY, "no model yet");
    json_decref(statement);
    assert_int_equal(world.drives, 0);

    turn(f, 1, ACT_SUCCEED, candidate);
    snprintf(world.good, sizeof world.good, "%s", candidate);
    sql(f, "DELETE FROM rollout_units; DELETE FROM rollout_steps; DELETE FROM rollouts");
    statement = receipt_of(f, 1, &view);
    expect_why(&view, FW_RECEIPT_DATASET, NULL);
    expect_why(&view, FW_RECEIPT_RUN, NULL);
    expect_why(&view, FW_RECEIPT_GATE, NULL);
    expect_why(&view, FW_RECEIPT_REPLAY, NULL);
    expect_why(&view, FW_RECEIPT_ROLLOUT, "no rollout");
    assert_string_equal(view.outcome, "fixed");
    assert_int_equal(view.failure_to_fixed_ns, -1);
    json_decref(statement);

    roll_out(f, 1, candidate, "rolling");
    statement = receipt_of(f, 1, &view);
    expect_why(&view, FW_RECEIPT_ROLLOUT, "not reached");
    json_decref(statement);
    roll_out(f, 1, candidate, "done");
    statement = receipt_of(f, 1, &view);
    for (fw_receipt_hop h = 0; h < FW_RECEIPT_HOP_COUNT; h++) expect_why(&view, h, NULL);
    assert_true(view.complete);
    assert_true(view.failure_to_fixed_ns >= 7000000000);
    const json_t *rollout = json_object_get(fw_receipt_hop_of(&view, FW_RECEIPT_ROLLOUT), "facts");
    assert_int_equal(number(rollout, "active"), 2);
    assert_int_equal(number(rollout, "reports"), 2);
    assert_string_equal(json_string_value(json_object_get(fw_receipt_hop_of(&view, FW_RECEIPT_RUN), "sha256")), candidate);
    json_decref(statement);
}

/* Driven once for the same facts; the same bytes again. */
static void kept_while_nothing_changes(void **state) {
    fixture *f = *state;
    char candidate[FW_HASH_HEX + 1];
    add_champion(f, "generation 0");
    upload(f);
    turn(f, 1, ACT_SUCCEED, candidate);
    snprintf(world.good, sizeof world.good, "%s", candidate);
    roll_out(f, 1, candidate, "done");
    json_t *first = get(f, "/v1/events/1/receipt", 200);
    int drives = world.drives;
    assert_int_equal(drives, 1);
    f->faults.skip_ns += 5000000000;
    json_t *second = get(f, "/v1/events/1/receipt", 200);
    assert_int_equal(world.drives, drives);
    assert_true(json_equal(first, second));
    sql(f, "UPDATE rollout_units SET report='signed later' WHERE unit='car-1'");
    json_t *third = get(f, "/v1/events/1/receipt", 200);
    assert_false(json_equal(first, third));
    json_decref(first), json_decref(second), json_decref(third);
}

/* The first promoted generation does not fix it, the second does: that one is named. */
static void the_first_that_passes(void **state) {
    fixture *f = *state;
    char one[FW_HASH_HEX + 1], two[FW_HASH_HEX + 1];
    fw_receipt_view view;
    add_champion(f, "generation 0");
    upload(f);
    turn(f, 1, ACT_SUCCEED, one);
    roll_out(f, 1, one, "done");
    outcome_is(f, 1, false, "not fixed");
    assert_int_equal(put_mcap(f, "car-0", 200, 0), 201);
    turn(f, 2, ACT_SUCCEED, two);
    roll_out(f, 2, two, "done");
    snprintf(world.good, sizeof world.good, "%s", two);
    json_t *statement = receipt_of(f, 1, &view);
    assert_string_equal(view.outcome, "fixed");
    assert_true(view.complete);
    const json_t *facts = json_object_get(fw_receipt_hop_of(&view, FW_RECEIPT_DATASET), "facts");
    assert_int_equal(number(facts, "generation"), 2);
    json_decref(statement);
}

static void a_refused_candidate_fixes_nothing(void **state) {
    fixture *f = *state;
    char candidate[FW_HASH_HEX + 1];
    fw_receipt_view view;
    add_champion(f, "generation 0");
    upload(f);
    turn(f, 1, ACT_REFUSE, candidate);
    json_t *statement = receipt_of(f, 1, &view);
    assert_string_equal(view.outcome, "open");
    expect_why(&view, FW_RECEIPT_GATE, NULL);
    expect_why(&view, FW_RECEIPT_SIGNATURE, "no model was promoted");
    assert_int_equal(world.drives, 0);
    json_decref(statement);
}

static void what_cannot_be_driven_says_why(void **state) {
    fixture *f = *state;
    char candidate[FW_HASH_HEX + 1];
    fw_receipt_view view;
    add_champion(f, "generation 0");
    upload(f);
    turn(f, 1, ACT_SUCCEED, candidate);
    world.broken = true;
    json_t *statement = receipt_of(f, 1, &view);
    expect_why(&view, FW_RECEIPT_REPLAY, "no road");
    json_decref(statement);
    json_t *replay = get(f, "/v1/events/1/replay", 200);
    assert_int_equal(json_array_size(json_object_get(replay, "replays")), 0);
    assert_non_null(strstr(json_string_value(json_object_get(replay, "why")), "no road"));
    json_decref(replay);
    world.broken = false;
    replay = get(f, "/v1/events/1/replay", 200);
    assert_int_equal(json_array_size(json_object_get(replay, "replays")), 1);
    assert_true(json_is_object(json_object_get(replay, "proof")));
    json_decref(replay);
}

static void unknown_events(void **state) {
    fixture *f = *state;
    json_decref(get(f, "/v1/events/1/receipt", 404));
    json_decref(get(f, "/v1/events/1/replay", 404));
    json_decref(get(f, "/v1/events/x/receipt", 404));
}

static void all_of_them_in_figures(void **state) {
    fixture *f = *state;
    char candidate[FW_HASH_HEX + 1];
    add_champion(f, "generation 0");
    upload(f);
    json_t *all = get(f, "/v1/receipts", 200);
    assert_int_equal(number(all, "events"), 1);
    assert_int_equal(number(all, "receipts"), 0);
    assert_true(json_is_null(json_object_get(all, "failure_to_fixed_s")));
    assert_true(json_is_null(json_object_get(all, "share_complete")));
    json_decref(all);
    turn(f, 1, ACT_SUCCEED, candidate);
    snprintf(world.good, sizeof world.good, "%s", candidate);
    roll_out(f, 1, candidate, "done");
    outcome_is(f, 1, true, "fixed");
    all = get(f, "/v1/receipts", 200);
    const json_t *row = json_array_get(json_object_get(all, "rows"), 0), *fixed = json_object_get(all, "failure_to_fixed_s");
    assert_int_equal(number(all, "fixed"), 1);
    assert_true(json_number_value(json_object_get(all, "share_complete")) == 1);
    assert_int_equal(number(row, "event"), 1);
    assert_string_equal(json_string_value(json_object_get(row, "unit")), "car-1");
    assert_true(json_number_value(json_object_get(row, "fixed_s")) >= 7);
    assert_true(json_number_value(json_object_get(fixed, "median")) >= 7);
    assert_true(json_is_null(json_object_get(fixed, "low"))); /* one generation: no interval */
    json_decref(all);
}

/* Medians of known times: generation 1 took 1, 2, 3 s, generation 2 took 9 s. */
static void the_median_and_its_interval(void **state) {
    fixture *f = *state;
    upload(f);
    sql(f, "INSERT INTO receipts SELECT sha256,t,'k',t,'',1,'fixed',CASE WHEN t<9 THEN 1 ELSE 2 END,0,t*1000000000,'',0 FROM "
           "(SELECT min(sha256) sha256 FROM recordings),(SELECT 1 t UNION SELECT 2 UNION SELECT 3 UNION SELECT 9)");
    json_t *all = get(f, "/v1/receipts", 200);
    const json_t *fixed = json_object_get(all, "failure_to_fixed_s");
    assert_true(json_number_value(json_object_get(fixed, "median")) == 2.5);
    assert_int_equal(number(fixed, "n"), 4);
    assert_int_equal(number(fixed, "clusters"), 2);
    assert_true(json_number_value(json_object_get(fixed, "low")) <= 2);
    assert_true(json_number_value(json_object_get(fixed, "high")) >= 9);
    json_decref(all);
}

static void gone_with_its_unit(void **state) {
    fixture *f = *state;
    add_champion(f, "generation 0");
    upload(f);
    outcome_is(f, 1, false, "open");
    assert_int_equal(call(f, "POST", "/v1/units/car-1/erase", "{\"reason\":\"sold\"}", NULL), 200);
    json_decref(get(f, "/v1/events/1/receipt", 404));
    json_t *all = get(f, "/v1/receipts", 200);
    assert_int_equal(number(all, "receipts"), 0);
    json_decref(all);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, open_driving, fixture_close)
    const struct CMUnitTest tests[] = {
        T(from_an_event_to_a_fixed_fleet), T(kept_while_nothing_changes),     T(the_first_that_passes),
        T(a_refused_candidate_fixes_nothing), T(what_cannot_be_driven_says_why), T(unknown_events),
        T(all_of_them_in_figures),         T(the_median_and_its_interval),    T(gone_with_its_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
