/* Downloads: whole or not at all, on from where they were cut, and never other bytes than were signed. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "repo.h"

static const char model[] = "the bytes of a model, long enough to be cut";
enum { MODEL_BYTES = sizeof model - 1 };

/* A repository with one target, a client that knows it, and where it goes. */
typedef struct setting {
    repo r;
    fw_tuf_client *client;
    fw_tuf_target target;
    char path[128], part[128];
} setting;

static void set_up(setting *s, const char *path) {
    *s = (setting){0};
    repo_open(&s->r);
    repo_target(&s->r, "targets", path, model);
    repo_publish(&s->r, "targets snapshot timestamp");
    s->client = repo_client(&s->r);
    assert_int_equal(fw_tuf_refresh(s->client, &s->r.error), FW_OK);
    assert_int_equal(fw_tuf_find(s->client, path, &s->target, &s->r.error), FW_OK);
    snprintf(s->path, sizeof s->path, "%s/installed", s->r.folder);
    snprintf(s->part, sizeof s->part, "%s/installed.part", s->r.folder);
    s->r.asked[0] = '\0';
}

static void tear_down(setting *s) {
    fw_tuf_close(s->client);
    repo_close(&s->r);
}

static fw_status download(setting *s) {
    s->r.asked[0] = '\0';
    return fw_tuf_download(s->client, &s->target, s->path, &s->r.error);
}

static void expect_model(const setting *s) {
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(fw_file_read(s->path, 1 << 20, &bytes, &size, NULL), FW_OK);
    assert_string_equal(bytes, model);
    free(bytes);
    assert_false(fw_file_exists(s->part));
}

static void put_part(const setting *s, const char *bytes, size_t size) {
    assert_int_equal(fw_file_write_durable(fw_env_real(), s->part, bytes, size, NULL), FW_OK);
}

static void test_download(void **state) {
    (void)state;
    static const char *const paths[] = {"model", "driving/deep/model", "odd name"};
    for (int i = 0; i < 3; i++) {
        setting s;
        set_up(&s, paths[i]);
        if (i == 2) {
            char name[REPO_NAME];
            snprintf(name, sizeof name, "%s.odd%%20name", s.target.sha256.hex);
            repo_put(&s.r, name, model, MODEL_BYTES);
        }
        assert_int_equal(download(&s), FW_OK);
        expect_model(&s);
        /* What is there already is not fetched again; what was spoilt is. */
        assert_int_equal(download(&s), FW_OK);
        assert_string_equal(s.r.asked, "");
        assert_int_equal(truncate(s.path, 3), 0);
        assert_int_equal(download(&s), FW_OK);
        expect_model(&s);
        tear_down(&s);
    }
}

static void test_address(void **state) {
    (void)state;
    setting s;
    char expect[256];
    set_up(&s, "driving/model");
    assert_int_equal(download(&s), FW_OK);
    snprintf(expect, sizeof expect, "driving/%s.model@0 ", s.target.sha256.hex);
    assert_string_equal(s.r.asked, expect);
    tear_down(&s);
    repo r = {.plain_names = true};
    char path[128];
    fw_tuf_target target;
    repo_open(&r);
    repo_target(&r, "targets", "driving/model", model);
    repo_publish(&r, "targets snapshot timestamp");
    fw_tuf_client *client = repo_client(&r);
    assert_int_equal(fw_tuf_refresh(client, &r.error), FW_OK);
    assert_int_equal(fw_tuf_find(client, "driving/model", &target, &r.error), FW_OK);
    snprintf(path, sizeof path, "%s/installed", r.folder);
    r.asked[0] = '\0';
    assert_int_equal(fw_tuf_download(client, &target, path, &r.error), FW_OK);
    assert_string_equal(r.asked, "driving/model@0 ");
    fw_tuf_close(client);
    repo_close(&r);
}

/* Cut after every byte, it goes on from there. */
static void test_resume(void **state) {
    (void)state;
    for (size_t cut = 0; cut < MODEL_BYTES; cut++) {
        setting s;
        struct stat info;
        char expect[32];
        set_up(&s, "model");
        s.r.cut_after_bytes = cut;
        assert_int_equal(download(&s), FW_CLOSED);
        assert_false(fw_file_exists(s.path));
        assert_int_equal(stat(s.part, &info), 0);
        assert_int_equal(info.st_size, cut);
        s.r.cut_after_bytes = SIZE_MAX;
        assert_int_equal(download(&s), FW_OK);
        snprintf(expect, sizeof expect, "model@%zu ", cut);
        assert_non_null(strstr(s.r.asked, expect));
        expect_model(&s);
        tear_down(&s);
    }
}

/* A part that holds all of it, and one that is of another file: as long, longer, shorter. */
static void test_parts(void **state) {
    (void)state;
    setting s;
    set_up(&s, "model");
    put_part(&s, model, MODEL_BYTES);
    assert_int_equal(download(&s), FW_OK);
    assert_string_equal(s.r.asked, "");
    expect_model(&s);
    static const char other[] = "something else altogether, and longer than the model is";
    for (size_t size = 1; size < sizeof other; size++) {
        assert_int_equal(unlink(s.path), 0);
        put_part(&s, other, size);
        assert_int_equal(download(&s), FW_OK);
        expect_model(&s);
    }
    tear_down(&s);
}

