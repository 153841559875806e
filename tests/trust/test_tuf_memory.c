/* Memory runs short at every place where it can: the client says so, or does well without; it loses nothing, trusts
 * nothing more, and the next session goes through. Ours and jansson's allocations (the linker's --wrap), and OpenSSL's.
 *
 * Under AddressSanitizer some of the places are tried, with a fixed stride, for what leaks. */
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "base/json.h"
#include "repo.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STRIDE = 13 };
#else
enum { STRIDE = 1 };
#endif

/* ---- allocations ---- */

static struct {
    bool armed, stays;
    unsigned calls, fail_at;
} faults;

static bool fails(void) {
    if (!faults.armed || ++faults.calls < faults.fail_at) return false;
    return faults.calls == faults.fail_at || faults.stays;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *old, size_t size) { return fails() ? NULL : __real_realloc(old, size); }

/* Which allocations count. */
static bool openssl_counts;

static void *openssl_malloc(size_t size, const char *file, int line) {
    (void)file, (void)line;
    return openssl_counts && fails() ? NULL : __real_malloc(size);
}
static void *openssl_realloc(void *old, size_t size, const char *file, int line) {
    (void)file, (void)line;
    return openssl_counts && fails() ? NULL : __real_realloc(old, size);
}
static void openssl_free(void *old, const char *file, int line) {
    (void)file, (void)line;
    free(old);
}

/* ---- a session: everything that a client does ---- */

static int no_sync(void *self, int fd) {
    (void)self, (void)fd;
    return 0;
}

static fw_status use(repo *r, fw_tuf_client *client) {
    fw_tuf_target target;
    char path[128];
    FW_TRY(fw_tuf_refresh(client, &r->error));
    FW_TRY(fw_tuf_find(client, "driving/model", &target, &r->error));
    snprintf(path, sizeof path, "%s/installed", r->folder);
    FW_TRY(fw_tuf_download(client, &target, path, &r->error));
    return fw_tuf_download(client, &target, path, &r->error);
}

static fw_status session(repo *r, const repo_file *root) {
    fw_tuf_client *client = NULL;
    fw_status status = fw_tuf_init(&r->env, r->folder, root->bytes, root->size, &r->error);
    if (status != FW_OK && status != FW_EXISTS) return status;
    FW_TRY(fw_tuf_open(&r->env, r->folder, repo_line(r), NULL, &client, &r->error));
    status = use(r, client);
    if (status == FW_OK) status = use(r, client);
    fw_tuf_close(client);
    return status;
}

static void build(repo *r) {
    repo_open(r);
    r->env.fdatasync = no_sync;
    repo_delegate(r, "targets", "driving", "10", false, "driving/*");
    json_t *said = repo_target(r, "driving", "driving/model", "the released model");
    json_object_set_new(said, "custom", json_pack("{s:i}", "release_counter", 7));
    repo_rotate(r, "root", "20", "0 20");
    repo_rotate(r, "snapshot", "21", "21");
    repo_publish(r, "driving root targets snapshot timestamp");
}

static void each_fails(bool openssl, bool stays, unsigned stride) {
    repo r = {0};
    fw_status status = FW_NO_MEMORY;
    unsigned short_of_memory = 0, nth = 1;
    build(&r);
    const repo_file *root = repo_find(&r, "1.root.json");
    assert_int_equal(session(&r, root), FW_OK); /* what OpenSSL makes once is made */
    openssl_counts = openssl;
    for (bool done = false; !done; nth += STRIDE * stride) {
        assert_int_equal(fw_folder_remove(r.folder, NULL), FW_OK);
        r.asked[0] = '\0';
        faults.calls = 0;
        faults.fail_at = nth;
        faults.stays = stays;
        faults.armed = true;
        status = session(&r, root);
        faults.armed = false;
        done = faults.calls < nth;
        ERR_clear_error();
        if (status == FW_NO_MEMORY) short_of_memory++;
        else if (status != FW_OK && !openssl) fail_msg("allocation %u: %s: %s", nth, fw_status_text(status), r.error.text);
        r.asked[0] = '\0';
        status = session(&r, root);
        if (status != FW_OK) fail_msg("after allocation %u: %s: %s", nth, fw_status_text(status), r.error.text);
        repo_expect(&r, 2, 2, 2, 2);
    }
    assert_true(short_of_memory > 0);
    print_message("%u places, %u said so\n", nth, short_of_memory);
    repo_close(&r);
}

static void test_ours(void **state) {
    (void)state;
    each_fails(false, false, 1);
    each_fails(false, true, 5);
}

static void test_openssl(void **state) {
    (void)state;
    each_fails(true, false, 3);
}

/* Hashes: each allocation of OpenSSL's, while metadata is compared and while an installed target is. */
static void test_hashes(void **state) {
    (void)state;
    repo r = {0};
    char path[128];
    fw_tuf_target target;
    fw_status status = FW_NO_MEMORY;
    build(&r);
    fw_tuf_client *client = repo_client(&r);
    assert_int_equal(use(&r, client), FW_OK);
    assert_int_equal(fw_tuf_find(client, "driving/model", &target, &r.error), FW_OK);
    snprintf(path, sizeof path, "%s/installed", r.folder);
    json_t *said = json_pack("{s:{s:s}}", "hashes", "sha256", fw_hash_bytes("x", 1).hex);
    openssl_counts = true;
    for (unsigned nth = 1; status != FW_OK; nth++)
        for (int stays = 0; stays < 2; stays++) {
            faults.calls = 0;
            faults.fail_at = nth;
            faults.stays = stays == 1;
            faults.armed = true;
            status = fw_metadata_check_file(said, "x", 1, "x", &r.error);
            fw_status installed = fw_tuf_download(client, &target, path, &r.error);
            faults.armed = false;
            assert_true(status == FW_OK || status == FW_NO_MEMORY);
            assert_true(installed == FW_OK || installed == FW_NO_MEMORY);
        }
    openssl_counts = false;
    json_decref(said);
    fw_tuf_close(client);
    repo_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ours), cmocka_unit_test(test_openssl), cmocka_unit_test(test_hashes)};
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1) return 1;
    fw_json_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
