/* The registry: where models come from stands in the commit that enters them, and what may drive is released first. */
#include "fixture.h"

#include "base/json.h"
#include "factory/registry/lineage.h"
#include "factory/registry/release.h"
#include "factory/trust/trust.h"
#include "trust/dsse.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const char *word(const json_t *json, const char *name) {
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "";
}

static int64_t number(const json_t *json, const char *name) {
    return json_integer_value(json_object_get(json, name));
}

static json_t *card_of(fixture *f, const char *hash) {
    char path[120];
    json_t *card;
    snprintf(path, sizeof path, "/v1/models/%s", hash);
    assert_int_equal(call(f, "GET", path, NULL, &card), 200);
    return card;
}

/* One turn of the loop; the candidate's card. */
static json_t *turn(fixture *f, act gate) {
    json_t *g;
    fw_error error = {""};
    int n = f->jobs.started / 2 + 1;
    char path[60];
    for (int i = 0; i < 8; i++) {
        char unit[16];
        snprintf(unit, sizeof unit, "car-%d", i % 4);
        assert_int_equal(put_mcap(f, unit, 100 * n + i, i % 2), 201);
    }
    f->jobs.script[f->jobs.started] = ACT_SUCCEED;
    f->jobs.script[f->jobs.started + 1] = gate;
    assert_int_equal(call(f, "POST", "/v1/generations", "{\"seed\":7,\"agent_steps\":1000}", NULL), 201);
    for (int i = 0; i < 20; i++)
        if (fw_factory_tick(f->factory, &error) != FW_OK) fail_msg("%s", error.text);
    snprintf(path, sizeof path, "/v1/generations/%d", n);
    assert_int_equal(call(f, "GET", path, NULL, &g), 200);
    json_t *card = card_of(f, word(g, "candidate"));
    json_decref(g);
    return card;
}

/* The signed statement of a card must hold; its payload, the caller's. */
static json_t *statement_of(fixture *f, const json_t *card) {
    char *key_text, *payload, *envelope = json_dumps(json_object_get(card, "statement"), JSON_COMPACT);
    fw_public_key *key;
    size_t size;
    fw_error error = {""};
    assert_non_null(envelope);
    assert_int_equal(fw_trust_release_key(f->factory->trust, &key_text, &error), FW_OK);
    json_t *json = json_loads(key_text, 0, NULL);
    assert_int_equal(fw_public_key_read(json, &key, &error), FW_OK);
    json_decref(json);
    if (fw_dsse_check(envelope, strlen(envelope), FW_DSSE_IN_TOTO, key, &payload, &size, &error) != FW_OK)
        fail_msg("%s", error.text);
    json = json_loadb(payload, size, 0, NULL);
    fw_public_key_free(key);
    free(payload);
    free(key_text);
    free(envelope);
    return json;
}

static void a_promoted_model_has_lineage_and_release(void **state) {
    fixture *f = *state;
    fw_hash champion = add_champion(f, "generation 0");
    json_t *card = turn(f, ACT_SUCCEED), *lineage = json_object_get(card, "lineage");
    assert_string_equal(word(card, "decision"), "promoted");
    assert_string_equal(word(lineage, "origin"), "trained");
    assert_string_equal(word(lineage, "model"), word(card, "hash"));
    assert_string_equal(word(lineage, "parent"), champion.hex);
    assert_string_equal(word(lineage, "dataset"), word(card, "dataset"));
    assert_int_equal(number(lineage, "generation"), 1);
    const json_t *recordings = json_object_get(lineage, "recordings"), *cost = json_object_get(lineage, "cost");
    assert_int_equal(number(recordings, "train"), 6);
    assert_int_equal(number(recordings, "held_out"), 2);
    assert_true(json_number_value(json_object_get(cost, "core_s")) == 1.5);
    assert_true(number(cost, "dataset_ns") > 0 && number(cost, "trained_ns") >= number(cost, "dataset_ns"));
    const json_t *gate = json_object_get(lineage, "gate");
    char *record = json_dumps(json_object_get(card, "gate"), JSON_COMPACT);
    assert_string_equal(word(gate, "sha256"), fw_hash_bytes(record, strlen(record)).hex);
    assert_string_equal(word(gate, "decision"), "promoted");
    free(record);
    assert_int_equal(number(card, "release_counter"), 2); /* the first champion had 1 */
    fw_hash model;
    fw_error error;
    assert_int_equal(fw_hash_parse(word(card, "hash"), &model, &error), FW_OK);
    assert_true(fw_trust_released(f->factory->trust, &model));
    json_decref(card);
}

