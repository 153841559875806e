/* The client's workflow: what is asked, what is trusted afterwards, and what is refused on the way. */
#include <errno.h>

#include "repo.h"

/* ---- a refresh that goes well ---- */

static void test_first_refresh(void **state) {
    (void)state;
    static const char *const files[][2] = {{"root", "1.root.json"}, {"timestamp", "timestamp.json"},
                                           {"snapshot", "1.snapshot.json"}, {"targets", "1.targets.json"}};
    repo r = {0};
    repo_open(&r);
    assert_int_equal(repo_refresh(&r), FW_OK);
    assert_string_equal(r.asked, "2.root.json timestamp.json 1.snapshot.json 1.targets.json ");
    assert_int_equal(r.clock_reads, 1);
    for (int i = 0; i < 4; i++) {
        char path[128], *bytes = NULL;
        size_t size = 0;
        snprintf(path, sizeof path, "%s/%s.json", r.folder, files[i][0]);
        assert_int_equal(fw_file_read(path, 1 << 20, &bytes, &size, NULL), FW_OK);
        assert_int_equal(size, repo_find(&r, files[i][1])->size);
        assert_memory_equal(bytes, repo_find(&r, files[i][1])->bytes, size);
        free(bytes);
    }
    /* What is trusted and right is not fetched again. */
    assert_int_equal(repo_refresh(&r), FW_OK);
    assert_string_equal(r.asked, "2.root.json timestamp.json ");
    repo_close(&r);
}

