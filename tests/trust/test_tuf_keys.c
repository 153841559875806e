/* Keys and thresholds: who must sign, who counts, and how keys are replaced. */
#include "repo.h"

/* One version of a role's metadata: its keys, how many of them must sign, and who signs. */
typedef struct signing {
    const char *keys;
    int threshold;
    const char *signers;
} signing;

typedef struct rotation {
    const char *name;
    bool good; /* is the last of them accepted? */
    signing versions[5];
} rotation;

/* ---- the root's own keys: a new root is signed by a threshold of the old one's keys and of its own ---- */

static const rotation root_rotations[] = {
    {"one key replaced", true, {{"1", 1, "1"}, {"2", 1, "2 1"}, {"2", 1, "2"}}},
    {"strangers sign too", true, {{"1", 1, "3 1 4"}, {"2", 1, "3 2 1 4"}, {"2", 1, "3 2 4"}}},
    {"3 of 5, others each time", true,
     {{"0 1 2 3 4", 3, "0 2 4"}, {"0 1 2 3 4", 3, "0 4 1"}, {"0 1 2 3 4", 3, "0 1 3"}, {"0 1 2 3 4", 3, "0 1 3"}}},
    {"one of 5 replaced", true, {{"0 1 2 3 4", 3, "0 2 4"}, {"0 1 3 4 5", 3, "0 4 1"}}},
    {"one of 5 replaced, in steps", true,
     {{"0 1 2 3 4", 3, "0 2 4"}, {"0 1 3 4 5", 3, "0 2 4 5"}, {"0 1 3 4 5", 3, "0 4 5"}}},
    {"all 5 replaced", true,
     {{"0 1 2 3 4", 3, "0 2 4"}, {"5 6 7 8 9", 3, "0 2 4 5 6 7"}, {"5 6 7 8 9", 3, "5 6 7"}}},
    {"threshold raised", true, {{"1 2 3", 1, "1"}, {"1 2 3", 2, "1 2"}}},
    {"threshold lowered", true, {{"1 2 3", 2, "1 2"}, {"1 2 3", 1, "1 2"}, {"1 2 3", 1, "1"}}},
    {"a key more, threshold raised", true, {{"1", 1, "1"}, {"1 2", 2, "1 2"}}},
    {"old key does not sign", false, {{"1", 1, "1"}, {"2", 1, "2 3 4"}}},
    {"new key does not sign", false, {{"1", 1, "1"}, {"2", 1, "1 3 4"}}},
    {"too few of the new", false, {{"0 1 2 3 4", 3, "0 2 4"}, {"0 1 3 4 5", 3, "0 2 4"}}},
    {"too few of the old", false, {{"0 1 2 3 4", 3, "0 2 4"}, {"0 1 3 4 5", 3, "0 4 5"}}},
    {"raised threshold not reached", false, {{"1 2 3", 1, "1"}, {"1 2 3", 2, "2"}}},
    {"lowered threshold, old one not reached", false, {{"1 2 3", 2, "1 2"}, {"1 2 3", 1, "1"}}},
};

static void test_root_rotations(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof root_rotations / sizeof *root_rotations; i++) {
        const rotation *c = &root_rotations[i];
        repo r = {0};
        int count = 0;
        repo_open(&r);
        for (; count < 5 && c->versions[count].keys; count++) {
            repo_keys(&r, "root", c->versions[count].threshold, c->versions[count].keys);
            repo_signers(&r, "root", c->versions[count].signers);
            if (count == 0) repo_publish_as_is(&r, "root");
            else repo_publish(&r, "root");
        }
        assert_int_equal(fw_folder_remove(r.folder, NULL), FW_OK);
        repo_init_client(&r);
        fw_status status = repo_refresh(&r);
        if (status != (c->good ? FW_OK : FW_MISMATCH)) fail_msg("%s: %s", c->name, fw_status_text(status));
        assert_int_equal(repo_trusted(&r, "root"), c->good ? count : count - 1);
        repo_close(&r);
    }
}

/* ---- the other roles' keys ---- */

