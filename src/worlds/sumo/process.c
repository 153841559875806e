/* process.c - starting SUMO (process.h). */
#include "worlds/sumo/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "worlds/sumo/world.h"

#define SCENARIOS "/usr/share/sumo/tools/sumolib/scenario/scenarios/RealWorld"
enum { PORT_TRIES = 5, CONNECT_TRIES = 3000, CONNECT_WAIT_NS = 20 * 1000 * 1000 };

static fw_status folder_of(const char *network, char *out, size_t out_size, fw_error *error) {
    if (strcmp(network, "acosta") != 0 && strcmp(network, "pasubio") != 0)
        return fw_fail(error, FW_INVALID, "network \"%.40s\" is unknown: acosta or pasubio",
                       network);
    const char *base = getenv("FLYWHEEL_SUMO_SCENARIOS");
    if (!base || !*base) base = SCENARIOS;
    if (strlen(base) + strlen(network) + 32 > out_size)
        return fw_fail(error, FW_TOO_BIG, "FLYWHEEL_SUMO_SCENARIOS is too long");
    fw_path_join(out, out_size, base, network);
    return FW_OK;
}

fw_status fw_city_net_path(const char *network, char *out, size_t out_size, fw_error *error) {
    char folder[FW_PATH_MAX - 64];
    FW_TRY(folder_of(network, folder, sizeof folder, error));
    (void)snprintf(out, out_size, "%s/%s_buslanes.net.xml", folder, network);
    if (!fw_file_exists(out))
        return fw_fail(error, FW_NOT_FOUND,
                       "%s is not there: install sumo-tools (apt-get install sumo sumo-tools) or "
                       "set FLYWHEEL_SUMO_SCENARIOS",
                       out);
    return FW_OK;
}

static fw_status check_program(fw_error *error) {
    const char *path = getenv("PATH");
    char candidate[FW_PATH_MAX];
    for (const char *at = path; at && *at;) {
        const size_t size = strcspn(at, ":");
        if (size + 8 < sizeof candidate) {
            (void)snprintf(candidate, sizeof candidate, "%.*s/sumo", (int)size, at);
            if (access(candidate, X_OK) == 0) return FW_OK;
        }
        at += size + (at[size] == ':');
    }
    return fw_fail(error, FW_NOT_FOUND, "sumo is not on PATH: apt-get install sumo sumo-tools");
}

/* Hashes one file, by its name and its bytes, into sum. */
static fw_status add_file(fw_sha256 *sum, const char *folder, const char *name, fw_error *error) {
    char path[FW_PATH_MAX * 2];
    fw_hash hash;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FW_TRY(fw_hash_file(path, &hash, error));
    fw_sha256_add(sum, name, strlen(name) + 1);
    fw_sha256_add(sum, hash.hex, sizeof hash.hex);
    return FW_OK;
}

static bool holds_sumo(const char *folder) {
    char path[FW_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/sumo", folder);
    return access(path, X_OK) == 0;
}

/* SUMO's binary, as execvp finds it. */
static fw_status add_sumo(fw_sha256 *sum, fw_error *error) {
    char list[4096];
    const char *search = getenv("PATH");
    (void)snprintf(list, sizeof list, "%s", search ? search : "/usr/bin");
    char *rest = NULL;
    for (char *one = strtok_r(list, ":", &rest); one; one = strtok_r(NULL, ":", &rest))
        if (holds_sumo(one)) return add_file(sum, one, "sumo", error);
    return fw_fail(error, FW_NOT_FOUND, "no sumo on PATH: apt-get install sumo sumo-tools");
}

fw_status fw_world_fingerprint(const char *network, fw_hash *out, fw_error *error) {
    static const char *const parts[] = {"%s_buslanes.net.xml", "%s.rou.xml", "%s_busses.add.xml",
                                        "%s_vtypes.add.xml", "%s_bus_stops.add.xml",
                                        "%s_tls.add.xml"};
    char folder[FW_PATH_MAX - 64], name[128];
    FW_TRY(folder_of(network, folder, sizeof folder, error));
    fw_sha256 *sum = fw_sha256_begin();
    fw_status status = add_sumo(sum, error);
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == FW_OK; i++) {
        (void)snprintf(name, sizeof name, parts[i], network);
        status = add_file(sum, folder, name, error);
    }
    fw_hash hash = fw_sha256_end(sum);
    if (status == FW_OK) *out = hash;
    return status;
}

/* A port that was free a moment ago; if another takes it, SUMO fails and we try again. */
static fw_status free_port(uint16_t *port, fw_error *error) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0) {
        const fw_status status = fw_fail_errno(error, "a free TCP port for SUMO");
        if (fd >= 0) close(fd);
        return status;
    }
    close(fd);
    *port = ntohs(at.sin_port);
    return FW_OK;
}

typedef struct arguments {
    char net[64], routes[160], additional[240], begin[16], seed[16], port[16], scale[32];
    const char *list[48];
} arguments;