static void the_statement_is_over_model_and_lineage(void **state) {
    fixture *f = *state;
    add_champion(f, "generation 0");
    json_t *card = turn(f, ACT_SUCCEED), *statement = statement_of(f, card);
    json_t *predicate = json_object_get(statement, "predicate"), *resources = json_object_get(predicate, "resources");
    char *lineage = NULL;
    fw_error error;
    assert_string_equal(word(statement, "predicateType"), "https://model_signing/signature/v1.0");
    assert_int_equal(json_array_size(resources), 2);
    assert_int_equal(fw_registry_lineage(f->factory->catalogue, word(card, "hash"), &lineage, &error), FW_OK);
    assert_string_equal(word(json_array_get(resources, 0), "name"), "lineage.json");
    assert_string_equal(word(json_array_get(resources, 0), "digest"), fw_hash_bytes(lineage, strlen(lineage)).hex);
    assert_string_equal(word(json_array_get(resources, 1), "digest"), word(card, "hash"));
    assert_int_equal(number(json_object_get(predicate, "release"), "release_counter"), 2);
    char *again = json_dumps(json_object_get(card, "lineage"), JSON_COMPACT); /* what HTTP gives is what was signed */
    assert_string_equal(again, lineage);
    free(again);
    free(lineage);
    json_decref(statement);
    json_decref(card);
}

static void a_refused_model_has_lineage_alone(void **state) {
    fixture *f = *state;
    add_champion(f, "generation 0");
    json_t *card = turn(f, ACT_REFUSE);
    const json_t *lineage = json_object_get(card, "lineage");
    assert_string_equal(word(json_object_get(lineage, "gate"), "decision"), "refused");
    assert_true(json_is_null(json_object_get(card, "statement")));
    assert_true(json_is_null(json_object_get(card, "release_counter")));
    fw_hash model;
    fw_error error;
    assert_int_equal(fw_hash_parse(word(card, "hash"), &model, &error), FW_OK);
    assert_false(fw_trust_released(f->factory->trust, &model));
    json_decref(card);
}

static void going_back_is_a_release_with_a_higher_counter(void **state) {
    fixture *f = *state;
    fw_error error = {""};
    fw_hash champion = add_champion(f, "generation 0");
    json_t *card = card_of(f, champion.hex);
    assert_int_equal(number(card, "release_counter"), 1);
    assert_string_equal(word(json_object_get(card, "lineage"), "origin"), "uploaded");
    json_decref(card);
    json_decref(turn(f, ACT_SUCCEED));
    for (int64_t counter = 3; counter < 5; counter++) {
        assert_int_equal(fw_registry_release(&f->factory->registry, champion.hex, &error), FW_OK);
        card = card_of(f, champion.hex);
        json_t *statement = statement_of(f, card);
        assert_int_equal(number(card, "release_counter"), counter);
        assert_int_equal(
            number(json_object_get(json_object_get(statement, "predicate"), "release"), "release_counter"), counter);
        json_decref(statement);
        json_decref(card);
        fixture_stop(f);
        fixture_start(f); /* a counter is not forgotten */
    }
    assert_int_equal(fw_registry_release(&f->factory->registry, A, &error), FW_NOT_FOUND);
}

/* Each write of a promotion fails once: afterwards the model is as it was or promoted with all it needs. */
static void a_torn_promotion_is_finished_later(void **state) {
    fixture *f = *state;
    fw_error error = {""};
    fw_hash champion = add_champion(f, "generation 0");
    int64_t before = 0;
    for (unsigned n = 1; n < 60; n++) {
        f->faults.calls = 0;
        f->faults.fail_at = n;
        f->faults.fail_errno = ENOSPC;
        fw_status status = fw_registry_release(&f->factory->registry, champion.hex, &error);
        bool over = f->faults.calls < n;
        f->faults.fail_at = 0;
        json_t *card = card_of(f, champion.hex), *statement = statement_of(f, card);
        int64_t counter = number(card, "release_counter");
        assert_int_equal(
            number(json_object_get(json_object_get(statement, "predicate"), "release"), "release_counter"), counter);
        assert_true(status == FW_OK ? counter > before : counter >= before);
        before = counter;
        json_decref(statement);
        json_decref(card);
        if (over) return;
    }
    fail_msg("no end of writes");
}

