/* main.c - the conductor of the kill test (kill.h).
 *
 *   fw-kill-test [--records N] [--files N] [--writers N] [--seed N] [--folder DIR] [--no-faults]
 *
 * Prints what it did and found; exit 0: nothing acked was lost, nothing is there twice. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/args.h"
#include "base/random.h"
#include "http/client.h"
#include "kill.h"

enum { STEP_MS = 20, START_MS = 60000, END_MS = 600000 };

typedef struct conductor {
    kill_plan plan;
    kill_faults *faults;
    fw_random random;
    pid_t server, proxy, writers[KILL_WRITERS_MAX];
    bool done[KILL_WRITERS_MAX];
    uint64_t server_kills, writer_kills, windows;
    int64_t server_due_ns, writer_due_ns, fault_due_ns, fault_end_ns;
} conductor;

static int64_t now_ns(void) { return fw_env_mono_ns(fw_env_real()); }
static void wait_ms(int64_t ms) { fw_env_sleep_ns(fw_env_real(), ms * 1000000); }
static int64_t in_ms(conductor *c, uint32_t from, uint32_t to) {
    return now_ns() + (int64_t)(from + fw_random_below(&c->random, to - from)) * 1000000;
}

static pid_t fork_child(void) {
    pid_t parent = getpid(), pid = fork();
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(3);
    return 0;
}

static void start_server(conductor *c, bool faulty) {
    char data[FW_PATH_MAX], listen[40], control[FW_PATH_MAX], log[FW_PATH_MAX];
    fw_path_join(data, sizeof data, c->plan.folder, "data");
    fw_path_join(control, sizeof control, c->plan.folder, "faults");
    fw_path_join(log, sizeof log, c->plan.folder, "serve.log");
    snprintf(listen, sizeof listen, "127.0.0.1:%u", c->plan.server_port);
    c->server = fork_child();
    if (c->server != 0) return;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd >= 0) dup2(fd, STDERR_FILENO), dup2(fd, STDOUT_FILENO);
    if (faulty) {
        setenv("LD_PRELOAD", c->plan.preload, 1);
        setenv("FW_FAULT_CONTROL", control, 1);
        setenv("FW_FAULT_FOLDER", data, 1);
    }
    execl(c->plan.program, c->plan.program, "serve", "--data", data, "--listen", listen,
          (char *)NULL);
    _exit(3);
}

static void start_writer(conductor *c, uint32_t unit) {
    c->writers[unit] = fork_child();
    if (c->writers[unit] == 0) kill_writer(&c->plan, unit);
}

static bool server_answers(const conductor *c) {
    fw_http_client client;
    fw_http_reply reply = {0};
    fw_error error;
    char url[80];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/status", c->plan.server_port);
    fw_http_call call = {.method = "GET", .url = url, .reply_max_bytes = 1 << 20,
                         .timeout_ms = 2000};
    if (fw_http_client_curl(&client, &error) != FW_OK) return false;
    bool answers = client.perform(client.self, &call, &reply, &error) == FW_OK &&
                   reply.status == 200;
    client.free(client.self);
    fw_http_reply_clear(&reply);
    return answers;
}

static void kill_and_wait(pid_t *pid, int signal) {
    if (*pid <= 0) return;
    kill(*pid, signal);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

/* ---- misfortune ---- */

static void maybe_kill_server(conductor *c) {
    if (now_ns() < c->server_due_ns) return;
    kill_and_wait(&c->server, SIGKILL);
    c->server_kills++;
    wait_ms(fw_random_below(&c->random, 200));
    start_server(c, c->plan.preload[0] != '\0');
    c->server_due_ns = in_ms(c, 300, 2500);
}

static void maybe_kill_writer(conductor *c) {
    if (now_ns() < c->writer_due_ns) return;
    uint32_t unit = fw_random_below(&c->random, c->plan.writers);
    c->writer_due_ns = in_ms(c, 200, 1500);
    if (c->done[unit] || c->writers[unit] <= 0) return;
    kill_and_wait(&c->writers[unit], SIGKILL);
    c->writer_kills++;
    start_writer(c, unit);
}

