/* fw-tuf-client against a web server: its three commands, their exit codes and what they leave behind. */
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include "http/server.h"
#include "repo.h"

extern char **environ;
static const char model[] = "the bytes of the released model";

/* ---- a web server on a folder ---- */

typedef struct site {
    repo r;
    char www[128], url[64], trusted[128], targets[128], root[160];
    char ranges[256]; /* Range headers, each with a space behind */
    fw_http_server *server;
} site;

static void handle(void *self, const fw_http_request *request, fw_http_response *response) {
    site *s = self;
    const char *range = request->header(request->native, "Range");
    snprintf(response->file_path, sizeof response->file_path, "%s%s", s->www, request->path);
    response->status = fw_file_exists(response->file_path) ? 200 : 404;
    if (response->status == 404) response->file_path[0] = '\0';
    response->content_type = "application/octet-stream";
    if (range) snprintf(s->ranges + strlen(s->ranges), sizeof s->ranges - strlen(s->ranges), "%s ", range);
}

/* The repository's files onto the disk. */
static void put_files(site *s) {
    for (size_t i = 0; i < s->r.file_count; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", s->www, s->r.files[i].name);
        assert_int_equal(fw_file_write_durable(fw_env_real(), path, s->r.files[i].bytes, s->r.files[i].size, NULL), FW_OK);
    }
}

static void open_site(site *s) {
    static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};
    *s = (site){0};
    repo_open(&s->r);
    for (int i = 0; i < 4; i++) repo_expires(&s->r, roles[i], (int64_t)time(NULL) + repo_day_s); /* the program's clock is real */
    repo_target(&s->r, "targets", "model", model);
    repo_target(&s->r, "targets", "other", "another one");
    repo_publish(&s->r, "root targets snapshot timestamp");
    snprintf(s->www, sizeof s->www, "%s/www", s->r.folder);
    snprintf(s->trusted, sizeof s->trusted, "%s/trusted", s->r.folder);
    snprintf(s->targets, sizeof s->targets, "%s/targets", s->r.folder);
    snprintf(s->root, sizeof s->root, "%s/1.root.json", s->www);
    assert_int_equal(fw_folder_make(s->www, 0755, NULL), FW_OK);
    assert_int_equal(fw_folder_make(s->targets, 0755, NULL), FW_OK);
    put_files(s);
    fw_http_config config = {.address = "127.0.0.1", .body_max_bytes = 1024};
    fw_http_app app = {.self = s, .handle = handle};
    assert_int_equal(fw_http_server_start(&config, &app, &s->server, &s->r.error), FW_OK);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", fw_http_server_port(s->server));
}

static void close_site(site *s) {
    fw_http_server_stop(s->server);
    repo_close(&s->r);
}

/* ---- the program ---- */

/* Words end with NULL; its stderr goes nowhere. */
static int run(char *const *words) {
    pid_t child;
    int status = 0;
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawn(&child, FW_BINARY_DIR "/src/fw-tuf-client", &files, NULL, words, environ), 0);
    posix_spawn_file_actions_destroy(&files);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}
#define RUN(...) run((char *[]){(char *)(uintptr_t)"fw-tuf-client", __VA_ARGS__, NULL})
#define WORD(text) (char *)(uintptr_t)(text)

static int init(site *s) { return RUN(WORD("--metadata-dir"), s->trusted, WORD("init"), s->root); }
static int refresh(site *s) { return RUN(WORD("--metadata-url"), s->url, WORD("--metadata-dir"), s->trusted, WORD("refresh")); }
static int download(site *s, const char *first, const char *second) {
    char *words[] = {WORD("fw-tuf-client"), WORD("--metadata-url"), s->url, WORD("--metadata-dir"), s->trusted,
                     WORD("--target-base-url"), s->url, WORD("--target-dir"), s->targets, WORD("--target-name"), WORD(first),
                     second ? WORD("--target-name") : WORD("download"), second ? WORD(second) : NULL, WORD("download"), NULL};
    return run(words);
}

static bool has(const site *s, const char *name, const char *expect) {
    char path[256], *bytes = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s", s->targets, name);
    if (fw_file_read(path, 1 << 20, &bytes, &size, NULL) != FW_OK) return false;
    bool same = !strcmp(bytes, expect);
    free(bytes);
    return same;
}

static void test_session(void **state) {
    (void)state;
    site s;
    char part[256];
    open_site(&s);
    assert_int_equal(refresh(&s), 1); /* no root to begin with */
    assert_int_equal(init(&s), 0);
    assert_int_equal(init(&s), 1);
    assert_int_equal(refresh(&s), 0);
    snprintf(part, sizeof part, "%s/snapshot.json", s.trusted);
    assert_true(fw_file_exists(part));
    /* A download goes on where it was. */
    snprintf(part, sizeof part, "%s/model.part", s.targets);
    assert_int_equal(fw_file_write_durable(fw_env_real(), part, model, 10, NULL), FW_OK);
    assert_int_equal(download(&s, "model", NULL), 0);
    assert_true(has(&s, "model", model));
    assert_string_equal(s.ranges, "bytes=10- ");
    /* In their order, to the first that fails. */
    assert_int_equal(download(&s, "other", "missing"), 1);
    assert_true(has(&s, "other", "another one"));
    close_site(&s);
}

/* Without a session before: download refreshes; the first failure ends it. */
static void test_refusals(void **state) {
    (void)state;
    site s;
    char name[REPO_NAME];
    open_site(&s);
    assert_int_equal(init(&s), 0);
    assert_int_equal(download(&s, "missing", "model"), 1);
    assert_false(has(&s, "model", model));
    snprintf(name, sizeof name, "%s/%s.model", s.www, fw_hash_bytes(model, sizeof model - 1).hex);
    assert_int_equal(fw_file_write_durable(fw_env_real(), name, "THE BYTES OF THE RELEASED MODEL", sizeof model - 1, NULL), FW_OK);
    assert_int_equal(download(&s, "model", NULL), 1);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(download(&s, "model", NULL), 1);
    assert_int_equal(fw_folder_size_bytes(s.targets), 0);
    snprintf(name, sizeof name, "%s/timestamp.json", s.www);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(refresh(&s), 1);
    close_site(&s);
}

static void test_words(void **state) {
    (void)state;
    assert_int_equal(RUN(WORD("refresh")), 1);
    assert_int_equal(RUN(WORD("--metadata-dir")), 1);
    assert_int_equal(RUN(WORD("--metadata-dir"), WORD("/tmp"), WORD("--what"), WORD("x"), WORD("refresh")), 1);
    assert_int_equal(RUN(WORD("--metadata-dir"), WORD("/tmp"), WORD("refresh")), 1);
    assert_int_equal(RUN(WORD("--metadata-dir"), WORD("/tmp"), WORD("dance")), 1);
    assert_int_equal(RUN(WORD("--metadata-dir"), WORD("/tmp"), WORD("init")), 1);
    assert_int_equal(RUN(WORD("--metadata-dir"), WORD("/tmp"), WORD("init"), WORD("a"), WORD("b")), 1);
    assert_int_equal(RUN(WORD("--metadata-dir"), WORD("/tmp"), WORD("--metadata-url"), WORD("http://127.0.0.1:1"), WORD("download")), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_session), cmocka_unit_test(test_refusals), cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
