/* flywheel-unit - the program on one device of the fleet. This process is the supervisor: it starts
 * the tick and the courier (src/unit/shared.h), restarts whichever dies, and stops both cleanly.
 *
 *   SIGTERM, SIGINT --> stop --> tick closes its recording, leaves
 *                            --> courier takes the last pieces to disk, leaves --> exit 0
 *
 * Both children die with this process (PR_SET_PDEATHSIG): a unit never lives on in pieces.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "unit/courier/courier.h"
#include "unit/tick/tick.h"

enum { TICK_STOP_MS = 5000, COURIER_STOP_MS = 8000, RESTART_MAX_MS = 2000, HEALTHY_MS = 5000 };

typedef struct unit_settings {
    uint32_t unit;
    char factory[256];
    const char *bus, *data;
    uint64_t spool_max_bytes;
} unit_settings;

typedef struct child {
    const char *name;
    int (*main)(const unit_settings *settings, fw_unit_shared *shared);
    pid_t pid; /* 0: not running */
    int64_t started_ns;
    uint32_t wait_ms; /* before the next restart */
} child;

static const char usage[] =
    "usage: flywheel-unit --unit N --bus PATH --factory URL --data DIR [--spool-max-bytes B]\n"
    "\n"
    "Drives one unit: takes observations from the bus, decides with the model the factory\n"
    "names, records what it lived, and uploads the recordings.\n"
    "\n"
    "  --unit N             number of this unit, 0 to 65535\n"
    "  --bus PATH           socket of its world or vehicle; may come up later\n"
    "  --factory URL        for example http://127.0.0.1:8080; may be away\n"
    "  --data DIR           its own folder: spool and models\n"
    "  --spool-max-bytes B  disk for recordings while the factory is away [268435456]\n"
    "  --help, --version\n"
    "\n"
    "SIGTERM and Ctrl-C stop it cleanly; the spool is kept for the next start. Exit: 0 stopped,\n"
    "1 could not run, 2 usage.\n";

/* ---- arguments ---- */

static bool number(const char *text, uint64_t low, uint64_t high, uint64_t *out) {
    char *end;
    errno = 0;
    if (text[0] < '0' || text[0] > '9') return false;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || value < low || value > high) return false;
    *out = value;
    return true;
}

static bool take_url(const char *text, char *out, size_t out_size) {
    size_t length = strlen(text);
    if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0) return false;
    while (length > 0 && text[length - 1] == '/') length--;
    if (length < 8 || length > 200) return false;
    snprintf(out, out_size, "%.*s", (int)length, text);
    return true;
}

static int misused(const char *what) {
    fprintf(stderr, "flywheel-unit: %s; see flywheel-unit --help\n", what);
    return 2;
}

