/* `flywheel serve --tls`, `enroll` and `token` as a person meets them. */
#include <fcntl.h>
#include <sys/stat.h>

#include "program.h"

#include "base/file.h"

typedef struct place {
    char folder[64], output[1 << 16];
    pid_t server;
    unsigned port;
} place;

static int open_place(void **state) {
    place *p = calloc(1, sizeof *p);
    snprintf(p->folder, sizeof p->folder, "/tmp/fw_enroll_XXXXXX");
    *state = p;
    return mkdtemp(p->folder) ? 0 : -1;
}
static int close_place(void **state) {
    place *p = *state;
    fw_error error;
    if (p->server > 0) {
        kill(p->server, SIGTERM);
        waitpid(p->server, NULL, 0);
    }
    fw_status status = fw_folder_remove(p->folder, &error);
    free(p);
    return status == FW_OK ? 0 : -1;
}

/* Runs `flywheel WORDS` in the folder; stdout (and stderr, when both) into output. */
static int run(place *p, const char *before, const char *words, bool both) {
    char command[1500];
    snprintf(command, sizeof command, "cd %s && %s %s %s %s", p->folder, before, PROGRAM, words,
             both ? "2>&1" : "2>/dev/null");
    return run_command(command, p->output, sizeof p->output);
}

static void expect(place *p, const char *words, int status, const char *text) {
    int got = run(p, "", words, true);
    expect_outcome(words, got, status, text, p->output);
}

static void start(place *p) {
    p->server = start_serve(p->folder, "--tls", "https", &p->port);
}

static void usage_and_refusals(void **state) {
    place *p = *state;
    expect(p, "enroll", 2, "want UNIT");
    expect(p, "enroll car --list --data d", 2, "want UNIT, --list or --revoke");
    expect(p, "enroll car", 2, "--data");
    expect(p, "enroll car --data d --days 0", 2, "--days");
    expect(p, "enroll 'a b' --data d", 1, "a unit's name");
    expect(p, "enroll car --data d --csr none.pem", 1, "none.pem");
    expect(p, "enroll --revoke car --data d", 1, "no valid certificate");
    expect(p, "token", 2, "want create NAME");
    expect(p, "token create me --data d", 2, "--scope");
    expect(p, "token create me --scope all --data d", 2, "read, operate or admin");
    expect(p, "token revoke me --data d", 1, "no valid token");
    expect(p, "serve --data d --listen 0.0.0.0:0", 1, "--tls");
    expect(p, "serve --data d --tls --insecure", 1, "either --tls or --insecure");
    expect(p, "serve --data d --cors '*'", 2, "--cors takes an origin");
    expect(p, "serve --data d --cors https://x/path", 2, "--cors takes an origin");
}

static void from_enrolling_to_revoking(void **state) {
    place *p = *state;
    char path[120], words[300], before[300], token[100];
    struct stat info;
    expect(p, "enroll car-7 --data data --out car", 0, "key.pem");
    snprintf(path, sizeof path, "%s/car/key.pem", p->folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    expect(p, "enroll --list --data data", 0, "car-7");
    expect(p, "enroll --list --json --data data", 0, "\"revoked_ns\":null");
    assert_int_equal(run(p, "", "token create me --scope read --data data", false), 0);
    snprintf(token, sizeof token, "%.*s", (int)strcspn(p->output, "\n"), p->output);
    assert_int_equal(strncmp(token, "fw_", 3), 0);
    expect(p, "token create me --scope read --data data", 1, "there is a token 'me'");
    expect(p, "token list --data data", 0, "read");
    start(p);
    snprintf(words, sizeof words, "status --json --ca car/ca.pem --url https://127.0.0.1:%u",
             p->port);
    expect(p, words, 1, "who are you?");
    snprintf(before, sizeof before, "FLYWHEEL_TOKEN=%s", token);
    assert_int_equal(run(p, before, words, true), 0);
    assert_non_null(strstr(p->output, "\"stage\""));
    snprintf(words, sizeof words, "status --json --url https://127.0.0.1:%u", p->port);
    assert_int_equal(run(p, before, words, true), 1); /* whose certificate is that? */
    assert_non_null(strstr(p->output, "certificate"));
    expect(p, "token revoke me --data data", 0, ""); /* while it serves */
    snprintf(words, sizeof words, "status --json --ca car/ca.pem --url https://127.0.0.1:%u",
             p->port);
    int status = 0;
    for (int i = 0; i < 100 && status == 0; i++) {
        usleep(100000);
        status = run(p, before, words, true);
    }
    assert_int_equal(status, 1);
    assert_non_null(strstr(p->output, "revoked"));
    expect(p, "enroll --revoke car-7 --data data", 0, "revoked 1 certificate");
}

int main(void) {
    if (access(PROGRAM, X_OK) != 0) return 77;
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(usage_and_refusals, open_place, close_place),
        cmocka_unit_test_setup_teardown(from_enrolling_to_revoking, open_place, close_place),
    };
    return cmocka_run_group_tests_name("enroll", tests, NULL, NULL);
}
