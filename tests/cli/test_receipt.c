/* flywheel receipt verify: offline, by the public key alone, with the files, and driven again. */
#include "program.h"

#include <jansson.h>

#include "../lines/synthetic_file.h"
#include "base/file.h"
#include "factory/line.h"
#include "factory/receipts/receipt.h"
#include "lines/driving/act/policy.h"
#include "trust/canonical.h"
#include "trust/dsse.h"

static char folder[64], output[8000];
static fw_hash recording, constant, idm;

static const char *in_folder(const char *name) {
    static char paths[8][200];
    static int at;
    char *path = paths[at++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *bytes, size_t size) {
    fw_error error = {""};
    if (fw_file_write_durable(fw_env_real(), in_folder(name), bytes, size, &error) != FW_OK) fail_msg("%s", error.text);
}

static fw_hash make_model(fw_policy_kind kind) {
    char *bytes = NULL;
    size_t size = 0;
    fw_error error;
    assert_int_equal(fw_policy_rule_file(kind, &bytes, &size, &error), FW_OK);
    fw_hash hash = fw_hash_bytes(bytes, size);
    write_file(hash.hex, bytes, size);
    free(bytes);
    return hash;
}

static json_t *drive(void) {
    const fw_line_moment moment = {.recording = in_folder(recording.hex), .kind = "veto", .time_ns = 9000000000};
    json_t *proof = NULL;
    fw_error error = {""};
    const char *models[] = {in_folder(constant.hex), in_folder(idm.hex)};
    if (fw_line_driving.drive_again(&moment, (const char *const[]){models[0], models[1]}, &proof, NULL, &error) != FW_OK)
        fail_msg("%s", error.text);
    return proof;
}

static json_t *build(void) {
    json_t *proof = drive(), *statement = NULL;
    json_t *event = json_pack("{s:i,s:s,s:s,s:I,s:s,s:I}", "id", 7, "unit", "3", "kind", "veto", "time_ns",
                              (json_int_t)9000000000, "recording", recording.hex, "received_ns", (json_int_t)10);
    json_t *row = json_pack("{s:s,s:i,s:I}", "sha256", recording.hex, "bytes", 100, "received_ns", (json_int_t)10);
    json_t *generation = json_pack("{s:i,s:s,s:I}", "n", 1, "candidate", idm.hex, "train_ns", (json_int_t)30);
    const fw_receipt_facts facts = {.event = event, .recording = row, .generation = generation, .proof = proof,
                                    .proof_ns = 40};
    fw_error error = {""};
    if (fw_receipt_build(&facts, 50, &statement, &error) != FW_OK) fail_msg("%s", error.text);
    json_decref(proof), json_decref(event), json_decref(row), json_decref(generation);
    return statement;
}

/* Signs with the key of a seed; the key's public half goes into key.json where it is the right one. */
static void sign(const json_t *statement, uint8_t seed, const char *name) {
    uint8_t seeds[32] = {seed};
    fw_private_key *key = NULL;
    fw_public_key *public_key = NULL;
    char *text = NULL, *envelope = NULL;
    size_t size = 0;
    fw_error error = {""};
    assert_int_equal(fw_private_key_of_seed(seeds, &key, &error), FW_OK);
    assert_int_equal(fw_private_key_public(key, &public_key, &error), FW_OK);
    assert_int_equal(fw_canonical_write(statement, &text, &size, &error), FW_OK);
    assert_int_equal(fw_dsse_sign(FW_DSSE_IN_TOTO, text, size, key, &envelope, &error), FW_OK);
    write_file(name, envelope, strlen(envelope));
    json_t *json = fw_public_key_json(public_key);
    char *public_text = json_dumps(json, 0);
    write_file(seed == 1 ? "key.json" : "other.json", public_text, strlen(public_text));
    free(public_text), free(text), free(envelope);
    json_decref(json);
    fw_public_key_free(public_key), fw_private_key_free(key);
}

static int make_folder(void **state) {
    char from[120];
    fw_error error;
    (void)state;
    strcpy(folder, "/tmp/fw_receipt_XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(from, sizeof from, "%s", in_folder("one.mcap"));
    synthetic_file(from, "7", 8);
    assert_int_equal(fw_hash_file(from, &recording, &error), FW_OK);
    assert_int_equal(rename(from, in_folder(recording.hex)), 0);
    constant = make_model(FW_POLICY_CONSTANT);
    idm = make_model(FW_POLICY_IDM);
    json_t *statement = build();
    sign(statement, 1, "receipt.json");
    sign(statement, 2, "forged.json");
    json_object_set_new(json_object_get(statement, "predicate"), "bytes", json_integer(7));
    sign(statement, 1, "wrong.json");
    json_decref(statement);
    return 0;
}

static int remove_folder(void **state) {
    fw_error error;
    (void)state;
    return fw_folder_remove(folder, &error) != FW_OK;
}

static void expect(const char *words, int status, const char *text) {
    char command[900];
    snprintf(command, sizeof command, "cd %s && %s receipt %s 2>&1", folder, PROGRAM, words);
    expect_outcome(words, run_command(command, output, sizeof output), status, text, output);
}

static void offline_by_the_key_alone(void **state) {
    (void)state;
    expect("verify receipt.json --key key.json", 0, "the chain holds");
    assert_non_null(strstr(output, "event 7: incomplete, fixed"));
    assert_non_null(strstr(output, "drives now"));
    expect("verify receipt.json --key key.json --json", 0, "urn:flywheel:receipt:1");
    expect("verify receipt.json --key other.json", 1, "flywheel: ");
    expect("verify forged.json --key key.json", 1, "flywheel: ");
    expect("verify wrong.json --key key.json", 1, "does not follow from its hops");
    expect("verify none.json --key key.json", 1, "none.json");
    expect("verify key.json --key key.json", 1, "flywheel: ");
    expect("verify receipt.json --key receipt.json", 1, "flywheel: ");
}

static void with_the_files(void **state) {
    char name[80];
    (void)state;
    expect("verify receipt.json --key key.json --objects .", 0, "3 files checked");
    expect("verify receipt.json --key key.json --objects . --drive", 0, "driven again: the same figures");
    expect("verify receipt.json --key key.json --objects /nowhere", 0, "0 files checked");
    expect("verify receipt.json --key key.json --objects /nowhere --drive", 1, "has no file");
    snprintf(name, sizeof name, "%s.kept", idm.hex); /* another file under the model's name */
    assert_int_equal(rename(in_folder(idm.hex), in_folder(name)), 0);
    write_file(idm.hex, "not it", 6);
    expect("verify receipt.json --key key.json --objects .", 1, "is not the new model of the receipt");
    assert_int_equal(rename(in_folder(name), in_folder(idm.hex)), 0);
}

static void wrong_words(void **state) {
    (void)state;
    expect("", 2, "want EVENT");
    expect("verify receipt.json", 2, "--key");
    expect("verify receipt.json --key key.json --drive", 2, "--objects");
    expect("17 18", 2, "flywheel");
    expect("--help", 0, "usage: flywheel receipt");
    expect("17 --url http://127.0.0.1:1", 1, "no factory answers");
    expect("--all --url http://127.0.0.1:1", 1, "no factory answers");
    expect("seventeen --url http://127.0.0.1:1", 1, "seventeen");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offline_by_the_key_alone),
        cmocka_unit_test(with_the_files),
        cmocka_unit_test(wrong_words),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