/* -1: go on; else the exit code. */
static int take_options(int argc, char **argv, unit_settings *out) {
    static const struct option known[] = {
        {"unit", required_argument, 0, 'u'},    {"bus", required_argument, 0, 'b'},
        {"factory", required_argument, 0, 'f'}, {"data", required_argument, 0, 'd'},
        {"spool-max-bytes", required_argument, 0, 's'},
        {"help", no_argument, 0, 'h'},          {"version", no_argument, 0, 'v'},
        {0, 0, 0, 0},
    };
    uint64_t unit = UINT64_MAX;
    *out = (unit_settings){.spool_max_bytes = 256u << 20};
    for (int letter; (letter = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (letter) {
        case 'u':
            if (!number(optarg, 0, 65535, &unit)) return misused("--unit wants 0 to 65535");
            break;
        case 'b': out->bus = optarg; break;
        case 'f':
            if (!take_url(optarg, out->factory, sizeof out->factory))
                return misused("--factory wants http://HOST:PORT");
            break;
        case 'd': out->data = optarg; break;
        case 's':
            if (!number(optarg, 1 << 20, UINT64_MAX / 2, &out->spool_max_bytes))
                return misused("--spool-max-bytes wants a number of at least 1048576");
            break;
        case 'h': fputs(usage, stdout); return 0;
        case 'v': puts("flywheel-unit " FW_VERSION); return 0;
        default: return 2;
        }
    }
    if (optind < argc) return misused("there are words too many");
    if (unit == UINT64_MAX || !out->bus || !out->factory[0] || !out->data)
        return misused("--unit, --bus, --factory and --data are needed");
    out->unit = (uint32_t)unit;
    return -1;
}

/* ---- the two children ---- */

static int tick_main(const unit_settings *settings, fw_unit_shared *shared) {
    fw_unit_tick_config config = {.unit = settings->unit, .bus_path = settings->bus};
    fw_unit_tick *tick = NULL;
    fw_error error;
    if (fw_unit_tick_open(&config, shared, &tick, &error) != FW_OK) {
        fw_log_error("%s", error.text);
        return 1;
    }
    fw_unit_tick_run(tick);
    fw_unit_tick_close(tick);
    return 0;
}

static int courier_main(const unit_settings *settings, fw_unit_shared *shared) {
    fw_error error;
    fw_unit_courier_config config = {.env = fw_env_real(), .unit = settings->unit,
                                     .factory = settings->factory, .data_folder = settings->data,
                                     .load = fw_unit_tick_load};
    fw_unit_spool_config spool = {.env = fw_env_real(), .data_folder = settings->data,
                                  .max_bytes = settings->spool_max_bytes, .unit = settings->unit};
    if (fw_unit_courier_run(&config, &spool, shared, &error) != FW_OK) {
        fw_log_error("%s", error.text);
        return 1;
    }
    return 0;
}

/* ---- supervision ---- */

static int64_t now_ns(void) { return fw_env_mono_ns(fw_env_real()); }

static void start_child(child *c, const unit_settings *settings, fw_unit_shared *shared) {
    pid_t parent = getpid();
    c->started_ns = now_ns();
    pid_t pid = fork();
    if (pid < 0) {
        fw_log_error("unit %u: cannot start the %s: %s", settings->unit, c->name, strerror(errno));
        return;
    }
    if (pid > 0) {
        c->pid = pid;
        fw_log_info("unit %u: %s is process %d", settings->unit, c->name, (int)pid);
        return;
    }
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    signal(SIGINT, SIG_IGN); /* the supervisor says when */
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    _exit(c->main(settings, shared));
}

/* Takes the exit of whoever died. */
static void reap(child *children, size_t count, const unit_settings *settings, bool stopping) {
    int how;
    for (pid_t pid; (pid = waitpid(-1, &how, WNOHANG)) > 0;) {
        for (size_t i = 0; i < count; i++) {
            child *c = &children[i];
            if (c->pid != pid) continue;
            c->pid = 0;
            if (stopping) continue;
            bool healthy = now_ns() - c->started_ns > (int64_t)HEALTHY_MS * 1000000;
            c->wait_ms = healthy ? 0 : c->wait_ms ? 2 * c->wait_ms : 50;
            if (c->wait_ms > RESTART_MAX_MS) c->wait_ms = RESTART_MAX_MS;
            fw_log_warn("unit %u: the %s died (%s %d); starting it again", settings->unit, c->name,
                        WIFSIGNALED(how) ? "signal" : "exit",
                        WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
        }
    }
}

/* Sleeps until a signal or ms; true when told to stop. */
static bool wait_signal(const sigset_t *watched, int ms) {
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    int got = sigtimedwait(watched, NULL, &time);
    return got == SIGTERM || got == SIGINT;
}

static void wait_gone(child *c, child *all, size_t count, const unit_settings *settings,
                      const sigset_t *watched, int ms) {
    int64_t deadline_ns = now_ns() + (int64_t)ms * 1000000;
    while (c->pid != 0 && now_ns() < deadline_ns) {
        (void)wait_signal(watched, 20);
        reap(all, count, settings, true);
    }
    if (c->pid == 0) return;
    fw_log_warn("unit %u: the %s did not stop; ended it", settings->unit, c->name);
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    c->pid = 0;
}

static void supervise(const unit_settings *settings, fw_unit_shared *shared, const sigset_t *watched) {
    child children[] = {{.name = "tick", .main = tick_main},
                        {.name = "courier", .main = courier_main}};
    const size_t count = sizeof children / sizeof *children;
    for (bool stop = false; !stop;) {
        for (size_t i = 0; i < count; i++) {
            child *c = &children[i];
            if (c->pid == 0 && now_ns() - c->started_ns >= (int64_t)c->wait_ms * 1000000)
                start_child(c, settings, shared);
        }
        bool all_run = children[0].pid != 0 && children[1].pid != 0;
        stop = wait_signal(watched, all_run ? 1000 : 20);
        reap(children, count, settings, false);
    }
    atomic_store(&shared->stop, true);
    fw_unit_wake(shared->net_wake);
    wait_gone(&children[0], children, count, settings, watched, TICK_STOP_MS);
    atomic_store(&shared->tick_gone, true);
    fw_unit_wake(shared->ring_wake);
    wait_gone(&children[1], children, count, settings, watched, COURIER_STOP_MS);
}

/* The folder, and that no other unit lives in it. */
static fw_status claim_folder(const unit_settings *settings, fw_error *error) {
    char path[FW_PATH_MAX];
    if (strlen(settings->data) > FW_PATH_MAX - 256)
        return fw_fail(error, FW_INVALID, "the path of --data is too long");
    FW_TRY(fw_folder_make(settings->data, 0755, error));
    fw_path_join(path, sizeof path, settings->data, "lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return fw_fail_errno(error, "cannot create %s", path);
    bool mine = false; /* a unit killed a moment ago may still be going */
    for (int i = 0; i < 20 && !(mine = flock(fd, LOCK_EX | LOCK_NB) == 0); i++)
        fw_env_sleep_ns(fw_env_real(), 100000000);
    if (!mine) {
        close(fd);
        return fw_fail(error, FW_BUSY, "another unit runs in %s; give this one its own --data",
                       settings->data);
    }
    return FW_OK; /* held until the last of the three processes ends */
}

int main(int argc, char **argv) {
    unit_settings settings;
    fw_unit_shared *shared = NULL;
    fw_error error;
    int code = take_options(argc, argv, &settings);
    if (code >= 0) return code;
    fw_log_start("flywheel-unit");
    if (claim_folder(&settings, &error) != FW_OK || fw_unit_shared_make(&shared, &error) != FW_OK) {
        fw_log_error("%s", error.text);
        return 1;
    }
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGCHLD);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    supervise(&settings, shared, &watched);
    fw_log_info("unit %u: stopped, %u recordings made", settings.unit,
                atomic_load(&shared->recordings));
    fw_unit_shared_free(shared);
    return 0;
}