static void test_plain_names(void **state) {
    (void)state;
    repo r = {.plain_names = true};
    repo_open(&r);
    assert_int_equal(repo_refresh(&r), FW_OK);
    assert_string_equal(r.asked, "2.root.json timestamp.json snapshot.json targets.json ");
    repo_publish(&r, "targets snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 1, 2, 2, 2);
    /* No consistent_snapshot: as if false. */
    json_object_del(repo_content(&r, "root"), "consistent_snapshot");
    repo_publish(&r, "root targets snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 2, 3, 3, 3);
    repo_close(&r);
}

static void test_versions(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_publish(&r, "root");
    fw_tuf_client *client = repo_client(&r);
    assert_int_equal(fw_tuf_version(client, "root"), 1);
    assert_int_equal(fw_tuf_version(client, "timestamp"), 0);
    fw_tuf_target target;
    assert_int_equal(fw_tuf_find(client, "x", &target, &r.error), FW_INVALID);
    assert_int_equal(fw_tuf_refresh(client, &r.error), FW_OK);
    assert_int_equal(fw_tuf_version(client, "root"), 2);
    assert_int_equal(fw_tuf_version(client, "targets"), 1);
    assert_int_equal(fw_tuf_version(client, "mirrors"), 0);
    /* Again with the same client; and what failed leaves nothing to look in. */
    repo_publish(&r, "targets snapshot timestamp");
    assert_int_equal(fw_tuf_refresh(client, &r.error), FW_OK);
    assert_int_equal(fw_tuf_version(client, "targets"), 2);
    r.fails = "timestamp.json";
    r.fails_with = FW_TIMEOUT;
    assert_int_equal(fw_tuf_refresh(client, &r.error), FW_TIMEOUT);
    assert_int_equal(fw_tuf_find(client, "x", &target, &r.error), FW_INVALID);
    fw_tuf_close(client);
    fw_tuf_close(NULL);
    repo_close(&r);
}

/* The bytes are kept as they came. */
static void test_bytes(void **state) {
    (void)state;
    repo r = {0};
    char path[128], odd[8192], *bytes = NULL;
    size_t size = 0;
    repo_open(&r);
    snprintf(odd, sizeof odd, "\n%s \t", repo_find(&r, "timestamp.json")->bytes);
    repo_put(&r, "timestamp.json", odd, strlen(odd));
    assert_int_equal(repo_refresh(&r), FW_OK);
    snprintf(path, sizeof path, "%s/timestamp.json", r.folder);
    assert_int_equal(fw_file_read(path, 1 << 20, &bytes, &size, NULL), FW_OK);
    assert_string_equal(bytes, odd);
    free(bytes);
    repo_close(&r);
}

/* Fields that we do not know are signed over and change nothing, in a key too. */
static void test_unknown_fields(void **state) {
    (void)state;
    repo r = {0};
    const char *id;
    json_t *key;
    repo_open(&r);
    json_object_set_new(repo_content(&r, "root"), "more", json_pack("{s:[i,n]}", "a", 1));
    json_object_set_new(repo_role(&r, "root"), "more", json_string("x"));
    json_object_foreach(json_object_get(repo_content(&r, "root"), "keys"), id, key)
        json_object_set_new(key, "keyid_hash_algorithms", json_string("md5"));
    repo_publish(&r, "root timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 2, 2, 1, 1);
    repo_close(&r);
}

/* ---- the first root ---- */

static void test_first_root(void **state) {
    (void)state;
    repo r = {0};
    char folder[80], text[4096], long_folder[600];
    fw_tuf_client *client = NULL;
    repo_open(&r);
    const repo_file *root = repo_find(&r, "1.root.json");
    assert_int_equal(fw_tuf_init(&r.env, r.folder, root->bytes, root->size, &r.error), FW_EXISTS);
    snprintf(folder, sizeof folder, "%s/other", r.folder);
    assert_int_equal(fw_tuf_open(&r.env, folder, repo_line(&r), NULL, &client, &r.error), FW_NOT_FOUND);
    assert_int_equal(fw_tuf_init(&r.env, folder, "{}", 2, &r.error), FW_CORRUPT);
    /* Another signature of the right length. */
    memcpy(text, root->bytes, root->size + 1);
    char *sig = strstr(text, "\"sig\": \"") + 8;
    *sig = *sig == '0' ? '1' : '0';
    assert_int_equal(fw_tuf_init(&r.env, folder, text, root->size, &r.error), FW_MISMATCH);
    assert_false(fw_file_exists(folder));
    assert_int_equal(fw_tuf_init(&r.env, folder, root->bytes, root->size, &r.error), FW_OK);
    /* The same on the disk: nothing is asked of a repository. */
    snprintf(long_folder, sizeof long_folder, "%s/root.json", folder);
    assert_int_equal(fw_file_write_durable(&r.env, long_folder, text, root->size, NULL), FW_OK);
    assert_int_equal(fw_tuf_open(&r.env, folder, repo_line(&r), NULL, &client, &r.error), FW_MISMATCH);
    memset(long_folder, 'x', sizeof long_folder - 1);
    long_folder[sizeof long_folder - 1] = '\0';
    assert_int_equal(fw_tuf_init(&r.env, long_folder, root->bytes, root->size, &r.error), FW_TOO_BIG);
    assert_int_equal(fw_tuf_open(&r.env, long_folder, repo_line(&r), NULL, &client, &r.error), FW_TOO_BIG);
    /* A folder that cannot be made. */
    assert_int_equal(fw_tuf_init(&r.env, "/dev/null/x", root->bytes, root->size, &r.error), FW_IO);
    assert_string_equal(r.asked, "");
    repo_close(&r);
}

/* ---- one bad file of a new generation ---- */

/* What the folder trusts when the file of a role is not as it must be: what came before it. */
static void expect_until(repo *r, const char *role) {
    static const char *const order[] = {"root", "timestamp", "snapshot", "targets"};
    int64_t expect[4];
    bool before = true;
    for (int i = 0; i < 4; i++) {
        before = before && strcmp(order[i], role) != 0;
        expect[i] = before ? 2 : i == 0 ? 1 : 0;
    }
    repo_expect(r, expect[0], expect[1], expect[2], expect[3]);
}

static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};

static void test_unsigned(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        repo r = {0};
        repo_open(&r);
        repo_signers(&r, roles[i], "");
        repo_publish(&r, "root targets snapshot timestamp");
        assert_int_equal(repo_refresh(&r), FW_MISMATCH);
        expect_until(&r, roles[i]);
        repo_close(&r);
    }
}

/* Signed, by a key of another role. */
static void test_wrong_keys(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        repo r = {0};
        repo_open(&r);
        repo_signers(&r, roles[i], i == 3 ? "2" : "3");
        repo_publish(&r, "root targets snapshot timestamp");
        assert_int_equal(repo_refresh(&r), FW_MISMATCH);
        expect_until(&r, roles[i]);
        repo_close(&r);
    }
}

