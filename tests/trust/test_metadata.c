/* Metadata's form: what has every field of its type is read, anything else is refused. */
#include "repo.h"

#include "trust/metadata_form.h"

static fw_status read_text(fw_tuf_role type, const char *text) {
    fw_metadata *m = NULL;
    fw_error error = {""};
    fw_status status = fw_metadata_read(type, text, strlen(text), &m, &error);
    assert_int_equal(status == FW_OK, m != NULL);
    if (status != FW_OK) assert_string_not_equal(error.text, "");
    fw_metadata_free(m);
    return status;
}

/* ---- the frame ---- */

#define TARGETS "{\"_type\":\"targets\",\"spec_version\":\"1.0.31\",\"version\":1,\"expires\":\"2030-01-01T00:00:00Z\",\"targets\":{}}"

static void test_frame(void **state) {
    (void)state;
    static const struct {
        const char *text;
        fw_status expect;
    } cases[] = {
        {"{\"signed\":" TARGETS ",\"signatures\":[]}", FW_OK},
        {"{\"signed\":" TARGETS ",\"signatures\":[],\"more\":1}", FW_OK},
        {"{\"signed\":" TARGETS ",\"signatures\":[{\"keyid\":\"a\",\"sig\":\"\"},{\"keyid\":\"b\",\"sig\":\"\"}]}", FW_OK},
        {"{\"signed\":" TARGETS ",\"signatures\":[{\"keyid\":\"a\",\"sig\":\"\"},{\"keyid\":\"a\",\"sig\":\"\"}]}", FW_CORRUPT},
        {"{\"signed\":" TARGETS ",\"signatures\":[{\"keyid\":\"a\"}]}", FW_CORRUPT},
        {"{\"signed\":" TARGETS ",\"signatures\":[{\"keyid\":1,\"sig\":\"\"}]}", FW_CORRUPT},
        {"{\"signed\":" TARGETS ",\"signatures\":[{\"keyid\":\"a\",\"sig\":7}]}", FW_CORRUPT},
        {"{\"signed\":" TARGETS ",\"signatures\":[7]}", FW_CORRUPT},
        {"{\"signed\":" TARGETS ",\"signatures\":{}}", FW_CORRUPT},
        {"{\"signed\":" TARGETS "}", FW_CORRUPT},
        {"{\"signed\":[],\"signatures\":[]}", FW_CORRUPT},
        {"{\"signatures\":[]}", FW_CORRUPT},
        {"[]", FW_CORRUPT},
        {"{", FW_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (read_text(FW_TUF_TARGETS, cases[i].text) != cases[i].expect) fail_msg("%s", cases[i].text);
}

/* ---- fields, one changed at a time ---- */

/* Sets the field at "a/b/0/c" to a JSON text; "" removes it. */
static void change(json_t *at, const char *path, const char *value) {
    char words[128], *rest = words, *word;
    snprintf(words, sizeof words, "%s", path);
    while ((word = strsep(&rest, "|"))) {
        if (rest) {
            at = json_is_array(at) ? json_array_get(at, (size_t)atoi(word)) : json_object_get(at, word);
            assert_non_null(at);
        } else if (!*value) {
            assert_int_equal(json_object_del(at, word), 0);
        } else {
            json_t *fresh = json_loads(value, JSON_DECODE_ANY, NULL);
            assert_non_null(fresh);
            if (json_is_array(at)) json_array_set_new(at, (size_t)atoi(word), fresh);
            else json_object_set_new(at, word, fresh);
        }
    }
}

#define H64 "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\""

static const struct {
    fw_tuf_role type;
    const char *path, *value;
    fw_status expect;
} fields[] = {
    /* All types. */
    {FW_TUF_ROOT, "_type", "\"targets\"", FW_CORRUPT},
    {FW_TUF_ROOT, "_type", "", FW_CORRUPT},
    {FW_TUF_ROOT, "spec_version", "", FW_CORRUPT},
    {FW_TUF_ROOT, "spec_version", "\"1.0\"", FW_OK},
    {FW_TUF_ROOT, "spec_version", "\"2.0.0\"", FW_UNSUPPORTED},
    {FW_TUF_ROOT, "spec_version", "\"10.0\"", FW_UNSUPPORTED},
    {FW_TUF_ROOT, "version", "", FW_CORRUPT},
    {FW_TUF_ROOT, "version", "0", FW_CORRUPT},
    {FW_TUF_ROOT, "version", "-1", FW_CORRUPT},
    {FW_TUF_ROOT, "version", "\"1\"", FW_CORRUPT},
    {FW_TUF_ROOT, "version", "9223372036854775807", FW_CORRUPT},
    {FW_TUF_ROOT, "expires", "", FW_CORRUPT},
    {FW_TUF_ROOT, "expires", "1893456000", FW_CORRUPT},
    {FW_TUF_ROOT, "expires", "\"tomorrow\"", FW_CORRUPT},
    {FW_TUF_ROOT, "more", "{\"a\":[null]}", FW_OK},
    {FW_TUF_ROOT, "more", "1.5", FW_CORRUPT},
    /* Root. */
    {FW_TUF_ROOT, "keys", "", FW_CORRUPT},
    {FW_TUF_ROOT, "keys", "[]", FW_CORRUPT},
    {FW_TUF_ROOT, "keys|x", "7", FW_CORRUPT},
    {FW_TUF_ROOT, "keys|x", "{}", FW_OK},
    {FW_TUF_ROOT, "roles", "", FW_CORRUPT},
    {FW_TUF_ROOT, "roles|snapshot", "", FW_CORRUPT},
    {FW_TUF_ROOT, "roles|mirrors", "7", FW_OK},
    {FW_TUF_ROOT, "roles|targets|keyids", "", FW_CORRUPT},
    {FW_TUF_ROOT, "roles|targets|keyids", "[1]", FW_CORRUPT},
    {FW_TUF_ROOT, "roles|targets|keyids", "[]", FW_OK},
    {FW_TUF_ROOT, "roles|targets|threshold", "", FW_CORRUPT},
    {FW_TUF_ROOT, "roles|targets|threshold", "0", FW_CORRUPT},
    {FW_TUF_ROOT, "roles|targets|threshold", "\"1\"", FW_CORRUPT},
    {FW_TUF_ROOT, "consistent_snapshot", "", FW_OK},
    {FW_TUF_ROOT, "consistent_snapshot", "1", FW_CORRUPT},
    /* Timestamp. */
    {FW_TUF_TIMESTAMP, "meta", "", FW_CORRUPT},
    {FW_TUF_TIMESTAMP, "meta|snapshot.json", "", FW_CORRUPT},
    {FW_TUF_TIMESTAMP, "meta|snapshot.json|version", "0", FW_CORRUPT},
    {FW_TUF_TIMESTAMP, "meta|snapshot.json|length", "7", FW_OK},
    {FW_TUF_TIMESTAMP, "meta|snapshot.json|length", "-7", FW_CORRUPT},
    {FW_TUF_TIMESTAMP, "meta|snapshot.json|length", "\"7\"", FW_CORRUPT},
    {FW_TUF_TIMESTAMP, "meta|snapshot.json|hashes", "{\"sha256\":" H64 "}", FW_OK},
    {FW_TUF_TIMESTAMP, "meta|snapshot.json|hashes", "{\"sha256\":\"0123\"}", FW_CORRUPT},
    {FW_TUF_TIMESTAMP, "meta|snapshot.json|hashes", "{\"sha512\":" H64 "}", FW_CORRUPT},
    {FW_TUF_TIMESTAMP, "meta|snapshot.json|hashes", "{\"sha256\":\"Z123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}", FW_CORRUPT},
    {FW_TUF_TIMESTAMP, "meta|snapshot.json|hashes", "{\"new\":\"anything\"}", FW_OK},
    {FW_TUF_TIMESTAMP, "meta|snapshot.json|hashes", "{\"new\":7}", FW_CORRUPT},
    {FW_TUF_TIMESTAMP, "meta|snapshot.json|hashes", "{}", FW_CORRUPT},
    {FW_TUF_TIMESTAMP, "meta|snapshot.json|hashes", "[]", FW_CORRUPT},
    /* Snapshot. */
    {FW_TUF_SNAPSHOT, "meta", "", FW_CORRUPT},
    {FW_TUF_SNAPSHOT, "meta|targets.json", "", FW_CORRUPT},
    {FW_TUF_SNAPSHOT, "meta|other.json", "{\"version\":7}", FW_OK},
    {FW_TUF_SNAPSHOT, "meta|other.json", "{}", FW_CORRUPT},
    /* Targets. */
    {FW_TUF_TARGETS, "targets", "", FW_CORRUPT},
    {FW_TUF_TARGETS, "targets", "[]", FW_CORRUPT},
    {FW_TUF_TARGETS, "targets|model", "7", FW_CORRUPT},
    {FW_TUF_TARGETS, "targets|model|length", "", FW_CORRUPT},
    {FW_TUF_TARGETS, "targets|model|length", "-1", FW_CORRUPT},
    {FW_TUF_TARGETS, "targets|model|hashes", "", FW_CORRUPT},
    {FW_TUF_TARGETS, "targets|model|custom", "{\"a\":1}", FW_OK},
    {FW_TUF_TARGETS, "targets|model|custom", "7", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations", "", FW_OK},
    {FW_TUF_TARGETS, "delegations", "7", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|keys", "", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles", "", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles", "7", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles", "[]", FW_OK},
    {FW_TUF_TARGETS, "delegations|roles|0|name", "", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles|0|name", "\"\"", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles|0|name", "\"root\"", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles|0|name", "\"B\"", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles|0|keyids", "", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles|0|threshold", "0", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles|0|terminating", "", FW_OK},
    {FW_TUF_TARGETS, "delegations|roles|0|terminating", "1", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles|0|paths", "", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles|0|paths", "[7]", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles|0|paths", "\"*\"", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles|0|path_hash_prefixes", "[]", FW_CORRUPT},
    {FW_TUF_TARGETS, "delegations|roles|1", "7", FW_CORRUPT},
};

static void test_fields(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_target(&r, "targets", "model", "x");
    repo_delegate(&r, "targets", "A", "10", true, "*");
    repo_delegate(&r, "targets", "B", "11", false, "*");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *role = fw_tuf_role_text(fields[i].type);
        json_t *content = json_deep_copy(repo_content(&r, role));
        json_t *whole = json_pack("{s:O,s:[]}", "signed", content, "signatures");
        char *text = json_dumps(whole, 0);
        assert_int_equal(read_text(fields[i].type, text), FW_OK);
        free(text);
        change(content, fields[i].path, fields[i].value);
        text = json_dumps(whole, 0);
        fw_status status = read_text(fields[i].type, text);
        if (status != fields[i].expect)
            fail_msg("%s %s = %s: %s", role, fields[i].path, fields[i].value, fw_status_text(status));
        free(text);
        json_decref(whole);
        json_decref(content);
    }
    repo_close(&r);
}

/* A name that would be longer than a file's name may be. */
static void test_long_name(void **state) {
    (void)state;
    repo r = {0};
    char name[FW_TUF_ROLE_NAME_MAX];
    fw_metadata *m = NULL;
    repo_open(&r);
    memset(name, '/', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    json_t *entry = repo_delegate(&r, "targets", "A", "10", true, "*");
    json_object_set_new(entry, "name", json_string(name));
    char *text = repo_text(&r, "targets");
    assert_int_equal(fw_metadata_read(FW_TUF_TARGETS, text, strlen(text), &m, &r.error), FW_CORRUPT);
    free(text);
    repo_close(&r);
}

/* ---- what it says ---- */

static void test_verify(void **state) {
    (void)state;
    repo r = {0};
    fw_metadata *root = NULL, *targets = NULL;
    repo_open(&r);
    const repo_file *file = repo_find(&r, "1.root.json");
    assert_int_equal(fw_metadata_read(FW_TUF_ROOT, file->bytes, file->size, &root, &r.error), FW_OK);
    assert_int_equal(root->version, 1);
    assert_int_equal(root->expires_s, repo_start_s + 30 * repo_day_s);
    file = repo_find(&r, "1.targets.json");
    assert_int_equal(fw_metadata_read(FW_TUF_TARGETS, file->bytes, file->size, &targets, &r.error), FW_OK);
    assert_int_equal(fw_metadata_verify_role(targets, root, FW_TUF_TARGETS, &r.error), FW_OK);
    assert_int_equal(fw_metadata_verify_role(targets, root, FW_TUF_SNAPSHOT, &r.error), FW_MISMATCH);
    assert_false(fw_metadata_rotated(root, root, FW_TUF_SNAPSHOT));
    fw_metadata_free(targets);
    fw_metadata_free(root);
    repo_close(&r);
}

/* A key that left is a rotation; one that came, one that is only named otherwise, and an id of no key are none. */
static void test_rotated(void **state) {
    (void)state;
    repo r = {0};
    fw_metadata *before = NULL, *after = NULL;
    static const struct {
        const char *old, *fresh;
        bool expect;
    } cases[] = {{"5", "5", false}, {"5", "5 6", false}, {"5 6", "6", true}, {"5", "6", true}, {"", "5", false}, {"5", "", true}};
    repo_open(&r);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        repo_keys(&r, "snapshot", 1, cases[i].old);
        json_array_append_new(json_object_get(repo_role(&r, "snapshot"), "keyids"), json_string("of nothing"));
        char *text = repo_text(&r, "root");
        assert_int_equal(fw_metadata_read(FW_TUF_ROOT, text, strlen(text), &before, &r.error), FW_OK);
        free(text);
        repo_keys(&r, "snapshot", 1, cases[i].fresh);
        text = repo_text(&r, "root");
        assert_int_equal(fw_metadata_read(FW_TUF_ROOT, text, strlen(text), &after, &r.error), FW_OK);
        free(text);
        assert_int_equal(fw_metadata_rotated(before, after, FW_TUF_SNAPSHOT), cases[i].expect);
        fw_metadata_free(before);
        fw_metadata_free(after);
    }
    repo_close(&r);
}

/* ---- names and times ---- */

static void test_roles(void **state) {
    (void)state;
    for (fw_tuf_role role = FW_TUF_ROOT; role < FW_TUF_ROLES; role++) assert_int_equal(fw_tuf_role_parse(fw_tuf_role_text(role)), role);
    assert_int_equal(fw_tuf_role_parse("mirrors"), FW_TUF_ROLES);
    assert_int_equal(fw_tuf_role_parse(""), FW_TUF_ROLES);
}

static void test_times(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds; /* -1: no time */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},          {"1985-10-21T01:21:00Z", 498705660}, {"2000-02-29T23:59:59Z", 951868799},
        {"2000-03-01T00:00:00Z", 951868800},  {"2024-02-29T12:00:00Z", 1709208000}, {"9999-12-31T23:59:59Z", 253402300799},
        {"2023-02-29T00:00:00Z", -1},         {"2100-02-29T00:00:00Z", -1},        {"2023-13-01T00:00:00Z", -1},
        {"2023-00-01T00:00:00Z", -1},         {"2023-01-00T00:00:00Z", -1},        {"2023-04-31T00:00:00Z", -1},
        {"2023-01-01T24:00:00Z", -1},         {"2023-01-01T00:60:00Z", -1},        {"2023-01-01T00:00:60Z", -1},
        {"0000-01-01T00:00:00Z", -1},         {"2023-01-01T00:00:00", -1},         {"2023-01-01T00:00:00+00:00", -1},
        {"2023-01-01 00:00:00Z", -1},         {"2023-01-01T00:00:00.5Z", -1},      {"", -1},
        {"2023-01-01T00:00:00Z ", -1},        {"202a-01-01T00:00:00Z", -1},        {"2023-01-/1T00:00:00Z", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t seconds = -7;
        bool good = fw_tuf_time_read(cases[i].text, &seconds);
        if (good != (cases[i].seconds >= 0)) fail_msg("%s", cases[i].text);
        if (good) assert_int_equal(seconds, cases[i].seconds);
    }
    int64_t seconds = 0;
    assert_true(fw_tuf_time_read("0001-01-01T00:00:00Z", &seconds));
    assert_int_equal(seconds, -62135596800);
}

static void test_quote(void **state) {
    (void)state;
    char out[16];
    static const struct {
        const char *name;
        bool keep_slash;
        const char *expect; /* NULL: too long */
    } cases[] = {
        {"aZ09_.-~", false, "aZ09_.-~"}, {"a/b", false, "a%2Fb"}, {"a/b", true, "a/b"}, {"", false, ""}, {"%\xFF", false, "%25%FF"},
        {"123456789012", false, "123456789012"}, {"1234567890123456", false, NULL}, {"/////", false, "%2F%2F%2F%2F%2F"}, {"//////", false, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fw_status status = fw_tuf_quote(cases[i].name, cases[i].keep_slash, out, sizeof out, NULL);
        if ((status == FW_OK) != (cases[i].expect != NULL)) fail_msg("%s", cases[i].name);
        if (cases[i].expect) assert_string_equal(out, cases[i].expect);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame),   cmocka_unit_test(test_fields), cmocka_unit_test(test_long_name), cmocka_unit_test(test_verify),
        cmocka_unit_test(test_rotated), cmocka_unit_test(test_roles),  cmocka_unit_test(test_times),     cmocka_unit_test(test_quote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
