/* The conformance suite's kinds of cases, made by ourselves, for where its vectors are absent:
 * golden/conformance.json holds each case's features, records and file (hexadecimal).
 * FLYWHEEL_BLESS=1 makes it anew from `inputs` and `variants` below; bless only what passes the
 * official vectors too (test_mcap_conformance). */
#include <unistd.h>

#include "conformance.h"

#define GOLDEN FW_SOURCE_DIR "/tests/mcap/golden/conformance.json"
#define SCHEMA                                                                                     \
    "{\"type\":\"Schema\",\"fields\":[[\"data\",[\"123\",\"125\"]],[\"encoding\",\"jsonschema\"]," \
    "[\"id\",\"1\"],[\"name\",\"Pose\"]]}"
#define CHANNEL(schema)                                                                            \
    "{\"type\":\"Channel\",\"fields\":[[\"id\",\"1\"],[\"message_encoding\",\"json\"],"            \
    "[\"metadata\",{\"unit\":\"7\",\"role\":\"car\"}],[\"schema_id\",\"" schema                    \
    "\"],[\"topic\",\"/pose\"]]}"
#define MESSAGE(time, sequence)                                                                    \
    "{\"type\":\"Message\",\"fields\":[[\"channel_id\",\"1\"],[\"data\",[\"255\",\"0\",\"9\"]],"   \
    "[\"log_time\",\"" time "\"],[\"publish_time\",\"18446744073709551615\"],"                     \
    "[\"sequence\",\"" sequence "\"]]}"

static const struct input {
    const char *name, *records;
} inputs[] = {
    {"nothing", ""},
    {"one message", SCHEMA "," CHANNEL("1") "," MESSAGE("5", "4294967295")},
    {"no schema", CHANNEL("0") "," MESSAGE("0", "0")},
    {"out of order",
     SCHEMA "," CHANNEL("1") "," MESSAGE("9", "1") "," MESSAGE("3", "2") "," MESSAGE(
         "9", "3") "," MESSAGE("3", "4") "," MESSAGE("1", "5")},
    {"attachment",
     "{\"type\":\"Attachment\",\"fields\":[[\"create_time\",\"1\"],[\"data\",[\"1\",\"2\"]],"
     "[\"log_time\",\"2\"],[\"media_type\",\"text/plain\"],[\"name\",\"notes\"]]}"},
    {"metadata", "{\"type\":\"Metadata\",\"fields\":[[\"metadata\",{\"a\":\"1\",\"b\":\"\"}],"
                 "[\"name\",\"run\"]]}"}};

static const char *const variants[] = {
    "", "\"ch\"", "\"ch\",\"mx\",\"chx\"", "\"st\",\"rsh\",\"rch\",\"ax\",\"mdx\"",
    "\"ch\",\"mx\",\"st\",\"rsh\",\"rch\",\"ax\",\"mdx\",\"chx\",\"sum\""};

static char folder[64], mcap_path[100], json_path[100];

static void put_file(const char *path, const void *at, size_t size) {
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(at, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
}

static void put_json(const char *path, const json_t *whole) {
    char *text = json_dumps(whole, JSON_COMPACT);
    put_file(path, text, strlen(text));
    free(text);
}

static char *hex_of(const char *at, size_t size) {
    char *hex = malloc(2 * size + 1);
    assert_non_null(hex);
    for (size_t i = 0; i < size; i++) snprintf(hex + 2 * i, 3, "%02x", (uint8_t)at[i]);
    return hex;
}

static json_t *bless_case(const struct input *input, const char *variant) {
    char text[8192];
    snprintf(text, sizeof text,
             "{\"meta\":{\"variant\":{\"features\":[%s]}},\"records\":[{\"type\":\"Header\","
             "\"fields\":[[\"library\",\"flywheel\"],[\"profile\",\"test\"]]}%s%s,"
             "{\"type\":\"DataEnd\",\"fields\":[]}]}",
             variant, input->records[0] == '\0' ? "" : ",", input->records);
    json_error_t where;
    json_t *whole = json_loads(text, 0, &where);
    if (whole == NULL) fail_msg("%s: %s", input->name, where.text);
    put_json(json_path, whole);
    size_t size, printed_size;
    char *made = run_program("write", json_path, &size);
    assert_non_null(made);
    put_file(mcap_path, made, size);
    char *printed = run_program("read", mcap_path, &printed_size);
    assert_non_null(printed);
    json_t *read = json_loads(printed, 0, NULL);
    json_object_set(whole, "records", json_object_get(read, "records"));
    json_decref(read);
    char *hex = hex_of(made, size);
    json_object_set_new(whole, "name", json_string(input->name));
    json_object_set_new(whole, "mcap", json_string(hex));
    free(hex);
    free(made);
    free(printed);
    return whole;
}

static void bless(void) {
    FILE *out = fopen(GOLDEN, "w");
    assert_non_null(out);
    const char *before = "[\n";
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        for (size_t v = 0; v < sizeof variants / sizeof variants[0]; v++) {
            json_t *whole = bless_case(&inputs[i], variants[v]);
            fputs(before, out);
            json_dumpf(whole, out, JSON_COMPACT);
            before = ",\n";
            json_decref(whole);
        }
    }
    fputs("\n]\n", out);
    fclose(out);
}

/* Puts the case's file and JSON into the folder. */
static void unfold(json_t *whole) {
    const char *hex = json_string_value(json_object_get(whole, "mcap"));
    assert_non_null(hex);
    size_t size = strlen(hex) / 2;
    uint8_t *at = malloc(size);
    assert_non_null(at);
    for (size_t i = 0; i < size; i++) {
        char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        at[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    put_file(mcap_path, at, size);
    free(at);
    put_json(json_path, whole);
}

static void test_cases(void **state) {
    (void)state;
    if (getenv("FLYWHEEL_BLESS") != NULL) bless();
    json_t *cases = json_load_file(GOLDEN, 0, NULL);
    assert_non_null(cases);
    assert_int_equal(json_array_size(cases), 30);
    size_t i;
    json_t *whole;
    json_array_foreach(cases, i, whole) {
        unfold(whole);
        check_reading(mcap_path, whole);
        check_writing(mcap_path, json_path);
    }
    json_decref(cases);
}

/* What is not a case is refused with exit 1, and a wrong call with 2. */
static void test_refusals(void **state) {
    (void)state;
    size_t size;
    put_file(mcap_path, "no", 2);
    assert_null(run_program("read 2>/dev/null", mcap_path, &size));
    assert_null(run_program("read-indexed 2>/dev/null", mcap_path, &size));
    assert_null(run_program("nonsense 2>/dev/null", mcap_path, &size));
    const char *const bad[] = {
        "{",
        "{}",
        "{\"records\":[{}]}",
        "{\"records\":[{\"type\":\"Message\",\"fields\":[]}]}",
        "{\"meta\":{\"variant\":{\"features\":[\"pad\"]}},\"records\":[]}",
        "{\"records\":[{\"type\":\"Header\",\"fields\":[]},{\"type\":\"Nonsense\"}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_file(json_path, bad[i], strlen(bad[i]));
        assert_null(run_program("write 2>/dev/null", json_path, &size));
    }
}

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/fw_mcap_cases.XXXXXX");
    if (mkdtemp(folder) == NULL) return 1;
    snprintf(mcap_path, sizeof mcap_path, "%s/case.mcap", folder);
    snprintf(json_path, sizeof json_path, "%s/case.json", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(mcap_path);
    unlink(json_path);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