/* The version within is not the one of the name, or not the one that was signed. */
static void test_other_version(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        repo r = {0};
        char from[64], to[64];
        if (i == 1) continue;
        repo_open(&r);
        repo_set_version(&r, roles[i], 2);
        repo_publish(&r, "root targets snapshot timestamp");
        snprintf(from, sizeof from, "3.%s.json", roles[i]);
        snprintf(to, sizeof to, "2.%s.json", roles[i]);
        const repo_file *file = repo_find(&r, from);
        repo_put(&r, to, file->bytes, file->size);
        if (i == 3) repo_say(&r, "snapshot", "targets.json", 2);
        if (i == 3) repo_publish_as_is(&r, "snapshot");
        if (i == 2) repo_say(&r, "timestamp", "snapshot.json", 2);
        repo_publish_as_is(&r, "timestamp");
        assert_int_equal(repo_refresh(&r), FW_MISMATCH);
        expect_until(&r, roles[i]);
        repo_close(&r);
    }
}

static void test_not_there(void **state) {
    (void)state;
    static const char *const files[] = {"timestamp.json", "2.snapshot.json", "2.targets.json"};
    static const fw_status statuses[] = {FW_NOT_FOUND, FW_MISMATCH, FW_MISMATCH};
    for (int i = 0; i < 3; i++) {
        repo r = {0};
        repo_open(&r);
        repo_publish(&r, "root targets snapshot timestamp");
        repo_remove(&r, files[i]);
        assert_int_equal(repo_refresh(&r), statuses[i]);
        expect_until(&r, roles[i + 1]);
        repo_close(&r);
    }
}

/* A line that fails: nothing is lost, and the next refresh goes through. */
static void test_line_fails(void **state) {
    (void)state;
    static const char *const files[] = {"3.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"};
    for (int i = 0; i < 4; i++) {
        repo r = {0};
        repo_open(&r);
        repo_publish(&r, "root targets snapshot timestamp");
        r.fails = files[i];
        r.fails_with = FW_CLOSED;
        assert_int_equal(repo_refresh(&r), FW_CLOSED);
        assert_int_equal(repo_trusted(&r, "root"), 2);
        r.fails = NULL;
        assert_int_equal(repo_refresh(&r), FW_OK);
        repo_expect(&r, 2, 2, 2, 2);
        repo_close(&r);
    }
}

/* Everything about it is right, but it is a snapshot. */
static void test_wrong_type(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    repo_rotate(&r, "snapshot", "1", "1");
    json_object_set_new(repo_content(&r, "snapshot"), "meta", json_pack("{s:{s:i},s:{s:i}}", "snapshot.json", "version", 1, "targets.json", "version", 1));
    repo_publish(&r, "root snapshot");
    const repo_file *file = repo_find(&r, "2.snapshot.json");
    repo_put(&r, "timestamp.json", file->bytes, file->size);
    assert_int_equal(repo_refresh(&r), FW_CORRUPT);
    repo_expect(&r, 2, 0, 0, 0);
    repo_close(&r);
}

/* ---- lengths and hashes of metadata ---- */

