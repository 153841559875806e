/* bench_connections - what a thousand connected units cost the factory in memory.
 *
 *   bench_connections [--units N] [--rounds R] [--plain] [--tls]     one JSON line a case
 *
 * Starts the real `flywheel serve` in a new data folder, opens N connections that stay open, sends
 * R reports over each (so that every connection has answered and its buffers were used), and reads
 * the server's resident memory from /proc: before the first connection, and with all of them open.
 * With mutual TLS the connections take turns with the certificates of a few enrolled units, each
 * of which stays below the rate that a unit may have.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/args.h"
#include "base/file.h"
#include "factory/identity/authority.h"
#include "factory/identity/identity.h"

enum { UNITS_MAX = 2000, ANSWER_MAX = 4096, ENROLLED = 10 };

typedef struct bench {
    char folder[64], data[80];
    pid_t server;
    unsigned port;
    bool secure;
    SSL_CTX *tls[ENROLLED];
    int fds[UNITS_MAX];
    SSL *sessions[UNITS_MAX];
} bench;

static void die(const char *what) {
    fprintf(stderr, "bench_connections: %s\n", what);
    exit(1);
}

static void start_server(bench *b, bool tls) {
    int ends[2];
    char line[400] = "";
    if (pipe(ends) != 0) die("pipe");
    b->server = fork();
    if (b->server == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        execl(FW_BENCH_FLYWHEEL, "flywheel", "serve", "--data", b->data, "--listen", "127.0.0.1:0",
              tls ? "--tls" : NULL, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *log = fdopen(ends[0], "r");
    while (!b->port && log && fgets(line, sizeof line, log)) {
        const char *at = strstr(line, "//127.0.0.1:");
        if (at) b->port = (unsigned)strtoul(at + 12, NULL, 10);
    }
    if (!b->port) die(line); /* the pipe stays open: the server may still write */
}

static long resident_kb(pid_t pid) {
    char path[64], line[200];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmRSS:", 6) == 0) kb = strtol(line + 6, NULL, 10);
    if (file) fclose(file);
    return kb;
}

/* Enrolls unit bench-K and makes its side of TLS. */
static SSL_CTX *enroll(bench *b, fw_catalogue *catalogue, unsigned k) {
    char unit[16], paths[3][FW_PATH_MAX];
    fw_error error = {""};
    fw_enrolled e;
    snprintf(unit, sizeof unit, "bench-%u", k);
    if (fw_identity_enroll(fw_env_real(), catalogue, b->data, unit, 10, NULL, &e, &error) != FW_OK)
        die(error.text);
    const char *const names[] = {"cert.pem", "key.pem", "ca.pem"};
    const char *const texts[] = {e.cert_pem, e.key_pem, e.ca_pem};
    for (int i = 0; i < 3; i++) {
        if (fw_authority_write(fw_env_real(), b->folder, names[i], texts[i], 0600, &error) != FW_OK)
            die(error.text);
        fw_path_join(paths[i], sizeof paths[i], b->folder, names[i]);
    }
    fw_enrolled_clear(&e);
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (!tls || SSL_CTX_use_certificate_file(tls, paths[0], SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, paths[1], SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_load_verify_locations(tls, paths[2], NULL) != 1)
        die("the certificates cannot be loaded");
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    return tls;
}

static void enroll_all(bench *b) {
    char path[FW_PATH_MAX];
    fw_error error = {""};
    fw_catalogue *catalogue;
    fw_path_join(path, sizeof path, b->data, "catalogue.sqlite");
    if (fw_folder_make(b->data, 0755, &error) != FW_OK ||
        fw_catalogue_open(path, &catalogue, &error) != FW_OK)
        die(error.text);
    for (unsigned k = 0; k < ENROLLED; k++) b->tls[k] = enroll(b, catalogue, k);
    fw_catalogue_close(catalogue);
    b->secure = true;
}

static void open_one(bench *b, unsigned i) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)b->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    b->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (b->fds[i] < 0 || connect(b->fds[i], (struct sockaddr *)&to, sizeof to) != 0)
        die("a connection is refused");
    if (!b->secure) return;
    b->sessions[i] = SSL_new(b->tls[i % ENROLLED]);
    if (!b->sessions[i] || SSL_set_fd(b->sessions[i], b->fds[i]) != 1 ||
        SSL_connect(b->sessions[i]) != 1)
        die("the handshake fails");
}

