/* The writing side, read by the client: publishing, freshness, rotations, delegations, and every cut of a publish. */
#include "publish.h"

static fw_tuf_target found;

static void a_target_reaches_the_reader(void **state) {
    machine *m = machine_new();
    shelf s = shelf_new(m, *state, "repo");
    reader r = reader_new(&s, "reader");
    fw_error error;
    reader_init(&r, &s);
    assert_int_equal(reader_find(&r, "a/x", &found, &error), FW_NOT_FOUND);
    shelf_put(&s, "a/x", "one", json_pack("{s:i}", "n", 7));
    good(reader_find(&r, "a/x", &found, why));
    assert_int_equal(found.length_bytes, 3);
    assert_string_equal(found.sha256.hex, fw_hash_bytes("one", 3).hex);
    shelf_put(&s, "a/x", "other", NULL);
    good(reader_find(&r, "a/x", &found, why));
    assert_int_equal(found.length_bytes, 5);
    fw_repository *repository = shelf_open(&s);
    good(fw_repository_remove(repository, "a/x", why));
    assert_int_equal(fw_repository_remove(repository, "a/x", &error), FW_NOT_FOUND);
    good(fw_repository_publish(repository, why));
    fw_repository_close(repository);
    assert_int_equal(reader_find(&r, "a/x", &found, &error), FW_NOT_FOUND);
    free(m);
}

/* Versions grow by one with each publish, and old files go but for the last few. */
static void versions_grow_by_one(void **state) {
    machine *m = machine_new();
    shelf s = shelf_new(m, *state, "repo");
    char path[FW_PATH_MAX + 64], text[16];
    fw_repository *r = shelf_open(&s);
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "%d", i);
        fw_hash hash = fw_hash_bytes(text, strlen(text));
        good(fw_repository_set(r, "t", strlen(text), &hash, NULL, why));
        good(fw_repository_publish(r, why));
        assert_int_equal(json_integer_value(json_object_get(fw_repository_body(r, "targets"), "version")), i + 2);
        assert_int_equal(json_integer_value(json_object_get(fw_repository_body(r, "timestamp"), "version")), i + 2);
    }
    good(fw_repository_publish(r, why)); /* nothing new */
    assert_int_equal(json_integer_value(json_object_get(fw_repository_body(r, "timestamp"), "version")), 41);
    fw_repository_close(r);
    snprintf(path, sizeof path, "%s/41.targets.json", s.folder);
    assert_true(fw_file_exists(path));
    snprintf(path, sizeof path, "%s/26.snapshot.json", s.folder);
    assert_true(fw_file_exists(path));
    snprintf(path, sizeof path, "%s/25.snapshot.json", s.folder);
    assert_false(fw_file_exists(path));
    free(m);
}

/* Nobody publishes anything for years; freshening alone keeps a reader content, and changes nothing too often. */
static void freshening_keeps_readers_content(void **state) {
    machine *m = machine_new();
    shelf s = shelf_new(m, *state, "repo");
    reader r = reader_new(&s, "reader");
    reader_init(&r, &s);
    shelf_put(&s, "x", "one", NULL);
    int64_t before = 0;
    for (int day = 0; day < 800; day++) {
        fw_repository *repository = shelf_open(&s);
        good(fw_repository_freshen(repository, why));
        int64_t version = json_integer_value(json_object_get(fw_repository_body(repository, "timestamp"), "version"));
        good(fw_repository_freshen(repository, why));
        assert_int_equal(version,
                         json_integer_value(json_object_get(fw_repository_body(repository, "timestamp"), "version")));
        assert_true(version >= before);
        before = version;
        fw_repository_close(repository);
        if (day % 97 == 0) good(reader_find(&r, "x", &found, why));
        m->now_s += DAY_S;
    }
    fw_error error;
    assert_int_equal(reader_find(&r, "x", &found, &error), FW_TIMEOUT); /* a day without: that is a freeze */
    free(m);
}