static const rotation role_rotations[] = {
    {"one key replaced", true, {{"2", 1, "2"}}},
    {"strangers sign too", true, {{"1", 1, "3 1 4"}}},
    {"new key does not sign", false, {{"2", 1, "1 3 4"}}},
    {"a key that is not of them", false, {{"0 1 3 4 5", 3, "0 2 4"}}},
    {"too few", false, {{"0 1 3 4 5", 3, "0 4"}}},
    {"3 of 5: 0 2 4", true, {{"0 1 2 3 4", 3, "0 2 4"}}},
    {"3 of 5: 0 4 1", true, {{"0 1 2 3 4", 3, "0 4 1"}}},
    {"3 of 5: 0 1 3", true, {{"0 1 2 3 4", 3, "0 1 3"}}},
    {"3 of 5: 1 2 3", true, {{"0 1 2 3 4", 3, "1 2 3"}}},
    {"3 of 5: 2 3 4", true, {{"0 1 2 3 4", 3, "2 3 4"}}},
    {"more must sign than there are", false, {{"0 1 2", 4, "0 1 2"}}},
};

static void test_role_rotations(void **state) {
    (void)state;
    static const char *const roles[] = {"timestamp", "snapshot", "targets"};
    for (size_t i = 0; i < sizeof role_rotations / sizeof *role_rotations; i++)
        for (int j = 0; j < 3; j++) {
            const rotation *c = &role_rotations[i];
            repo r = {0};
            repo_open(&r);
            repo_keys(&r, roles[j], c->versions[0].threshold, c->versions[0].keys);
            repo_signers(&r, roles[j], c->versions[0].signers);
            repo_publish(&r, "root targets snapshot timestamp");
            fw_status status = repo_refresh(&r);
            if (status != (c->good ? FW_OK : FW_MISMATCH)) fail_msg("%s, %s: %s", c->name, roles[j], fw_status_text(status));
            assert_int_equal(repo_trusted(&r, roles[j]), c->good ? 2 : 0);
            repo_close(&r);
        }
}

/* ---- who counts ---- */

/* Publishes the timestamp's text with its signatures changed. */
static fw_status refresh_with(repo *r, void (*change)(json_t *signatures)) {
    repo_publish(r, "root timestamp");
    json_t *whole = json_loads(repo_find(r, "timestamp.json")->bytes, 0, NULL);
    change(json_object_get(whole, "signatures"));
    char *text = json_dumps(whole, 0);
    repo_put(r, "timestamp.json", text, strlen(text));
    free(text);
    json_decref(whole);
    return repo_refresh(r);
}

static void same_signature_again(json_t *list) { json_array_append_new(list, json_deep_copy(json_array_get(list, 0))); }
static void empty_signature(json_t *list) { json_object_set_new(json_array_get(list, 0), "sig", json_string("")); }
static void odd_signature(json_t *list) { json_object_set_new(json_array_get(list, 0), "sig", json_string("0")); }
static void no_hex(json_t *list) { json_object_set_new(json_array_get(list, 0), "sig", json_string("zz")); }
static void other_signature(json_t *list) {
    json_object_set(json_array_get(list, 0), "sig", json_object_get(json_array_get(list, 1), "sig"));
}
static void long_signature(json_t *list) {
    char hex[2 * FW_SIGNATURE_MAX + 3];
    memset(hex, 'a', sizeof hex - 1);
    hex[sizeof hex - 1] = '\0';
    json_object_set_new(json_array_get(list, 0), "sig", json_string(hex));
}
static void no_change(json_t *list) { (void)list; }