static void test_hashes(void **state) {
    (void)state;
    repo r = {.hashes = true};
    repo_open(&r);
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_publish(&r, "targets snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 1, 2, 2, 2);
    repo_close(&r);
}

/* role: whose file says something else of `file`. */
static void wrong_hash(const char *role, const char *file, const char *field, json_t *value, fw_status expect) {
    repo r = {.hashes = true};
    repo_open(&r);
    repo_publish(&r, "targets snapshot timestamp");
    json_t *said = json_object_get(json_object_get(repo_content(&r, role), "meta"), file);
    json_object_set_new(said, field, value);
    repo_publish_as_is(&r, role);
    if (!strcmp(role, "snapshot")) repo_publish_as_is(&r, "timestamp");
    assert_int_equal(repo_refresh(&r), expect);
    assert_int_equal(repo_trusted(&r, role), 2);
    assert_int_equal(repo_trusted(&r, "targets"), 0);
    repo_close(&r);
}

static void test_wrong_hashes(void **state) {
    (void)state;
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    wrong_hash("timestamp", "snapshot.json", "hashes", json_pack("{s:s}", "sha256", zeros), FW_MISMATCH);
    wrong_hash("snapshot", "targets.json", "hashes", json_pack("{s:s}", "sha256", zeros), FW_MISMATCH);
    wrong_hash("snapshot", "targets.json", "hashes", json_pack("{s:s}", "md4", "00"), FW_UNSUPPORTED);
    wrong_hash("snapshot", "targets.json", "length", json_integer(100000), FW_MISMATCH);
    wrong_hash("snapshot", "targets.json", "length", json_integer(10), FW_TOO_BIG);
    wrong_hash("snapshot", "targets.json", "length", json_integer((json_int_t)1 << 40), FW_TOO_BIG);
}

/* A trusted file that is not the one that was signed now, though of the same version, is fetched again. */
static void test_trusted_of_other_hash(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    assert_int_equal(repo_refresh(&r), FW_OK);
    r.hashes = true;
    json_object_set_new(repo_content(&r, "targets"), "more", json_true());
    repo_publish_as_is(&r, "targets");
    repo_publish(&r, "snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    assert_string_equal(r.asked, "2.root.json timestamp.json 2.snapshot.json 1.targets.json ");
    repo_close(&r);
}

/* ---- the trusted folder ---- */

/* Files that are no metadata are as good as none: torn, too big, of another version of the specification. */
static void test_spoilt_folder(void **state) {
    (void)state;
    static const char *const names[] = {"timestamp", "snapshot", "targets"};
    static char big[6 << 20];
    for (int i = 0; i < 3; i++) {
        repo r = {0};
        char path[128];
        repo_open(&r);
        assert_int_equal(repo_refresh(&r), FW_OK);
        snprintf(path, sizeof path, "%s/%s.json", r.folder, names[i]);
        assert_int_equal(fw_file_write_durable(fw_env_real(), path, "{\"signed\":", 10, NULL), FW_OK);
        assert_int_equal(repo_refresh(&r), FW_OK);
        repo_expect(&r, 1, 1, 1, 1);
        assert_int_equal(fw_file_write_durable(fw_env_real(), path, big, sizeof big, NULL), FW_OK);
        assert_int_equal(repo_refresh(&r), FW_OK);
        json_t *other = json_pack("{s:{s:s,s:s},s:[]}", "signed", "_type", names[i], "spec_version", "2.0", "signatures");
        assert_int_equal(json_dump_file(other, path, 0), 0);
        json_decref(other);
        assert_int_equal(repo_refresh(&r), FW_OK);
        repo_expect(&r, 1, 1, 1, 1);
        /* A folder in its place cannot be read, nor replaced. */
        assert_int_equal(unlink(path), 0);
        assert_int_equal(fw_folder_make(path, 0755, NULL), FW_OK);
        assert_int_not_equal(repo_refresh(&r), FW_OK);
        repo_close(&r);
    }
}

/* What cannot be forgotten stops the new root, and the next session sees it again. */
static void test_cannot_forget(void **state) {
    (void)state;
    repo r = {0};
    char path[128];
    repo_open(&r);
    repo_rotate(&r, "timestamp", "7", "7");
    repo_publish(&r, "root timestamp");
    snprintf(path, sizeof path, "%s/timestamp.json", r.folder);
    assert_int_equal(fw_folder_make(path, 0755, NULL), FW_OK);
    assert_int_not_equal(repo_refresh(&r), FW_OK);
    assert_int_equal(repo_trusted(&r, "root"), 1);
    assert_int_equal(fw_folder_remove(path, NULL), FW_OK);
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 2, 2, 1, 1);
    repo_close(&r);
}

/* Each write and each rename that can fail does: the folder has the old files or the new ones. */
static int fail_at, calls;

static int failing_rename(void *self, const char *from, const char *to) {
    (void)self;
    if (calls++ == fail_at) {
        errno = EIO;
        return -1;
    }
    return rename(from, to);
}

static int failing_sync(void *self, int fd) {
    (void)self;
    if (calls++ == fail_at) {
        errno = EIO;
        return -1;
    }
    return fdatasync(fd);
}

static void test_disk_fails(void **state) {
    (void)state;
    bool done = false;
    for (fail_at = 0; !done; fail_at++) {
        repo r = {0};
        repo_open(&r);
        repo_rotate(&r, "snapshot", "4", "4");
        repo_publish(&r, "root targets snapshot timestamp");
        calls = 0;
        r.env.rename = failing_rename;
        r.env.fdatasync = failing_sync;
        done = repo_refresh(&r) == FW_OK;
        assert_int_equal(done, calls <= fail_at);
        r.env.rename = fw_env_real()->rename;
        r.env.fdatasync = fw_env_real()->fdatasync;
        assert_int_equal(repo_refresh(&r), FW_OK);
        repo_expect(&r, 2, 2, 2, 2);
        repo_close(&r);
    }
    assert_in_range(fail_at, 12, 100);
}

/* ---- limits of one's own ---- */

static void test_limits(void **state) {
    (void)state;
    static const fw_tuf_limits limits[] = {{.root_max_bytes = 3000}, {.timestamp_max_bytes = 100}, {.snapshot_max_bytes = 100}, {.targets_max_bytes = 100}};
    for (int i = 0; i < 4; i++) {
        repo r = {.limits = limits[i]};
        repo_open(&r);
        if (i == 0) repo_keys(&r, "root", 1, "0 10 11 12 13 14 15 16 17 18 19");
        repo_publish(&r, "root targets snapshot timestamp");
        assert_int_equal(repo_refresh(&r), FW_TOO_BIG);
        repo_close(&r);
    }
}

/* ---- time ---- */

static void test_expired(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        repo r = {0};
        int64_t expect[4] = {2, 2, 2, 2};
        repo_open(&r);
        assert_int_equal(repo_refresh(&r), FW_OK);
        repo_expires(&r, roles[i], repo_start_s);
        repo_publish(&r, "root targets snapshot timestamp");
        assert_int_equal(repo_refresh(&r), FW_TIMEOUT);
        /* An expired root is kept, its keys count from now on; the others are not. */
        for (int j = i == 0 ? 1 : i; j < 4; j++) expect[j] = 1;
        repo_expect(&r, expect[0], expect[1], expect[2], expect[3]);
        repo_close(&r);
    }
}