/* ---- other bytes than were signed ---- */

static char *name_of_model(const setting *s, char name[REPO_NAME]) {
    snprintf(name, REPO_NAME, "%s.model", s->target.sha256.hex);
    return name;
}

static void test_other_bytes(void **state) {
    (void)state;
    char name[REPO_NAME], other[MODEL_BYTES];
    setting s;
    set_up(&s, "model");
    memset(other, 'x', sizeof other);
    repo_put(&s.r, name_of_model(&s, name), other, sizeof other);
    assert_int_equal(download(&s), FW_MISMATCH);
    assert_false(fw_file_exists(s.path));
    assert_false(fw_file_exists(s.part));
    /* With the right beginning from before: tried once more from its first byte. */
    put_part(&s, model, 10);
    assert_int_equal(download(&s), FW_MISMATCH);
    assert_non_null(strstr(s.r.asked, "@10 "));
    assert_non_null(strstr(s.r.asked, "@0 "));
    assert_false(fw_file_exists(s.part));
    /* What is installed stays what it was. */
    repo_put(&s.r, name, model, MODEL_BYTES);
    assert_int_equal(download(&s), FW_OK);
    repo_put(&s.r, name, other, sizeof other);
    assert_int_equal(download(&s), FW_OK);
    expect_model(&s);
    tear_down(&s);
}

/* A line that writes more than it was asked for. */
static void test_extra_bytes(void **state) {
    (void)state;
    setting s;
    set_up(&s, "model");
    s.r.extra_bytes = 5;
    assert_int_equal(download(&s), FW_MISMATCH);
    assert_false(fw_file_exists(s.path));
    assert_false(fw_file_exists(s.part));
    tear_down(&s);
}

static void test_not_there(void **state) {
    (void)state;
    char name[REPO_NAME];
    setting s;
    set_up(&s, "model");
    repo_remove(&s.r, name_of_model(&s, name));
    assert_int_equal(download(&s), FW_NOT_FOUND);
    assert_false(fw_file_exists(s.path));
    tear_down(&s);
}

/* A line that says it is done before it is: the beginning stays for the next time. */
static fw_status hasty(void *self, const char *path, uint64_t offset, size_t max_bytes, int fd, fw_error *error) {
    (void)self, (void)path, (void)max_bytes, (void)error;
    return write(fd, model + offset, 5) == 5 ? FW_OK : FW_IO;
}

static void test_hasty_line(void **state) {
    (void)state;
    setting s;
    set_up(&s, "model");
    fw_tuf_close(s.client);
    fw_tuf_fetch line = {.self = &s.r, .metadata = repo_metadata, .target = hasty};
    assert_int_equal(fw_tuf_open(&s.r.env, s.r.folder, &line, NULL, &s.client, NULL), FW_OK);
    assert_int_equal(fw_tuf_refresh(s.client, &s.r.error), FW_OK);
    for (size_t i = 0; i < (MODEL_BYTES - 1) / 5; i++) assert_int_equal(download(&s), FW_CLOSED);
    assert_true(fw_file_exists(s.part));
    tear_down(&s);
}

/* ---- hashes and lengths ---- */

#define SHA512_OF_X "a4abd4448c49562d828115d13a1fccea927f52b4d5459297f8b43e42da89238bc13626e43dcb38ddb082488927ec904fb42057443983e88585179d50551afe62"