static long take(bench *b, unsigned i, char *out, size_t size) {
    return b->secure ? SSL_read(b->sessions[i], out, (int)size) : recv(b->fds[i], out, size, 0);
}

/* One report of its unit, and its answer to the end. */
static void report(bench *b, unsigned i) {
    static const char body[] = "{\"tick\":1,\"recordings\":0,\"spool_bytes\":0,\"lost_bytes\":0}";
    char text[400], answer[ANSWER_MAX];
    int size = snprintf(text, sizeof text,
                        "POST /v1/units/bench-%u/report HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        i % ENROLLED, sizeof body - 1, body);
    long sent = b->secure ? SSL_write(b->sessions[i], text, size)
                          : send(b->fds[i], text, (size_t)size, MSG_NOSIGNAL);
    if (sent != size) die("a report is not taken");
    size_t used = 0;
    for (;;) {
        long got = take(b, i, answer + used, sizeof answer - 1 - used);
        if (got <= 0) die("no answer to a report");
        used += (size_t)got;
        answer[used] = '\0';
        if (strncmp(answer, "HTTP/1.1 200", 12) != 0) die(answer);
        const char *end = strstr(answer, "\r\n\r\n");
        if (end && strchr(end, '}')) return;
    }
}

static void run(unsigned units, unsigned rounds, bool tls) {
    static bench b;
    fw_error error;
    b = (bench){.folder = "/tmp/fw_connections_XXXXXX"};
    if (!mkdtemp(b.folder)) die("no temporary folder");
    snprintf(b.data, sizeof b.data, "%s/data", b.folder);
    if (tls) enroll_all(&b);
    start_server(&b, tls);
    open_one(&b, 0); /* what every server needs once is there before we count */
    report(&b, 0);
    long before_kb = resident_kb(b.server);
    for (unsigned i = 1; i < units; i++) open_one(&b, i);
    for (unsigned r = 0; r < rounds; r++)
        for (unsigned i = 0; i < units; i++) report(&b, i);
    long after_kb = resident_kb(b.server);
    printf("{\"tls\":%s,\"units\":%u,\"reports\":%u,\"resident_before_kb\":%ld,"
           "\"resident_kb\":%ld,\"kb_per_unit\":%.1f}\n",
           tls ? "true" : "false", units, units * rounds, before_kb, after_kb,
           (double)(after_kb - before_kb) / units);
    fflush(stdout);
    for (unsigned i = 0; i < units; i++) {
        SSL_free(b.sessions[i]);
        close(b.fds[i]);
    }
    for (unsigned k = 0; k < ENROLLED; k++) SSL_CTX_free(b.tls[k]);
    kill(b.server, SIGTERM);
    waitpid(b.server, NULL, 0);
    (void)!fw_folder_remove(b.folder, &error);
}

int main(int argc, char **argv) {
    uint64_t units = 1000, rounds = 3;
    bool plain = false, tls = false, smoke = false;
    fw_error error = {""};
    struct rlimit files = {UNITS_MAX + 100, UNITS_MAX + 100};
    const fw_arg table[] = {{"--units", FW_ARG_U64, &units, 1, UNITS_MAX},
                            {"--rounds", FW_ARG_U64, &rounds, 1, 1000},
                            {"--plain", FW_ARG_FLAG, &plain, 0, 0},
                            {"--tls", FW_ARG_FLAG, &tls, 0, 0},
                            {"--smoke", FW_ARG_FLAG, &smoke, 0, 0}};
    signal(SIGPIPE, SIG_IGN);
    if (fw_args_parse(argc - 1, argv + 1, table, sizeof table / sizeof *table, &error) != FW_OK)
        die(error.text);
    if (smoke) units = 20, rounds = 1;
    setrlimit(RLIMIT_NOFILE, &files);
    if (plain || !tls) run((unsigned)units, (unsigned)rounds, false);
    if (tls || !plain) run((unsigned)units, (unsigned)rounds, true);
    return 0;
}