/* One second before it expires it is good; then what is trusted already is refused, too. */
static void test_freeze(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        repo r = {0};
        repo_open(&r);
        repo_expires(&r, roles[i], repo_start_s + repo_day_s);
        repo_publish(&r, "root targets snapshot timestamp");
        assert_int_equal(repo_refresh(&r), FW_OK);
        r.now_s = repo_start_s + repo_day_s - 1;
        assert_int_equal(repo_refresh(&r), FW_OK);
        r.now_s++;
        assert_int_equal(repo_refresh(&r), FW_TIMEOUT);
        repo_expect(&r, 2, 2, 2, 2);
        repo_close(&r);
    }
}

/* What is trusted expired long ago; what follows is good. */
static void test_expired_but_followed(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    assert_int_equal(repo_refresh(&r), FW_OK);
    r.now_s = repo_start_s + 100 * repo_day_s;
    for (int i = 0; i < 4; i++) repo_expires(&r, roles[i], r.now_s + repo_day_s);
    repo_publish(&r, "root targets snapshot timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 2, 2, 2, 2);
    repo_close(&r);
}

/* A unit that was away for a year, in which the root changed its keys 24 times and the others theirs, every time:
 * one refresh. */
static void test_year_away(void **state) {
    (void)state;
    repo r = {0};
    repo_open(&r);
    assert_int_equal(repo_refresh(&r), FW_OK);
    for (int i = 1; i <= 24; i++) {
        char key[8], both[16], other[8];
        int64_t now = repo_start_s + i * 15 * repo_day_s;
        snprintf(key, sizeof key, "%d", 9 + i);
        snprintf(both, sizeof both, "%d %d", i == 1 ? 0 : 8 + i, 9 + i);
        snprintf(other, sizeof other, "%d", 4 + i % 5);
        repo_rotate(&r, "root", key, both);
        repo_rotate(&r, "timestamp", other, other);
        repo_rotate(&r, "snapshot", other, other);
        repo_rotate(&r, "targets", other, other);
        for (int j = 0; j < 4; j++) repo_expires(&r, roles[j], now + 16 * repo_day_s);
        repo_publish(&r, "root targets snapshot timestamp");
    }
    r.now_s = repo_start_s + 365 * repo_day_s;
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 25, 25, 25, 25);
    repo_close(&r);
}

/* At most so many in one session; the next goes on from there. */
static void test_rotations_max(void **state) {
    (void)state;
    repo r = {.limits.root_rotations_max = 2};
    repo_open(&r);
    repo_publish(&r, "root root root timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 3, 2, 1, 1);
    assert_int_equal(repo_refresh(&r), FW_OK);
    repo_expect(&r, 4, 2, 1, 1);
    repo_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_refresh),
        cmocka_unit_test(test_plain_names),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_unknown_fields),
        cmocka_unit_test(test_first_root),
        cmocka_unit_test(test_unsigned),
        cmocka_unit_test(test_wrong_keys),
        cmocka_unit_test(test_other_version),
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_line_fails),
        cmocka_unit_test(test_wrong_type),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_wrong_hashes),
        cmocka_unit_test(test_trusted_of_other_hash),
        cmocka_unit_test(test_spoilt_folder),
        cmocka_unit_test(test_cannot_forget),
        cmocka_unit_test(test_disk_fails),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_expired_but_followed),
        cmocka_unit_test(test_year_away),
        cmocka_unit_test(test_rotations_max),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