static void test_hash_kinds(void **state) {
    (void)state;
    static const struct {
        bool sha256, sha512, unknown;
        fw_status found;
    } cases[] = {{true, false, false, FW_OK}, {false, true, false, FW_OK}, {true, true, false, FW_OK},
                 {true, false, true, FW_OK},  {false, false, true, FW_UNSUPPORTED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        repo r = {0};
        fw_tuf_target target;
        char path[128];
        repo_open(&r);
        json_t *said = repo_target(&r, "targets", "x", "x"), *hashes = json_object();
        if (cases[i].sha256) json_object_set_new(hashes, "sha256", json_string(fw_hash_bytes("x", 1).hex));
        if (cases[i].sha512) json_object_set_new(hashes, "sha512", json_string(SHA512_OF_X));
        if (cases[i].unknown) json_object_set_new(hashes, "md4", json_string("00"));
        json_object_set_new(said, "hashes", hashes);
        repo_put(&r, SHA512_OF_X ".x", "x", 1);
        repo_publish(&r, "targets snapshot timestamp");
        fw_tuf_client *client = repo_client(&r);
        assert_int_equal(fw_tuf_refresh(client, &r.error), FW_OK);
        assert_int_equal(fw_tuf_find(client, "x", &target, &r.error), cases[i].found);
        snprintf(path, sizeof path, "%s/installed", r.folder);
        if (cases[i].found == FW_OK) assert_int_equal(fw_tuf_download(client, &target, path, &r.error), FW_OK);
        if (cases[i].sha512) {
            target.sha512[0] ^= 1; /* all that are known must be right */
            assert_int_equal(unlink(path), 0);
            assert_int_not_equal(fw_tuf_download(client, &target, path, &r.error), FW_OK);
        }
        fw_tuf_close(client);
        repo_close(&r);
    }
}

/* A length that does not go with the hash: no file is right, not even one that is there with that hash. */
static void test_wrong_length(void **state) {
    (void)state;
    setting s;
    set_up(&s, "model");
    assert_int_equal(download(&s), FW_OK);
    s.target.length_bytes--;
    assert_int_equal(download(&s), FW_TOO_BIG);
    s.target.length_bytes += 2;
    assert_int_equal(download(&s), FW_CLOSED);
    tear_down(&s);
}

static void test_empty_target(void **state) {
    (void)state;
    repo r = {0};
    fw_tuf_target target;
    char path[128];
    repo_open(&r);
    repo_target(&r, "targets", "empty", "");
    repo_publish(&r, "targets snapshot timestamp");
    fw_tuf_client *client = repo_client(&r);
    assert_int_equal(fw_tuf_refresh(client, &r.error), FW_OK);
    assert_int_equal(fw_tuf_find(client, "empty", &target, &r.error), FW_OK);
    snprintf(path, sizeof path, "%s/installed", r.folder);
    assert_int_equal(fw_tuf_download(client, &target, path, &r.error), FW_OK);
    assert_int_equal(fw_folder_size_bytes(path), 0);
    assert_true(fw_file_exists(path));
    fw_tuf_close(client);
    repo_close(&r);
}

/* ---- names ---- */

static void test_long_names(void **state) {
    (void)state;
    setting s;
    char name[600];
    set_up(&s, "model");
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(fw_tuf_download(s.client, &s.target, name, &s.r.error), FW_TOO_BIG);
    assert_int_equal(fw_tuf_find(s.client, name, &s.target, &s.r.error), FW_TOO_BIG);
    tear_down(&s);
    /* Into the folder that one stands in, and the highest. */
    char here[256];
    assert_non_null(getcwd(here, sizeof here));
    set_up(&s, "model");
    assert_int_equal(chdir(s.r.folder), 0);
    assert_int_equal(fw_tuf_download(s.client, &s.target, "installed", &s.r.error), FW_OK);
    expect_model(&s);
    assert_int_equal(chdir(here), 0);
    assert_int_not_equal(fw_tuf_download(s.client, &s.target, "/fw_tuf_no_such_folder/x", &s.r.error), FW_OK);
    tear_down(&s);
}

/* A folder in the target's place is neither taken for it nor written over. */
static void test_folder_in_its_place(void **state) {
    (void)state;
    setting s;
    set_up(&s, "model");
    assert_int_equal(fw_folder_make(s.path, 0755, NULL), FW_OK);
    assert_int_not_equal(download(&s), FW_OK);
    tear_down(&s);
}

/* A link in the part's place is not followed. */
static void test_link(void **state) {
    (void)state;
    setting s;
    char elsewhere[128];
    set_up(&s, "model");
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", s.r.folder);
    assert_int_equal(symlink(elsewhere, s.part), 0);
    assert_int_not_equal(download(&s), FW_OK);
    assert_false(fw_file_exists(elsewhere));
    tear_down(&s);
}

/* ---- a disk that fails ---- */

static int fail_sync(void *self, int fd) {
    (void)self, (void)fd;
    errno = EIO;
    return -1;
}

static int fail_rename(void *self, const char *from, const char *to) {
    (void)self, (void)from, (void)to;
    errno = EIO;
    return -1;
}

static void test_disk_fails(void **state) {
    (void)state;
    setting s;
    set_up(&s, "model");
    s.r.env.fdatasync = fail_sync;
    assert_int_equal(download(&s), FW_IO);
    assert_false(fw_file_exists(s.path));
    s.r.env.fdatasync = fw_env_real()->fdatasync;
    s.r.env.rename = fail_rename;
    assert_int_equal(download(&s), FW_IO);
    assert_false(fw_file_exists(s.path));
    s.r.env.rename = fw_env_real()->rename;
    assert_int_equal(download(&s), FW_OK);
    assert_string_equal(s.r.asked, ""); /* the bytes were there */
    expect_model(&s);
    tear_down(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_download),    cmocka_unit_test(test_address),     cmocka_unit_test(test_resume),
        cmocka_unit_test(test_parts),       cmocka_unit_test(test_other_bytes), cmocka_unit_test(test_extra_bytes),
        cmocka_unit_test(test_not_there),   cmocka_unit_test(test_hasty_line),  cmocka_unit_test(test_hash_kinds),
        cmocka_unit_test(test_empty_target), cmocka_unit_test(test_long_names), cmocka_unit_test(test_link),
        cmocka_unit_test(test_disk_fails),  cmocka_unit_test(test_folder_in_its_place),
        cmocka_unit_test(test_wrong_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
