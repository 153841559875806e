/* Every attack of the specification (its section 1.5.2), and how one recovers from stolen keys. */
#include "repo.h"

static const char poison[] = "a model that nobody released";

/* ---- arbitrary software ---- */

/* Who has the repository but no keys: bytes are replaced, and metadata signed by somebody else. */
static void test_arbitrary_software(void **state) {
    (void)state;
    repo r = {0};
    char path[128], name[REPO_NAME];
    fw_tuf_target target;
    repo_open(&r);
    repo_target(&r, "targets", "model", "the released model");
    repo_publish(&r, "targets snapshot timestamp");
    assert_int_equal(repo_look(&r, "model", &target), FW_OK);
    snprintf(path, sizeof path, "%s/installed", r.folder);
    snprintf(name, sizeof name, "%s.model", target.sha256.hex);
    repo_put(&r, name, poison, strlen(poison));
    fw_tuf_client *client = repo_client(&r);
    assert_int_equal(fw_tuf_refresh(client, &r.error), FW_OK);
    /* Longer than it is; of its length; shorter. */
    assert_int_equal(fw_tuf_download(client, &target, path, &r.error), FW_TOO_BIG);
    repo_put(&r, name, poison, strlen("the released model"));
    assert_int_equal(fw_tuf_download(client, &target, path, &r.error), FW_MISMATCH);
    repo_put(&r, name, poison, 3);
    assert_int_equal(fw_tuf_download(client, &target, path, &r.error), FW_CLOSED);
    assert_false(fw_file_exists(path));
    fw_tuf_close(client);
    repo_target(&r, "targets", "model", poison);
    repo_signers(&r, "targets", "20");
    repo_publish(&r, "targets snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_MISMATCH);
    assert_int_equal(repo_trusted(&r, "targets"), 2);
    repo_close(&r);
}

/* ---- rollback ---- */

static void test_rollback_timestamp(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_publish(&r, "timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_set_version(&r, "timestamp", 1);
    repo_publish_as_is(&r, "timestamp");
    assert_int_equal(repo_refresh(&r), FW_MISMATCH);
    assert_string_equal(r.asked, "2.root.json timestamp.json ");
    repo_expect(&r, 1, 2, 1, 1);
    repo_close(&r);
}

/* Another timestamp of the same version is no update. */
static void test_same_timestamp(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_say(&r, "timestamp", "snapshot.json", 100);
    repo_publish_as_is(&r, "timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    assert_string_equal(r.asked, "2.root.json timestamp.json ");
    repo_close(&r);
}

/* hashes: what is trusted counts for the comparison, though no hash of now fits it. */
static void rollback_snapshot(bool hashes) {
    repo r = {.hashes = hashes};
    repo_open(&r);
    repo_publish(&r, "snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_set_version(&r, "snapshot", 1);
    repo_publish_as_is(&r, "snapshot");
    repo_publish(&r, "timestamp");
    assert_int_equal(repo_refresh(&r), FW_MISMATCH);
    assert_string_equal(r.asked, "2.root.json timestamp.json ");
    repo_expect(&r, 1, 2, 2, 1);
    /* The same for one who lost the trusted timestamp. */
    char path[128];
    snprintf(path, sizeof path, "%s/timestamp.json", r.folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(repo_refresh(&r), FW_MISMATCH);
    repo_expect(&r, 1, 3, 2, 1);
    repo_close(&r);
}

static void test_rollback_snapshot(void **state) {
    (void)state;
    rollback_snapshot(false);
    rollback_snapshot(true);
}

static void rollback_targets(bool hashes) {
    repo r = {.hashes = hashes};
    repo_open(&r);
    repo_publish(&r, "targets snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_set_version(&r, "targets", 1);
    repo_publish_as_is(&r, "targets");
    repo_publish(&r, "snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_MISMATCH);
    repo_expect(&r, 1, 3, 2, 2);
    repo_close(&r);
}

static void test_rollback_targets(void **state) {
    (void)state;
    rollback_targets(false);
    rollback_targets(true);
}

/* A role, once in the snapshot, stays in it. */
static void test_role_removed(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_delegate(&r, "targets", "driving", "5", false, "driving/*");
    repo_publish(&r, "driving targets snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    json_object_del(json_object_get(repo_content(&r, "snapshot"), "meta"), "driving.json");
    repo_publish(&r, "snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_MISMATCH);
    assert_string_equal(r.error.text, "snapshot no longer lists driving.json");
    assert_int_equal(repo_trusted(&r, "snapshot"), 2);
    repo_close(&r);
}

/* ---- fast-forward, and recovery from it by new keys ---- */

static void test_fast_forward_timestamp(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_set_version(&r, "timestamp", INT64_MAX - 1);
    repo_publish_as_is(&r, "timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    /* Without new keys there is no way back. */
    repo_set_version(&r, "timestamp", 1);
    repo_publish(&r, "timestamp");
    assert_int_equal(repo_refresh(&r), FW_MISMATCH);
    repo_rotate(&r, "timestamp", "7", "7");
    repo_set_version(&r, "timestamp", 1);
    repo_publish_as_is(&r, "timestamp");
    repo_publish(&r, "root");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 2, 1, 1, 1);
    repo_close(&r);
}

static void test_fast_forward_snapshot(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_set_version(&r, "snapshot", 100);
    repo_publish_as_is(&r, "snapshot");
    repo_publish(&r, "timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_rotate(&r, "snapshot", "7", "7");
    repo_rotate(&r, "timestamp", "8", "8");
    repo_set_version(&r, "snapshot", 1);
    repo_publish_as_is(&r, "snapshot");
    repo_publish(&r, "root timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 2, 3, 1, 1);
    repo_close(&r);
}

/* New snapshot keys alone recover from versions of targets that were pushed up, and drop roles. */
static void test_fast_forward_targets(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_delegate(&r, "targets", "driving", "5", false, "driving/*");
    repo_set_version(&r, "targets", 100);
    repo_publish_as_is(&r, "targets");
    repo_publish(&r, "driving snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    assert_int_equal(repo_trusted(&r, "targets"), 100);
    repo_rotate(&r, "snapshot", "7", "7");
    repo_set_version(&r, "targets", 1);
    repo_publish_as_is(&r, "targets");
    json_object_del(json_object_get(repo_content(&r, "snapshot"), "meta"), "driving.json");
    repo_publish(&r, "root snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 2, 3, 3, 1);
    repo_close(&r);
}

/* The rotation is not forgotten when the session that saw it was cut behind it. */
static void test_recovery_in_two_sessions(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    /* Both old keys signed the pushed-up timestamp; one of them stays, so it would still be good by its signatures. */
    repo_keys(&r, "timestamp", 1, "1 5");
    repo_signers(&r, "timestamp", "1 5");
    repo_set_version(&r, "timestamp", 1000);
    repo_publish(&r, "root timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_rotate(&r, "timestamp", "5", "5");
    repo_set_version(&r, "timestamp", 1);
    repo_publish_as_is(&r, "timestamp");
    repo_publish(&r, "root");
    r.fails = "timestamp.json";
    r.fails_with = FW_CLOSED;
    assert_int_equal(repo_refresh(&r), FW_CLOSED);
    r.fails = NULL;
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 3, 1, 1, 1);
    repo_close(&r);
}

/* The same of the snapshot, which one that stays has signed, too. */
static void test_recovery_with_a_key_that_stays(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_keys(&r, "snapshot", 1, "2 6");
    repo_signers(&r, "snapshot", "2 6");
    repo_set_version(&r, "targets", 100);
    repo_publish_as_is(&r, "targets");
    repo_publish(&r, "root snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_rotate(&r, "snapshot", "6", "6");
    repo_set_version(&r, "targets", 1);
    repo_publish_as_is(&r, "targets");
    repo_publish(&r, "root snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 3, 3, 3, 1);
    repo_close(&r);
}

/* A key that only comes makes nobody forget: the old versions hold. */
static void test_key_added(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_publish(&r, "timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_keys(&r, "timestamp", 1, "1 5");
    repo_keys(&r, "snapshot", 1, "2 6");
    repo_set_version(&r, "timestamp", 1);
    repo_publish_as_is(&r, "timestamp");
    repo_publish(&r, "root");
    assert_int_equal(repo_refresh(&r), FW_MISMATCH);
    repo_expect(&r, 2, 2, 1, 1);
    repo_close(&r);
}

/* ---- indefinite freeze ---- */

static void test_freeze(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_expires(&r, "timestamp", repo_start_s + repo_day_s);
    repo_publish(&r, "timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    r.now_s += repo_day_s;
    assert_int_equal(repo_refresh(&r), FW_TIMEOUT);
    assert_non_null(strstr(r.error.text, "timestamp version 2 expired at 2027-01-16T08:00:00Z"));
    repo_close(&r);
}

/* The clock is read once: metadata does not expire while it is being fetched. */
static void test_clock_is_read_once(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_publish(&r, "root root targets snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    assert_int_equal(r.clock_reads, 1);
    repo_close(&r);
}

/* ---- mix and match ---- */

/* Snapshot and targets of different times never go together. */
static void test_mix_and_match(void **state) {
    (void)state;
    for (int hashes = 0; hashes < 2; hashes++) {
        repo r = {.hashes = hashes == 1};
        repo_open(&r);
        repo_target(&r, "targets", "model", "the older model");
        repo_publish(&r, "targets snapshot timestamp");
        repo_target(&r, "targets", "model", "the newer model");
        repo_publish(&r, "targets snapshot timestamp");
        const repo_file *old = repo_find(&r, "2.targets.json");
        repo_put(&r, "3.targets.json", old->bytes, old->size);
        assert_int_equal(repo_refresh(&r), FW_MISMATCH);
        repo_expect(&r, 1, 3, 3, 0);
        old = repo_find(&r, "2.snapshot.json");
        repo_put(&r, "3.snapshot.json", old->bytes, old->size);
        repo_publish(&r, "timestamp");
        char path[128];
        snprintf(path, sizeof path, "%s/snapshot.json", r.folder);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(repo_refresh(&r), FW_MISMATCH);
        repo_expect(&r, 1, 4, 0, 0);
        repo_close(&r);
    }
}

/* ---- endless data, slow retrieval ---- */

static void test_endless_data(void **state) {
    (void)state;
    static const char *const files[] = {"2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"};
    static const size_t limits[] = {512 << 10, 16 << 10, 2 << 20, 5 << 20};
    for (int i = 0; i < 4; i++) {
        repo r = {0};
        repo_open(&r);
        char *spaces = malloc(limits[i] + 1);
        memset(spaces, ' ', limits[i] + 1);
        repo_put(&r, files[i], spaces, limits[i] + 1);
        free(spaces);
        assert_int_equal(repo_refresh(&r), FW_TOO_BIG);
        repo_close(&r);
    }
}

/* A line that gives more than it was asked for is not believed. */
static fw_status generous(void *self, const char *path, size_t max_bytes, char **bytes, size_t *size, fw_error *error) {
    (void)self, (void)path, (void)error;
    *size = max_bytes + 1;
    *bytes = calloc(1, *size);
    return FW_OK;
}

static void test_generous_line(void **state) {
    (void)state;
    repo r = {0};
    fw_tuf_client *client = NULL;
    repo_open(&r);
    fw_tuf_fetch line = {.self = &r, .metadata = generous};
    assert_int_equal(fw_tuf_open(&r.env, r.folder, &line, NULL, &client, NULL), FW_OK);
    assert_int_equal(fw_tuf_refresh(client, &r.error), FW_TOO_BIG);
    fw_tuf_close(client);
    repo_close(&r);
}

/* The line gives up on a server that is too slow; what is trusted stays, and the next session goes on. */
static void test_slow_retrieval(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_publish(&r, "targets snapshot timestamp");
    r.fails = "2.targets.json";
    r.fails_with = FW_TIMEOUT;
    assert_int_equal(repo_refresh(&r), FW_TIMEOUT);
    repo_expect(&r, 1, 2, 2, 0);
    r.fails = NULL;
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_close(&r);
}

/* ---- extraneous dependencies, wrong software ---- */

/* A role speaks only of what was delegated to it; what it says of other targets is nothing. */
static void test_extraneous(void **state) {
    (void)state;
    repo r = {0};
    fw_tuf_target target;
    repo_open(&r);
    repo_delegate(&r, "targets", "robots", "5", false, "robots/*");
    repo_target(&r, "robots", "driving/model", poison);
    repo_target(&r, "robots", "robots/model", "fine");
    repo_publish(&r, "robots targets snapshot timestamp");
    assert_int_equal(repo_look(&r, "driving/model", &target), FW_NOT_FOUND);
    assert_int_equal(repo_look(&r, "robots/model", &target), FW_OK);
    assert_string_equal(target.path, "robots/model");
    repo_close(&r);
}

/* ---- key compromise ---- */

/* Who has the timestamp's and the snapshot's keys can freeze and roll back what nobody has seen, and sign no target. */
static void test_online_keys_stolen(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_publish(&r, "targets snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_target(&r, "targets", "model", poison);
    repo_signers(&r, "targets", "1 2");
    repo_publish(&r, "targets snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_MISMATCH);
    assert_int_equal(repo_trusted(&r, "targets"), 2);
    repo_close(&r);
}

/* A stolen targets key is taken out by the root; what it signed is no longer good, though it was trusted. */
static void test_targets_key_stolen(void **state) {
    (void)state;
    repo r = {0};
    fw_tuf_target target;
    repo_open(&r);
    json_t *said = repo_target(&r, "targets", "model", poison);
    json_incref(said);
    repo_publish(&r, "targets snapshot timestamp");
    assert_int_equal(repo_look(&r, "model", &target), FW_OK);
    repo_rotate(&r, "targets", "7", "3");
    repo_publish(&r, "root timestamp");
    assert_int_equal(repo_look(&r, "model", &target), FW_MISMATCH);
    json_object_del(json_object_get(repo_content(&r, "targets"), "targets"), "model");
    repo_signers(&r, "targets", "7");
    repo_publish(&r, "targets snapshot timestamp");
    assert_int_equal(repo_look(&r, "model", &target), FW_NOT_FOUND);
    json_decref(said);
    repo_close(&r);
}

/* One stolen root key of three with threshold two makes no root; the other two replace it. */
static void test_root_key_stolen(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_keys(&r, "root", 2, "10 11 12");
    repo_signers(&r, "root", "0 10 11");
    repo_publish(&r, "root");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_signers(&r, "root", "12");
    repo_publish(&r, "root");
    assert_int_equal(repo_refresh(&r), FW_MISMATCH);
    repo_set_version(&r, "root", 2);
    repo_keys(&r, "root", 2, "10 11 13");
    repo_signers(&r, "root", "10 11");
    repo_publish(&r, "root");
    assert_int_equal(repo_refresh(&r), FW_OK);
    assert_int_equal(repo_trusted(&r, "root"), 3);
    repo_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arbitrary_software),
        cmocka_unit_test(test_rollback_timestamp),
        cmocka_unit_test(test_same_timestamp),
        cmocka_unit_test(test_rollback_snapshot),
        cmocka_unit_test(test_rollback_targets),
        cmocka_unit_test(test_role_removed),
        cmocka_unit_test(test_fast_forward_timestamp),
        cmocka_unit_test(test_fast_forward_snapshot),
        cmocka_unit_test(test_fast_forward_targets),
        cmocka_unit_test(test_recovery_in_two_sessions),
        cmocka_unit_test(test_recovery_with_a_key_that_stays),
        cmocka_unit_test(test_key_added),
        cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_clock_is_read_once),
        cmocka_unit_test(test_mix_and_match),
        cmocka_unit_test(test_endless_data),
        cmocka_unit_test(test_generous_line),
        cmocka_unit_test(test_slow_retrieval),
        cmocka_unit_test(test_extraneous),
        cmocka_unit_test(test_online_keys_stolen),
        cmocka_unit_test(test_targets_key_stolen),
        cmocka_unit_test(test_root_key_stolen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