/* Windows of a disk that fails, with healthy time between them. */
static void maybe_fault(conductor *c) {
    if (!c->plan.preload[0]) return;
    if (c->fault_end_ns && now_ns() >= c->fault_end_ns) {
        atomic_store(&c->faults->write_ppm, 0);
        atomic_store(&c->faults->sync_ppm, 0);
        atomic_store(&c->faults->no_space, 0);
        c->fault_end_ns = 0;
        c->fault_due_ns = in_ms(c, 300, 2000);
    } else if (!c->fault_end_ns && now_ns() >= c->fault_due_ns) {
        uint32_t kind = fw_random_below(&c->random, 4);
        if (kind == 0) atomic_store(&c->faults->no_space, 1);
        if (kind == 1 || kind == 3) atomic_store(&c->faults->write_ppm, 20000);
        if (kind == 2 || kind == 3) atomic_store(&c->faults->sync_ppm, 100000);
        c->windows++;
        c->fault_end_ns = in_ms(c, 100, 600);
    }
}

/* Takes the ends of children; false when a writer cannot go on. */
static bool reap(conductor *c) {
    int how;
    for (pid_t pid; (pid = waitpid(-1, &how, WNOHANG)) > 0;) {
        if (pid == c->server) { /* gave up by itself, for example at opening: again */
            c->server = 0;
            wait_ms(100);
            start_server(c, c->plan.preload[0] != '\0');
        }
        for (uint32_t i = 0; i < c->plan.writers; i++) {
            if (pid != c->writers[i]) continue;
            c->writers[i] = 0;
            if (!WIFEXITED(how) || WEXITSTATUS(how) != 0) {
                fprintf(stderr, "kill test: writer %u failed\n", i);
                return false;
            }
            c->done[i] = true;
        }
    }
    return true;
}

static bool all_done(const conductor *c) {
    for (uint32_t i = 0; i < c->plan.writers; i++)
        if (!c->done[i]) return false;
    return true;
}

static void tell(const conductor *c, int64_t started_ns) {
    uint64_t records = 0, files = 0;
    for (uint32_t i = 0; i < c->plan.writers; i++) {
        kill_promise promise = kill_journal_read(&c->plan, i);
        records += promise.records;
        files += promise.files;
    }
    fprintf(stderr,
            "%4d s: %" PRIu64 " of %" PRIu64 " records, %" PRIu64 " of %" PRIu64
            " files acked; killed: factory %" PRIu64 ", units %" PRIu64 "; disk faults %" PRIu64
            " writes, %" PRIu64 " flushes\n",
            (int)((now_ns() - started_ns) / 1000000000), records, c->plan.records, files,
            c->plan.files, c->server_kills, c->writer_kills,
            atomic_load(&c->faults->failed_writes), atomic_load(&c->faults->failed_syncs));
}

static bool run(conductor *c) {
    int64_t started_ns = now_ns(), told_ns = started_ns;
    c->proxy = fork_child();
    if (c->proxy == 0) kill_proxy(&c->plan);
    start_server(c, c->plan.preload[0] != '\0');
    for (uint32_t i = 0; i < c->plan.writers; i++) start_writer(c, i);
    c->server_due_ns = in_ms(c, 1500, 3000);
    c->writer_due_ns = in_ms(c, 500, 1500);
    c->fault_due_ns = in_ms(c, 500, 1500);
    while (!all_done(c)) {
        wait_ms(STEP_MS);
        if (!reap(c)) return false;
        maybe_kill_server(c);
        maybe_kill_writer(c);
        maybe_fault(c);
        if (now_ns() - told_ns < (int64_t)5000000000) continue;
        told_ns = now_ns();
        tell(c, started_ns);
    }
    tell(c, started_ns);
    return true;
}

/* ---- the end ---- */