/* acosta's own signal programs load; pasubio's do not, its net file's are used. */
static void fill_arguments(const fw_city_config *config, uint16_t port, arguments *a) {
    const char *n = config->network;
    (void)snprintf(a->net, sizeof a->net, "%s_buslanes.net.xml", n);
    (void)snprintf(a->routes, sizeof a->routes, "%s.rou.xml,%s_busses.add.xml", n, n);
    (void)snprintf(a->additional, sizeof a->additional, "%s_vtypes.add.xml,%s_bus_stops.add.xml%s",
                   n, n, strcmp(n, "acosta") == 0 ? ",acosta_tls.add.xml" : "");
    (void)snprintf(a->begin, sizeof a->begin, "%u", config->begin_s);
    (void)snprintf(a->seed, sizeof a->seed, "%u", config->seed);
    (void)snprintf(a->port, sizeof a->port, "%u", port);
    (void)snprintf(a->scale, sizeof a->scale, "%g", config->demand);
    const char *list[] = {"sumo",
                          "-n",
                          a->net,
                          "-r",
                          a->routes,
                          "-a",
                          a->additional,
                          "--begin",
                          a->begin,
                          "--seed",
                          a->seed,
                          "--remote-port",
                          a->port,
                          "--scale",
                          a->scale,
                          "--route-steps", /* demand is scaled when it is loaded: not long before */
                          "10",
                          "--step-length",
                          "0.1",
                          "--xml-validation",
                          "never",
                          "--collision.action",
                          "none",
                          "--collision.check-junctions",
                          "--time-to-teleport",
                          "-1",
                          "--no-warnings",
                          "--no-step-log",
                          "--duration-log.disable",
                          NULL};
    _Static_assert(sizeof list <= sizeof a->list, "room for SUMO's arguments");
    memcpy(a->list, list, sizeof list);
}

static void become_sumo(const char *folder, const arguments *a, int talk, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    const int nothing = open("/dev/null", O_RDWR);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(nothing, 1) < 0 || dup2(talk, 2) < 0 ||
        chdir(folder) != 0)
        _exit(127);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    char *list[48];
    memcpy(list, a->list, sizeof list); /* execvp wants it writable, and does not write */
    (void)execvp("sumo", list);
    _exit(127);
}

void fw_sumo_last_words(int talk, char *out, size_t out_size) {
    char text[512] = "";
    const off_t size = lseek(talk, 0, SEEK_END);
    const off_t from = size > 500 ? size - 500 : 0;
    const ssize_t got = pread(talk, text, sizeof text - 1, from);
    text[got > 0 ? got : 0] = '\0';
    for (char *at = text; *at; at++)
        if (*at == '\n' || *at == '\r') *at = ' ';
    (void)snprintf(out, out_size, "%.*s", (int)out_size - 1, text);
}

static fw_status connect_to(pid_t *pid, uint16_t port, int talk, fw_traci **traci,
                            fw_error *error) {
    for (int i = 0; i < CONNECT_TRIES; i++) {
        const fw_status status = fw_traci_connect(port, traci, error);
        if (status != FW_BUSY) return status;
        int how;
        if (waitpid(*pid, &how, WNOHANG) == *pid) {
            char words[200];
            fw_sumo_last_words(talk, words, sizeof words);
            *pid = -1;
            return fw_fail(error, FW_BUSY, "SUMO ended at its start: %s", words);
        }
        nanosleep(&(struct timespec){.tv_nsec = CONNECT_WAIT_NS}, NULL);
    }
    return fw_fail(error, FW_TIMEOUT, "SUMO does not answer on port %u", port);
}

static fw_status start_once(const fw_city_config *config, const char *folder, pid_t *pid, int *talk,
                            fw_traci **traci, fw_error *error) {
    uint16_t port = 0;
    arguments a;
    FW_TRY(free_port(&port, error));
    fill_arguments(config, port, &a);
    const int file = memfd_create("sumo-stderr", MFD_CLOEXEC);
    if (file < 0) return fw_fail_errno(error, "memory file for SUMO's messages");
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) become_sumo(folder, &a, file, parent);
    if (child < 0) {
        close(file);
        return fw_fail_errno(error, "starting SUMO");
    }
    *pid = child;
    const fw_status status = connect_to(pid, port, file, traci, error);
    if (status != FW_OK)
        fw_sumo_stop(*pid, file);
    else
        *talk = file;
    return status;
}

fw_status fw_sumo_start(const fw_city_config *config, pid_t *pid, int *talk, fw_traci **traci,
                        fw_error *error) {
    char folder[FW_PATH_MAX];
    FW_TRY(folder_of(config->network, folder, sizeof folder, error));
    FW_TRY(check_program(error));
    fw_status status = FW_BUSY;
    for (int i = 0; i < PORT_TRIES && status == FW_BUSY; i++)
        status = start_once(config, folder, pid, talk, traci, error);
    return status;
}

void fw_sumo_stop(pid_t pid, int talk) {
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    }
    if (talk >= 0) close(talk);
}