/* ---- texts ---- */

static void a_lineage_reads_back(void **state) {
    (void)state;
    const fw_recipe recipe = {.imitation_steps = 5, .agent_steps = 16384, .seed = UINT64_MAX};
    json_t *result = json_pack("{s:o,s:o,s:o,s:f}", "recipe", fw_recipe_json(&recipe), "code", fw_lineage_code(),
                               "machine", fw_lineage_machine(), "core_s", 2.5);
    const fw_lineage_trained trained = {.line = "driving", .model = A, .parent = "", .dataset = A, .generation = 3,
                                        .result = result};
    char *text, *decided;
    fw_lineage lineage;
    fw_error error = {""};
    assert_int_equal(fw_lineage_of_training(&trained, &text, &error), FW_OK);
    assert_int_equal(fw_lineage_with_gate(text, "{}", "promoted", "by test", &decided, &error), FW_OK);
    assert_int_equal(fw_lineage_read(decided, strlen(decided), &lineage, &error), FW_OK);
    assert_true(lineage.trained);
    assert_true(lineage.recipe.seed == UINT64_MAX); /* more than a JSON reader keeps in a number */
    assert_int_equal(lineage.recipe.agent_steps, 16384);
    assert_int_equal(lineage.recipe.imitation_steps, 5);
    assert_string_equal(lineage.parent, "");
    assert_string_equal(lineage.gate, fw_hash_bytes("{}", 2).hex);
    assert_true(strlen(lineage.build_id) >= 32);
    assert_non_null(strstr(lineage.training_class, "oneDNN"));
    json_decref(result);
    free(decided);
    free(text);
}

static void what_is_no_lineage_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"version\":2}",
                                      "{\"version\":1,\"line\":\"driving\"}",
                                      "{\"version\":1,\"line\":\"driving\",\"model\":\"x\"}",
                                      "{\"version\":1,\"line\":\"driving\",\"model\":\"" A "\",\"parent\":7}",
                                      "{\"version\":1,\"line\":\"driving\",\"model\":\"" A "\",\"dataset\":\"" A
                                      "\",\"origin\":\"trained\",\"recipe\":{\"seed\":7}}",
                                      "{\"version\":1,\"line\":\"driving\",\"model\":\"" A "\",\"dataset\":\"" A
                                      "\",\"origin\":\"trained\",\"recipe\":{\"seed\":\"-1\"}}",
                                      "{\"version\":1,\"line\":\"driving\",\"model\":\"" A "\",\"dataset\":\"" A
                                      "\",\"origin\":\"trained\",\"recipe\":{\"seed\":\"99999999999999999999\"}}",
                                      "{\"version\":1,\"line\":\"driving\",\"model\":\"" A "\",\"dataset\":\"" A
                                      "\",\"origin\":\"trained\",\"recipe\":{\"seed\":\"1\",\"agent_steps\":-1}}"};
    fw_lineage lineage;
    fw_error error;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (fw_lineage_read(bad[i], strlen(bad[i]), &lineage, &error) == FW_OK) fail_msg("taken: %s", bad[i]);
}

int main(void) {
#define IN_FACTORY(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {IN_FACTORY(a_promoted_model_has_lineage_and_release),
                                       IN_FACTORY(the_statement_is_over_model_and_lineage),
                                       IN_FACTORY(a_refused_model_has_lineage_alone),
                                       IN_FACTORY(going_back_is_a_release_with_a_higher_counter),
                                       IN_FACTORY(a_torn_promotion_is_finished_later),
                                       cmocka_unit_test(a_lineage_reads_back),
                                       cmocka_unit_test(what_is_no_lineage_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
