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
#include "lines/driving/act/signals.h"
#include "trust/uptane.h"
#include "unit/courier/courier.h"
#include "unit/tick/tick.h"

enum { TICK_STOP_MS = 5000, COURIER_STOP_MS = 8000, RESTART_MAX_MS = 2000, HEALTHY_MS = 5000,
       HANG_MS = 5000 };

typedef struct unit_settings {
    uint32_t unit;
    char factory[256];
    const char *bus, *data;
    uint64_t spool_max_bytes, ring_max_bytes, upload_rate_bytes_per_s;
    bool captures_only;
    double chunk_s; /* < 0: not said */
    uint32_t quiet_from_min, quiet_to_min;
    fw_http_client_options http;
    const char *root, *hardware; /* NULL: none, the default */
} unit_settings;

typedef struct child {
    const char *name;
    int (*main)(const unit_settings *settings, fw_unit_shared *shared);
    pid_t pid; /* 0: not running */
    int64_t started_ns;
    uint32_t wait_ms; /* before the next restart */
} child;

static const char usage[] =
    "usage: flywheel-unit --unit N --bus PATH --factory URL --data DIR [OPTION...]\n"
    "\n"
    "Drives one unit: takes observations from the bus, decides with the model the factory\n"
    "names, records what it lived, and uploads the recordings.\n"
    "\n"
    "  --unit N             number of this unit, 0 to 65535\n"
    "  --bus PATH           socket of its world or vehicle; may come up later\n"
    "  --factory URL        for example http://127.0.0.1:8080; may be away\n"
    "  --data DIR           its own folder: spool, models, campaigns, records\n"
    "\n"
    "What may run here\n"
    "  --root FILE          first trusted roots, from the owner of the factory (its DIR/trust/root.json);\n"
    "                       taken once; without one no model comes from the network\n"
    "  --hardware ID        what this device is; models name the ones they are for [flywheel-unit]\n"
    "\n"
    "What is recorded\n"
    "  --record all         every drive leaves the unit [the default]\n"
    "  --record campaigns   only what campaigns capture leaves it; the rest stays in a ring on disk\n"
    "  --ring-max-bytes B   size of that ring [67108864]\n"
    "  --chunk-s S          recordings reach the disk at least every S seconds of driving, 0: by\n"
    "                       size alone [0 with all, 2 with campaigns]\n"
    "  --spool-max-bytes B  disk for everything recorded while the factory is away [268435456]\n"
    "\n"
    "How it is sent\n"
    "  --upload-rate-bytes-per-s B   at most this much, 0: no limit [0]\n"
    "  --quiet-hours HH:MM-HH:MM     of the local day; only reports and captures of priority 80\n"
    "                                and more are sent in them\n"
    "  --tls-ca FILE        the only authority trusted for https\n"
    "  --tls-cert FILE      certificate of this unit, with\n"
    "  --tls-key FILE       its private key\n"
    "\n"
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

/* "22:00-06:30" */
static bool take_quiet_hours(const char *text, unit_settings *out) {
    unsigned from_h, from_m, to_h, to_m;
    int used = 0;
    if (sscanf(text, "%2u:%2u-%2u:%2u%n", &from_h, &from_m, &to_h, &to_m, &used) != 4 ||
        text[used] != '\0' || from_h > 23 || to_h > 23 || from_m > 59 || to_m > 59)
        return false;
    out->quiet_from_min = from_h * 60 + from_m;
    out->quiet_to_min = to_h * 60 + to_m;
    return true;
}

static bool take_seconds(const char *text, double *out) {
    char *end;
    if (text[0] < '0' || text[0] > '9') return false;
    double value = strtod(text, &end);
    if (*end || !(value <= 3600)) return false;
    *out = value;
    return true;
}

static bool take_record(const char *text, bool *captures_only) {
    *captures_only = strcmp(text, "campaigns") == 0;
    return *captures_only || strcmp(text, "all") == 0;
}

typedef struct unit_option {
    struct option option;
    const char *wants; /* told when take_option says no */
} unit_option;

enum {
    OPTION_UNIT = 'A', OPTION_BUS, OPTION_FACTORY, OPTION_DATA, OPTION_SPOOL, OPTION_RING,
    OPTION_RATE, OPTION_RECORD, OPTION_CHUNK, OPTION_QUIET, OPTION_CA, OPTION_CERT, OPTION_KEY,
    OPTION_ROOT, OPTION_HARDWARE,
    OPTION_HELP, OPTION_VERSION,
};

static const unit_option known_options[] = {
    {{"unit", required_argument, 0, OPTION_UNIT}, "--unit wants 0 to 65535"},
    {{"bus", required_argument, 0, OPTION_BUS}, ""},
    {{"factory", required_argument, 0, OPTION_FACTORY}, "--factory wants http://HOST:PORT"},
    {{"data", required_argument, 0, OPTION_DATA}, ""},
    {{"spool-max-bytes", required_argument, 0, OPTION_SPOOL},
     "--spool-max-bytes wants a number of at least 1048576"},
    {{"ring-max-bytes", required_argument, 0, OPTION_RING},
     "--ring-max-bytes wants a number of at least 1048576"},
    {{"upload-rate-bytes-per-s", required_argument, 0, OPTION_RATE},
     "--upload-rate-bytes-per-s wants a number, 0: no limit"},
    {{"record", required_argument, 0, OPTION_RECORD}, "--record wants all or campaigns"},
    {{"chunk-s", required_argument, 0, OPTION_CHUNK}, "--chunk-s wants 0 to 3600"},
    {{"quiet-hours", required_argument, 0, OPTION_QUIET}, "--quiet-hours wants HH:MM-HH:MM"},
    {{"tls-ca", required_argument, 0, OPTION_CA}, ""},
    {{"tls-cert", required_argument, 0, OPTION_CERT}, ""},
    {{"tls-key", required_argument, 0, OPTION_KEY}, ""},
    {{"root", required_argument, 0, OPTION_ROOT}, ""},
    {{"hardware", required_argument, 0, OPTION_HARDWARE}, "--hardware wants an id of at most 63 characters"},
    {{"help", no_argument, 0, OPTION_HELP}, ""},
    {{"version", no_argument, 0, OPTION_VERSION}, ""},
};
enum { OPTION_COUNT = sizeof known_options / sizeof *known_options };