/* 24 rotations of the root, others between, and a year: one session. */
static void a_reader_from_last_year(void **state) {
    machine *m = machine_new();
    shelf s = shelf_new(m, *state, "repo");
    reader r = reader_new(&s, "reader");
    reader_init(&r, &s);
    shelf_put(&s, "x", "one", NULL);
    good(reader_find(&r, "x", &found, why));
    for (int i = 0; i < 24; i++) {
        fw_repository *repository = shelf_open(&s);
        m->now_s += 15 * DAY_S;
        good(fw_repository_rotate(repository, FW_TUF_ROOT, why));
        good(fw_repository_rotate(repository, (fw_tuf_role)(i % FW_TUF_ROLES), why));
        good(fw_repository_freshen(repository, why));
        fw_repository_close(repository);
    }
    shelf_put(&s, "x", "a year later", NULL);
    m->now_s += 3600;
    good(reader_find(&r, "x", &found, why));
    assert_int_equal(found.length_bytes, 12);
    free(m);
}

/* A reader that comes at any moment of a rotation, with the root of before or of after, finds its way. */
static void rotation_of_every_role(void **state) {
    machine *m = machine_new();
    shelf s = shelf_new(m, *state, "repo");
    shelf_put(&s, "x", "one", NULL);
    for (int role = 0; role < FW_TUF_ROLES; role++) {
        reader old = reader_new(&s, role == 0 ? "o0" : role == 1 ? "o1" : role == 2 ? "o2" : "o3");
        reader_init(&old, &s);
        good(reader_find(&old, "x", &found, why));
        fw_repository *repository = shelf_open(&s);
        good(fw_repository_rotate(repository, (fw_tuf_role)role, why));
        fw_repository_close(repository);
        good(reader_find(&old, "x", &found, why));
        shelf_put(&s, "y", "two", NULL); /* signed by the new key alone */
        good(reader_find(&old, "y", &found, why));
        repository = shelf_open(&s);
        good(fw_repository_remove(repository, "y", why));
        good(fw_repository_publish(repository, why));
        fw_repository_close(repository);
    }
    free(m);
}

static void a_delegated_role(void **state) {
    machine *m = machine_new();
    shelf s = shelf_new(m, *state, "repo");
    reader r = reader_new(&s, "reader");
    char path[FW_PATH_MAX + 64];
    fw_error error;
    const char *const patterns[] = {"driving/*", NULL}, *role = NULL;
    reader_init(&r, &s);
    fw_repository *repository = shelf_open(&s);
    good(fw_repository_delegate(repository, "driving", patterns, true, why));
    assert_int_equal(fw_repository_delegate(repository, "driving", patterns, true, &error), FW_EXISTS);
    assert_int_equal(fw_repository_delegate(repository, "targets", patterns, true, &error), FW_INVALID);
    assert_int_equal(fw_repository_delegate(repository, "../x", patterns, true, &error), FW_INVALID);
    fw_repository_close(repository);
    /* the top-level key may now be away */
    snprintf(path, sizeof path, "%s/targets.pem", s.keys);
    assert_int_equal(unlink(path), 0);
    shelf_put(&s, "driving/m", "model", NULL);
    good(reader_find(&r, "driving/m", &found, why));
    repository = shelf_open(&s);
    assert_non_null(fw_repository_target(repository, "driving/m", &role));
    assert_string_equal(role, "driving");
    fw_hash hash = fw_hash_bytes("z", 1);
    good(fw_repository_set(repository, "robots/m", 1, &hash, NULL, why));
    assert_int_equal(fw_repository_publish(repository, &error), FW_DENIED);
    fw_repository_close(repository);
    good(reader_find(&r, "driving/m", &found, why));
    free(m);
}

static void keys_elsewhere(void **state) {
    machine *m = machine_new();
    shelf s = shelf_new(m, *state, "repo");
    reader r = reader_new(&s, "reader");
    char command[8 * FW_PATH_MAX], away[FW_PATH_MAX];
    fw_error error;
    fw_repository *repository = NULL;
    reader_init(&r, &s);
    snprintf(away, sizeof away, "%s/stick", s.root);
    snprintf(command, sizeof command, "mkdir '%s' && mv '%s/root.pem' '%s/targets.pem' '%s'", away, s.keys, s.keys, away);
    assert_int_equal(system(command), 0);
    repository = shelf_open(&s);
    assert_int_equal(fw_repository_rotate(repository, FW_TUF_ROOT, &error), FW_DENIED);
    assert_int_equal(fw_repository_rotate(repository, FW_TUF_TIMESTAMP, &error), FW_DENIED);
    good(fw_repository_freshen(repository, why));
    fw_repository_close(repository);
    const fw_repository_config config = {.env = &m->env, .folder = s.folder, .keys = s.keys, .keys_elsewhere = away};
    good(fw_repository_open(&config, &repository, why));
    fw_hash hash = fw_hash_bytes("z", 1);
    good(fw_repository_set(repository, "x", 1, &hash, NULL, why));
    good(fw_repository_publish(repository, why));
    good(fw_repository_rotate(repository, FW_TUF_ROOT, why));
    good(fw_repository_rotate(repository, FW_TUF_TARGETS, why));
    fw_repository_close(repository);
    snprintf(command, sizeof command, "%s/root.pem", s.keys);
    assert_false(fw_file_exists(command)); /* a key is replaced where it was */
    good(reader_find(&r, "x", &found, why));
    free(m);
}