static void test_signatures(void **state) {
    (void)state;
    static const struct {
        void (*change)(json_t *signatures);
        const char *keys;
        int threshold;
        fw_status expect;
    } cases[] = {
        {no_change, "1 5", 2, FW_OK},
        /* A key id that signs twice is refused, though once would do. */
        {same_signature_again, "1", 1, FW_CORRUPT},
        {same_signature_again, "1 5", 2, FW_CORRUPT},
        /* A signature that is none does not count and does no harm. */
        {empty_signature, "1 5", 1, FW_OK},
        {odd_signature, "1 5", 1, FW_OK},
        {no_hex, "1 5", 1, FW_OK},
        {other_signature, "1 5", 1, FW_OK},
        {long_signature, "1 5", 1, FW_OK},
        {empty_signature, "1 5", 2, FW_MISMATCH},
        {other_signature, "1 5", 2, FW_MISMATCH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        repo r = {0};
        repo_open(&r);
        repo_keys(&r, "timestamp", cases[i].threshold, cases[i].keys);
        repo_signers(&r, "timestamp", cases[i].keys);
        fw_status status = refresh_with(&r, cases[i].change);
        if (status != cases[i].expect) fail_msg("case %zu: %s", i, fw_status_text(status));
        repo_close(&r);
    }
}

/* A role that names one key six times has one key. */
static void test_duplicate_key_ids(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_rotate(&r, "snapshot", "5 5 5 5 5 5", "5");
    json_object_set_new(repo_role(&r, "snapshot"), "threshold", json_integer(2));
    repo_publish(&r, "root snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_MISMATCH);
    repo_expect(&r, 2, 2, 0, 0);
    repo_close(&r);
}

static void to_upper(char *text) {
    for (; *text; text++)
        if (*text >= 'a' && *text <= 'z') *text = (char)(*text - 'a' + 'A');
}

/* The same key under two names, one of them with fields more and upper-case hex, in the signature too: signed twice,
 * counted once. */
static void test_one_key_two_names(void **state) {
    (void)state;
    repo r = {0};
    fw_hash id;
    char hex[65], sig[129];
    repo_open(&r);
    repo_rotate(&r, "timestamp", "5", "5");
    json_t *again = repo_public(&r, 5, &id);
    snprintf(hex, sizeof hex, "%s", json_string_value(json_object_get(json_object_get(again, "keyval"), "public")));
    to_upper(hex);
    json_object_set_new(json_object_get(again, "keyval"), "public", json_string(hex));
    json_object_set_new(again, "other", json_true());
    json_object_set_new(json_object_get(repo_content(&r, "root"), "keys"), "second", again);
    json_array_append_new(json_object_get(repo_role(&r, "timestamp"), "keyids"), json_string("second"));
    json_object_set_new(repo_role(&r, "timestamp"), "threshold", json_integer(2));
    repo_publish(&r, "root timestamp");
    json_t *whole = json_loads(repo_find(&r, "timestamp.json")->bytes, 0, NULL), *list = json_object_get(whole, "signatures");
    snprintf(sig, sizeof sig, "%s", json_string_value(json_object_get(json_array_get(list, 0), "sig")));
    to_upper(sig);
    json_array_append_new(list, json_pack("{s:s,s:s}", "keyid", "second", "sig", sig));
    char *text = json_dumps(whole, 0);
    repo_put(&r, "timestamp.json", text, strlen(text));
    assert_int_equal(repo_refresh(&r), FW_MISMATCH);
    assert_non_null(strstr(r.error.text, "signed by 1 of its keys, 2 must sign"));
    free(text);
    json_decref(whole);
    repo_close(&r);
}

/* A key of a kind that we do not know, one that is none, and an id without a key: the others decide. */
static void test_unreadable_keys(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    json_t *keys = json_object_get(repo_content(&r, "root"), "keys"), *ids = json_object_get(repo_role(&r, "timestamp"), "keyids");
    json_object_set_new(keys, "future", json_pack("{s:s,s:s,s:{s:s}}", "keytype", "new", "scheme", "new", "keyval", "public", "x"));
    json_object_set_new(keys, "broken", json_object());
    for (int i = 0; i < 3; i++) json_array_append_new(ids, json_string(((const char *[]){"future", "broken", "absent"})[i]));
    repo_publish(&r, "root timestamp");
    json_t *whole = json_loads(repo_find(&r, "timestamp.json")->bytes, 0, NULL);
    for (int i = 0; i < 2; i++)
        json_array_append_new(json_object_get(whole, "signatures"),
                              json_pack("{s:s,s:s}", "keyid", ((const char *[]){"future", "broken"})[i], "sig", "abcd"));
    char *text = json_dumps(whole, 0);
    repo_put(&r, "timestamp.json", text, strlen(text));
    assert_int_equal(repo_refresh(&r), FW_OK);
    free(text);
    json_decref(whole);
    repo_close(&r);
}

/* ---- the kinds of keys ---- */

static void test_ecdsa(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    assert_int_equal(fw_private_key_make(FW_KEY_ECDSA_P256, &r.keys[30], NULL), FW_OK);
    repo_keys(&r, "root", 2, "0 30");
    repo_signers(&r, "root", "0 30");
    repo_publish(&r, "root");
    assert_int_equal(repo_refresh(&r), FW_OK);
    assert_int_equal(repo_trusted(&r, "root"), 2);
    repo_signers(&r, "root", "0 31");
    repo_publish(&r, "root");
    assert_int_equal(repo_refresh(&r), FW_MISMATCH);
    assert_int_equal(repo_trusted(&r, "root"), 2);
    repo_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_rotations),    cmocka_unit_test(test_role_rotations),  cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_duplicate_key_ids), cmocka_unit_test(test_one_key_two_names), cmocka_unit_test(test_unreadable_keys),
        cmocka_unit_test(test_ecdsa),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