/* False: the text is not what the option wants. */
static bool take_option(int option, const char *text, unit_settings *out) {
    uint64_t unit;
    switch (option) {
    case OPTION_UNIT:
        if (!number(text, 0, 65535, &unit)) return false;
        out->unit = (uint32_t)unit;
        return true;
    case OPTION_BUS: out->bus = text; return true;
    case OPTION_FACTORY: return take_url(text, out->factory, sizeof out->factory);
    case OPTION_DATA: out->data = text; return true;
    case OPTION_SPOOL: return number(text, 1 << 20, UINT64_MAX / 2, &out->spool_max_bytes);
    case OPTION_RING: return number(text, 1 << 20, UINT64_MAX / 2, &out->ring_max_bytes);
    case OPTION_RATE: return number(text, 0, UINT64_MAX / 2, &out->upload_rate_bytes_per_s);
    case OPTION_RECORD: return take_record(text, &out->captures_only);
    case OPTION_CHUNK: return take_seconds(text, &out->chunk_s);
    case OPTION_QUIET: return take_quiet_hours(text, out);
    case OPTION_CA: out->http.ca_path = text; return true;
    case OPTION_CERT: out->http.cert_path = text; return true;
    case OPTION_KEY: out->http.key_path = text; return true;
    case OPTION_ROOT: out->root = text; return true;
    case OPTION_HARDWARE: out->hardware = text; return text[0] && strlen(text) < FW_HARDWARE_ID_MAX;
    default: return false;
    }
}

/* What the options leave open, and what they must not. -1: go on; else the exit code. */
static int complete_options(unit_settings *out) {
    if (out->unit == UINT32_MAX || !out->bus || !out->factory[0] || !out->data)
        return misused("--unit, --bus, --factory and --data are needed");
    if (!out->http.cert_path != !out->http.key_path)
        return misused("--tls-cert and --tls-key go together");
    if (out->chunk_s < 0) out->chunk_s = out->captures_only ? 2 : 0;
    if (!out->captures_only) out->ring_max_bytes = 0;
    return -1;
}

/* -1: go on; else the exit code. */
static int take_options(int argc, char **argv, unit_settings *out) {
    struct option options[OPTION_COUNT + 1] = {0};
    for (int i = 0; i < OPTION_COUNT; i++) options[i] = known_options[i].option;
    *out = (unit_settings){.unit = UINT32_MAX, .spool_max_bytes = 256u << 20,
                           .ring_max_bytes = 64u << 20, .chunk_s = -1};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == OPTION_HELP || option == OPTION_VERSION) {
            fputs(option == OPTION_HELP ? usage : "flywheel-unit " FW_VERSION "\n", stdout);
            return 0;
        }
        if (option < OPTION_UNIT || option > OPTION_VERSION) return 2; /* getopt has spoken */
        if (!take_option(option, optarg, out))
            return misused(known_options[option - OPTION_UNIT].wants);
    }
    if (optind < argc) return misused("there are words too many");
    return complete_options(out);
}

/* ---- the two children ---- */

static int tick_main(const unit_settings *settings, fw_unit_shared *shared) {
    fw_unit_tick_config config = {.unit = settings->unit, .bus_path = settings->bus,
                                  .captures_only = settings->captures_only,
                                  .chunk_ns = (int64_t)(settings->chunk_s * 1e9)};
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
                                     .load = fw_unit_tick_load, .signals = &fw_drive_signals,
                                     .upload_rate_bytes_per_s = settings->upload_rate_bytes_per_s,
                                     .quiet_from_min = settings->quiet_from_min,
                                     .quiet_to_min = settings->quiet_to_min,
                                     .root_path = settings->root, .hardware_id = settings->hardware,
                                     .http = &settings->http};
    fw_unit_spool_config spool = {.env = fw_env_real(), .data_folder = settings->data,
                                  .max_bytes = settings->spool_max_bytes,
                                  .ring_max_bytes = settings->ring_max_bytes,
                                  .unit = settings->unit, .salvage = fw_unit_tick_salvage};
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

/* A decision that does not end is ended from outside; then it counts as a crash of its model (tick/watch.h). */
static void end_a_hanging_tick(const child *tick, const unit_settings *settings, fw_unit_shared *shared) {
    int64_t since_ns = atomic_load(&shared->deciding_since_ns);
    if (tick->pid == 0 || since_ns == 0 || now_ns() - since_ns < (int64_t)HANG_MS * 1000000) return;
    fw_log_error("unit %u: a decision takes over %d ms; ending the tick", settings->unit, HANG_MS);
    atomic_store(&shared->deciding_since_ns, 0);
    kill(tick->pid, SIGKILL);
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
        end_a_hanging_tick(&children[0], settings, shared);
    }
    atomic_store(&shared->stop, true);
    fw_unit_wake(shared->net_wake);
    fw_unit_wake(shared->upload_wake);
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