/* ---- every cut ---- */

typedef void (*deed)(const shelf *s, fw_error *error);

static void publish_deed(const shelf *s, fw_error *error) {
    fw_repository *r = NULL;
    fw_hash hash = fw_hash_bytes("new", 3);
    if (shelf_try(s, &r, error) != FW_OK) return;
    if (fw_repository_set(r, "x", 3, &hash, NULL, error) == FW_OK) (void)!fw_repository_publish(r, error);
    fw_repository_close(r);
}
static void rotate_deed(const shelf *s, fw_error *error, fw_tuf_role role) {
    fw_repository *r = NULL;
    if (shelf_try(s, &r, error) != FW_OK) return;
    if (fw_repository_rotate(r, role, error) == FW_OK) { /* and something after it */
        fw_hash hash = fw_hash_bytes("new", 3);
        if (fw_repository_set(r, "x", 3, &hash, NULL, error) == FW_OK) (void)!fw_repository_publish(r, error);
    }
    fw_repository_close(r);
}
static void rotate_root(const shelf *s, fw_error *e) { rotate_deed(s, e, FW_TUF_ROOT); }
static void rotate_targets(const shelf *s, fw_error *e) { rotate_deed(s, e, FW_TUF_TARGETS); }
static void rotate_snapshot(const shelf *s, fw_error *e) { rotate_deed(s, e, FW_TUF_SNAPSHOT); }
static void rotate_timestamp(const shelf *s, fw_error *e) { rotate_deed(s, e, FW_TUF_TIMESTAMP); }
static void delegate_deed(const shelf *s, fw_error *error) {
    const char *const patterns[] = {"driving/*", NULL};
    fw_repository *r = NULL;
    if (shelf_try(s, &r, error) != FW_OK) return;
    if (fw_repository_delegate(r, "driving", patterns, false, error) == FW_OK) {
        fw_hash hash = fw_hash_bytes("new", 3);
        if (fw_repository_set(r, "x", 3, &hash, NULL, error) == FW_OK) (void)!fw_repository_publish(r, error);
    }
    fw_repository_close(r);
}

/* The machine dies at the n-th write, flush or rename, for every n: readers old and new see "old" or "new", and the
 * next publish of a machine that lives goes on. */
static void cut_everywhere(const char *root, deed what) {
    machine *m = machine_new();
    shelf before = shelf_new(m, root, "before"), s = shelf_new(m, root, "now");
    fw_error error;
    shelf_put(&before, "x", "old", NULL);
    reader base = reader_new(&before, "base");
    reader_init(&base, &before);
    good(reader_find(&base, "x", &found, why));
    unsigned cuts = 0, saw_old = 0, saw_new = 0;
    for (unsigned n = 1;; n++) {
        copy_folder(before.folder, s.folder);
        copy_folder(before.keys, s.keys);
        m->calls = 0;
        m->dies_at = n;
        what(&s, &error);
        bool through = m->calls < n;
        m->dies_at = 0;
        for (int fresh = 0; fresh < 2; fresh++) { /* one that was here before, one that comes now */
            reader r = reader_new(&s, "again");
            copy_folder(base.folder, r.folder);
            if (fresh) {
                copy_folder(s.folder, r.folder); /* only its root.json matters */
                char command[4 * FW_PATH_MAX];
                snprintf(command, sizeof command, "cd '%s' && cp 1.root.json root.json && rm -f *.*.json timestamp.json", r.folder);
                assert_int_equal(system(command), 0);
            }
            if (reader_find(&r, "x", &found, &error) != FW_OK) fail_msg("cut %u, reader %d: %s", n, fresh, error.text);
            bool old = strcmp(found.sha256.hex, fw_hash_bytes("old", 3).hex) == 0;
            assert_true(old || strcmp(found.sha256.hex, fw_hash_bytes("new", 3).hex) == 0);
            saw_old += old;
            saw_new += !old;
            if (!fresh) { /* the machine comes back and publishes: the same reader sees that */
                shelf_put(&s, "z", "later", NULL);
                if (reader_find(&r, "z", &found, &error) != FW_OK) fail_msg("after cut %u: %s", n, error.text);
            }
        }
        if (through) break;
        cuts++;
    }
    printf("%u cuts; readers saw the old %u times, the new %u times\n", cuts, saw_old, saw_new);
    assert_true(cuts > 8 && saw_old > 0 && saw_new > 0);
    free(m);
}