static bool catalogue_fits(const conductor *c) {
    char data[FW_PATH_MAX];
    int how = 0;
    fw_path_join(data, sizeof data, c->plan.folder, "data");
    pid_t pid = fork_child();
    if (pid == 0) {
        execl(c->plan.program, c->plan.program, "catalogue", "check", "--data", data,
              (char *)NULL);
        _exit(3);
    }
    waitpid(pid, &how, 0);
    return WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

static bool count_up(conductor *c) {
    kill_and_wait(&c->proxy, SIGKILL);
    kill_and_wait(&c->server, SIGKILL); /* once more */
    start_server(c, false);
    int64_t deadline_ns = now_ns() + (int64_t)START_MS * 1000000;
    while (!server_answers(c) && now_ns() < deadline_ns) wait_ms(100);
    bool fine = kill_verify(&c->plan);
    kill_and_wait(&c->server, SIGTERM);
    bool fits = catalogue_fits(c);
    printf("catalogue equals objects: %s\n", fits ? "yes" : "no");
    return fine && fits;
}

/* ---- the start ---- */

static uint16_t free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, size) != 0) exit(3);
    getsockname(fd, (struct sockaddr *)&address, &size);
    close(fd);
    return ntohs(address.sin_port);
}

static fw_status prepare(conductor *c, const char *folder, fw_error *error) {
    char path[FW_PATH_MAX];
    kill_plan *p = &c->plan;
    snprintf(p->folder, sizeof p->folder, "%.300s/fw-kill-XXXXXX", folder);
    if (!mkdtemp(p->folder)) return fw_fail_errno(error, "cannot create %s", p->folder);
    fw_path_join(path, sizeof path, p->folder, "faults");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, sizeof *c->faults) != 0)
        return fw_fail_errno(error, "cannot create %s", path);
    c->faults = mmap(NULL, sizeof *c->faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (c->faults == MAP_FAILED) return fw_fail_errno(error, "cannot map %s", path);
    p->server_port = free_port();
    do {
        p->proxy_port = free_port();
    } while (p->proxy_port == p->server_port);
    return FW_OK;
}

int main(int argc, char **argv) {
    conductor c = {.plan = {.seed = 1, .records = 1000000, .files = 2000}};
    const char *folder = getenv("TMPDIR");
    uint64_t writers = 6;
    bool no_faults = false, keep = false;
    fw_error error = {""};
    if (!folder || !folder[0]) folder = P_tmpdir;
    const fw_arg table[] = {{"--records", FW_ARG_U64, &c.plan.records, 0, 1000000000},
                            {"--files", FW_ARG_U64, &c.plan.files, 0, 90000},
                            {"--writers", FW_ARG_U64, &writers, 1, KILL_WRITERS_MAX},
                            {"--seed", FW_ARG_U64, &c.plan.seed, 0, INT64_MAX},
                            {"--folder", FW_ARG_TEXT, &folder, 1, 300},
                            {"--no-faults", FW_ARG_FLAG, &no_faults, 0, 0},
                            {"--keep", FW_ARG_FLAG, &keep, 0, 0}};
    if (fw_args_parse(argc - 1, argv + 1, table, sizeof table / sizeof *table, &error) != FW_OK ||
        prepare(&c, folder, &error) != FW_OK) {
        fprintf(stderr, "kill test: %s\n", error.text);
        return 2;
    }
    c.plan.writers = (uint32_t)writers;
    snprintf(c.plan.program, sizeof c.plan.program, "%s", FW_FLYWHEEL);
    if (!no_faults) snprintf(c.plan.preload, sizeof c.plan.preload, "%s", FW_FAULT_LIBRARY);
    c.random = fw_random_named(c.plan.seed, "conductor");
    printf("kill test: seed %" PRIu64 ", %u units, %" PRIu64 " records, %" PRIu64 " files, in %s\n",
           c.plan.seed, c.plan.writers, c.plan.records, c.plan.files, c.plan.folder);
    fflush(stdout);
    bool fine = run(&c);
    if (fine) fine = count_up(&c);
    printf("killed: factory %" PRIu64 " times, units %" PRIu64 " times; failed: %" PRIu64
           " writes, %" PRIu64 " flushes (%" PRIu64 " bytes wiped) in %" PRIu64 " windows\n%s\n",
           c.server_kills + 1, c.writer_kills, atomic_load(&c.faults->failed_writes),
           atomic_load(&c.faults->failed_syncs), atomic_load(&c.faults->wiped_bytes), c.windows,
           fine ? "passed: 0 acked lost, 0 duplicates" : "FAILED");
    if (fine && !keep && fw_folder_remove(c.plan.folder, &error) != FW_OK)
        fprintf(stderr, "kill test: %s\n", error.text);
    return fine ? 0 : 1;
}