static void publish_cut_everywhere(void **state) { cut_everywhere(*state, publish_deed); }
static void root_rotation_cut(void **state) { cut_everywhere(*state, rotate_root); }
static void targets_rotation_cut(void **state) { cut_everywhere(*state, rotate_targets); }
static void snapshot_rotation_cut(void **state) { cut_everywhere(*state, rotate_snapshot); }
static void timestamp_rotation_cut(void **state) { cut_everywhere(*state, rotate_timestamp); }
static void delegation_cut(void **state) { cut_everywhere(*state, delegate_deed); }

/* The very first opening too: whatever it left, the next one makes a whole repository. */
static void first_opening_cut(void **state) {
    machine *m = machine_new();
    for (unsigned n = 1;; n++) {
        shelf s = shelf_new(m, *state, "first");
        fw_error error;
        fw_repository *r = NULL;
        assert_int_equal(fw_folder_remove(s.folder, NULL), FW_OK);
        assert_int_equal(fw_folder_remove(s.keys, NULL), FW_OK);
        m->calls = 0;
        m->dies_at = n;
        bool opened = shelf_try(&s, &r, &error) == FW_OK;
        m->dies_at = 0;
        if (opened) fw_repository_close(r);
        shelf_put(&s, "x", "one", NULL);
        char name[32];
        snprintf(name, sizeof name, "first-%u", n);
        reader who = reader_new(&s, name);
        reader_init(&who, &s);
        good(reader_find(&who, "x", &found, why));
        if (opened) break;
    }
    free(m);
}

/* The factory's folder is lost and comes back from a copy of before: readers have seen more, and refuse it. New keys of
 * snapshot make them forget (docs/howto/keys.md). */
static void a_copy_of_before_is_refused_until_the_snapshot_has_a_new_key(void **state) {
    machine *m = machine_new();
    shelf s = shelf_new(m, *state, "repo");
    reader r = reader_new(&s, "reader");
    char copy[FW_PATH_MAX + 8];
    fw_error error;
    reader_init(&r, &s);
    shelf_put(&s, "a", "one", NULL);
    snprintf(copy, sizeof copy, "%s-copy", s.folder);
    copy_folder(s.folder, copy);
    for (int i = 0; i < 3; i++) shelf_put(&s, "b", i % 2 ? "two" : "three", NULL);
    good(reader_find(&r, "b", &found, why));
    copy_folder(copy, s.folder);
    shelf_put(&s, "c", "four", NULL); /* as old as what it was, by its numbers */
    assert_int_equal(reader_find(&r, "c", &found, &error), FW_MISMATCH);
    fw_repository *repository = shelf_open(&s);
    good(fw_repository_rotate(repository, FW_TUF_SNAPSHOT, why));
    fw_repository_close(repository);
    good(reader_find(&r, "c", &found, why));
    good(reader_find(&r, "a", &found, why));
    assert_int_equal(reader_find(&r, "b", &found, &error), FW_NOT_FOUND);
    free(m);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_open, folder_close)
    const struct CMUnitTest tests[] = {
        TEST(a_target_reaches_the_reader), TEST(versions_grow_by_one),
        TEST(freshening_keeps_readers_content), TEST(a_reader_from_last_year),
        TEST(rotation_of_every_role), TEST(a_delegated_role), TEST(keys_elsewhere),
        TEST(publish_cut_everywhere), TEST(root_rotation_cut), TEST(targets_rotation_cut),
        TEST(snapshot_rotation_cut), TEST(timestamp_rotation_cut), TEST(delegation_cut), TEST(first_opening_cut),
        TEST(a_copy_of_before_is_refused_until_the_snapshot_has_a_new_key),
    };
    return cmocka_run_group_tests_name("repository", tests, NULL, NULL);
}
