/* flywheel serve: the factory as a process. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/args.h"
#include "base/confine.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "factory/factory.h"

enum {
    TICK_MS = 100,
    COMPLAIN_EVERY_S = 10,
    CONNECTIONS_MAX = 2048,
    IDLE_TIMEOUT_S = 60,
    LIST_MAX = FW_IDENTITY_NAMES_MAX,
    FILES_WANTED = 16384, /* descriptors: connections, and an upload's file each */
    /* of one address or identity, when others than this machine may come */
    ADDRESS_CONNECTIONS_MAX = 512,
    REQUESTS_PER_S = 200,
    REQUESTS_BURST = 1000,
    PEM_MAX_BYTES = 1 << 16,
};

/* What pages named by --cors may read. */
static const char *const cors_paths[] = {"/v1/objects/", "/v1/slice", NULL};

static const char help_text[] =
    "usage: flywheel serve --data DIR [OPTIONS]\n\n"
    "Runs the factory until SIGINT or SIGTERM: takes uploads, trains, gates, hands out models.\n\n"
    "  --data DIR                where everything is kept; made when it is not there\n"
    "  --listen ADDRESS:PORT     default 127.0.0.1:8080; port 0 takes a free one\n"
    "  --disk-cap-bytes N        objects over this expire, oldest without events first\n"
    "                            (default 4294967296)\n"
    "  --tls                     HTTPS with the factory's own authority in DIR/identity: units "
    "show\n"
    "                            certificates (flywheel enroll), people tokens (flywheel token)\n"
    "  --tls-name NAME           a further host name or address of this machine; may be repeated\n"
    "  --insecure                plain HTTP on another address than loopback all the same: "
    "whoever\n"
    "                            reaches it may do everything\n"
    "  --cors ORIGIN             web pages from there may read objects, as\n"
    "                            https://app.foxglove.dev; may be repeated\n"
    "  --threads N               threads of a training job, 1 to 16 (default: all cores)\n\n"
    "The factory and its jobs confine themselves to DIR (Landlock): they cannot open an\n"
    "examiner's store elsewhere.\n";

typedef struct options {
    const char *data, *listen;
    uint64_t disk_cap_bytes, threads;
    bool help, tls, insecure;
    const char *tls_names[LIST_MAX + 1], *cors[LIST_MAX + 1]; /* NULL-terminated */
} options;

/* Moves "NAME VALUE" out of argv into list, as often as it stands there. */
static fw_status take_list(int *argc, char **argv, const char *name, const char **list,
                           fw_error *error) {
    int kept = 0, found = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], name) != 0 || i + 1 == *argc) {
            argv[kept++] = argv[i];
            continue;
        }
        const char *value = argv[++i];
        if (found == LIST_MAX || strlen(value) < 1 || strlen(value) > 100)
            return fw_fail(error, FW_INVALID, "%s: at most %d of them, of 1 to 100 bytes", name,
                           LIST_MAX);
        list[found++] = value;
    }
    *argc = kept;
    return FW_OK;
}

/* "https://name[:port]": what a browser sends as Origin, to the letter. */
static fw_status check_cors(const options *o, fw_error *error) {
    for (const char *const *c = o->cors; *c; c++) {
        const char *rest = strstr(*c, "://");
        bool http = strncmp(*c, "http://", 7) == 0 || strncmp(*c, "https://", 8) == 0;
        if (!http || !rest[3] || strpbrk(rest + 3, "/*?# "))
            return fw_fail(error, FW_INVALID,
                           "--cors takes an origin like https://app.foxglove.dev, not '%s'", *c);
    }
    return FW_OK;
}

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *o = (options){.listen = "127.0.0.1:8080",
                   .disk_cap_bytes = FW_FACTORY_DISK_CAP_BYTES,
                   .threads = cores < 1    ? 1
                              : cores > 16 ? 16
                                           : (uint64_t)cores};
    const fw_arg table[] = {{"--data", FW_ARG_TEXT, &o->data, 1, 250},
                            {"--listen", FW_ARG_TEXT, &o->listen, 3, 100},
                            {"--disk-cap-bytes", FW_ARG_U64, &o->disk_cap_bytes, 1, INT64_MAX},
                            {"--threads", FW_ARG_U64, &o->threads, 1, 16},
                            {"--tls", FW_ARG_FLAG, &o->tls, 0, 0},
                            {"--insecure", FW_ARG_FLAG, &o->insecure, 0, 0},
                            {"--help", FW_ARG_FLAG, &o->help, 0, 0}};
    FW_TRY(take_list(&argc, argv, "--tls-name", o->tls_names, error));
    FW_TRY(take_list(&argc, argv, "--cors", o->cors, error));
    FW_TRY(check_cors(o, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if (!o->data && !o->help) return fw_fail(error, FW_INVALID, "needs --data DIR");
    return FW_OK;
}

/* "127.0.0.1:8080", "[::1]:8080" */
static fw_status parse_listen(const char *text, char address[64], uint16_t *port, fw_error *error) {
    const char *colon = strrchr(text, ':');
    uint64_t number;
    size_t size = colon ? (size_t)(colon - text) : 0;
    if (!colon || size == 0 || size >= 64 || fw_parse_u64(colon + 1, &number, error) != FW_OK ||
        number > 65535)
        return fw_fail(error, FW_INVALID, "--listen takes ADDRESS:PORT, not '%s'", text);
    bool bracketed = text[0] == '[' && colon[-1] == ']';
    snprintf(address, 64, "%.*s", (int)(bracketed ? size - 2 : size), text + bracketed);
    *port = (uint16_t)number;
    return FW_OK;
}

/* The running program's path and folder. */
static fw_status find_program(char program[FW_PATH_MAX], char folder[FW_PATH_MAX],
                              fw_error *error) {
    ssize_t size = readlink("/proc/self/exe", program, FW_PATH_MAX - 1);
    if (size <= 0 || size >= FW_PATH_MAX - 1)
        return fw_fail_errno(error, "cannot read /proc/self/exe");
    program[size] = '\0';
    snprintf(folder, FW_PATH_MAX, "%s", program);
    char *slash = strrchr(folder, '/');
    if (slash) *slash = '\0';
    return FW_OK;
}

/* Makes the data folder and its own entry durable: after the fence its parent is closed to us. */
static fw_status prepare_data(const char *wanted, char data[PATH_MAX], fw_error *error) {
    char parent[PATH_MAX];
    FW_TRY(fw_folder_make(wanted, 0700, error)); /* recordings are nobody else's */
    if (!realpath(wanted, data)) return fw_fail_errno(error, "cannot open %s", wanted);
    snprintf(parent, sizeof parent, "%s", data);
    char *slash = strrchr(parent, '/');
    if (slash && slash > parent) *slash = '\0';
    fw_status synced = fw_folder_sync(fw_env_real(), parent, error);
    if (synced != FW_OK) fw_log_debug("%s", error->text); /* a parent that we may not read */
    if (access(data, R_OK | W_OK | X_OK) != 0)
        return fw_fail_errno(error, "cannot write in the data folder %s", data);
    return FW_OK;
}

/* Ticks until a signal asks to stop; a failing tick is told now and then and tried again. */
static void run_until_signal(fw_factory *factory, const sigset_t *signals) {
    const fw_env *env = fw_env_real();
    struct timespec wait = {.tv_nsec = TICK_MS * 1000000};
    int64_t told_ns = 0;
    while (sigtimedwait(signals, NULL, &wait) < 0) {
        fw_error error = {""};
        if (fw_factory_tick(factory, &error) == FW_OK) continue;
        int64_t now_ns = fw_env_mono_ns(env);
        if (told_ns && now_ns - told_ns < COMPLAIN_EVERY_S * 1000000000LL) continue;
        told_ns = now_ns;
        fw_log_error("%s (trying again)", error.text);
    }
}

/* ---- who may come ---- */

static bool is_loopback(const char *address) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static fw_status check_open(const options *o, const char *address, fw_error *error) {
    if (o->tls && o->insecure) return fw_fail(error, FW_INVALID, "either --tls or --insecure");
    if (o->tls || o->insecure || is_loopback(address)) return FW_OK;
    return fw_fail(error, FW_INVALID,
                   "listening on %s lets other machines in: give --tls (units show certificates, "
                   "people tokens), or --insecure to let everybody do everything",
                   address);
}

/* The addresses of this machine, for a server that listens on all of them. */
typedef struct names {
    char texts[LIST_MAX][INET6_ADDRSTRLEN];
    const char *all[2 * LIST_MAX + 2]; /* NULL-terminated */
    size_t count;
} names;

static void add_machine(names *n) {
    struct ifaddrs *first;
    size_t used = 0;
    if (getifaddrs(&first) != 0) return;
    for (const struct ifaddrs *i = first; i && used < LIST_MAX / 2; i = i->ifa_next) {
        if (!i->ifa_addr || (i->ifa_flags & IFF_LOOPBACK)) continue;
        bool v4 = i->ifa_addr->sa_family == AF_INET, v6 = i->ifa_addr->sa_family == AF_INET6;
        socklen_t size = v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        char *text = n->texts[used];
        if ((!v4 && !v6) ||
            getnameinfo(i->ifa_addr, size, text, INET6_ADDRSTRLEN, NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        text[strcspn(text, "%")] = '\0'; /* the zone of a link-local address */
        n->all[n->count++] = text;
        used++;
    }
    freeifaddrs(first);
}

static void collect_names(const options *o, const char *address, names *n) {
    *n = (names){.count = 0};
    bool all = strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
    if (all)
        add_machine(n);
    else
        n->all[n->count++] = address;
    for (size_t i = 0; o->tls_names[i] && n->count < LIST_MAX; i++)
        n->all[n->count++] = o->tls_names[i];
}

/* The three files as texts; owned by the caller, also after a failure. */
static fw_status load_tls(const options *o, const char *data, const char *address, char *pem[3],
                          fw_error *error) {
    names n;
    size_t size;
    fw_identity_server files;
    collect_names(o, address, &n);
    FW_TRY(fw_identity_serve(fw_env_real(), data, n.all, &files, error));
    FW_TRY(fw_file_read(files.ca_path, PEM_MAX_BYTES, &pem[0], &size, error));
    FW_TRY(fw_file_read(files.cert_path, PEM_MAX_BYTES, &pem[1], &size, error));
    return fw_file_read(files.key_path, PEM_MAX_BYTES, &pem[2], &size, error);
}

static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FILES_WANTED) return;
    limit.rlim_cur = limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fw_log_debug("the limit of open files stays");
}

/* ---- the process ---- */

static fw_status serve_with(const options *o, const fw_http_config *http,
                            const fw_factory_config *config, const sigset_t *signals,
                            fw_error *error) {
    fw_factory *factory;
    fw_http_server *server;
    FW_TRY(fw_factory_open(config, &factory, error));
    fw_http_app app = fw_factory_app(factory);
    fw_status status = fw_http_server_start(http, &app, &server, error);
    if (status == FW_OK) {
        bool v6 = strchr(http->address, ':') != NULL;
        fprintf(stderr, "flywheel: serving http%s://%s%s%s:%u, data in %s\n", http->tls ? "s" : "",
                v6 ? "[" : "", http->address, v6 ? "]" : "", fw_http_server_port(server),
                config->data_folder);
        if (o->insecure && !is_loopback(http->address))
            fw_log_warn("--insecure: whoever reaches %s may do everything", http->address);
        run_until_signal(factory, signals);
        fw_http_server_stop(server);
    }
    fw_factory_close(factory);
    return status;
}

/* Everything is read, and the fence is up. */
static fw_status serve_inside(const options *o, const char *data, const char *program,
                              const char *address, uint16_t port, bool confined,
                              const sigset_t *signals, fw_error *error) {
    char *pem[3] = {NULL};
    bool guests = o->tls || !is_loopback(address);
    fw_status status = o->tls ? load_tls(o, data, address, pem, error) : FW_OK;
    const fw_http_tls tls = {pem[0], pem[1], pem[2]};
    const fw_http_config http = {.address = address,
                                 .port = port,
                                 .body_max_bytes = FW_FACTORY_BODY_MAX_BYTES,
                                 .connections_max = CONNECTIONS_MAX,
                                 .idle_timeout_s = IDLE_TIMEOUT_S,
                                 .address_connections_max =
                                     guests && !is_loopback(address) ? ADDRESS_CONNECTIONS_MAX : 0,
                                 .requests_per_s = guests ? REQUESTS_PER_S : 0,
                                 .requests_burst = REQUESTS_BURST,
                                 .tls = o->tls ? &tls : NULL,
                                 .names = o->tls_names,
                                 .cors_origins = o->cors,
                                 .cors_paths = cors_paths};
    const fw_factory_config config = {.data_folder = data,
                                      .program = program,
                                      .env = fw_env_real(),
                                      .line = &fw_line_driving,
                                      .launcher = fw_launcher_processes(),
                                      .disk_cap_bytes = o->disk_cap_bytes,
                                      .threads = (unsigned)o->threads,
                                      .confined = confined};
    raise_file_limit();
    if (status == FW_OK) status = serve_with(o, &http, &config, signals, error);
    for (int i = 0; i < 3; i++) free(pem[i]);
    return status;
}

static fw_status serve(const options *o, fw_error *error) {
    char data[PATH_MAX], program[FW_PATH_MAX], folder[FW_PATH_MAX], address[64];
    uint16_t port = 0;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* every thread inherits it */
    FW_TRY(parse_listen(o->listen, address, &port, error));
    FW_TRY(check_open(o, address, error));
    FW_TRY(find_program(program, folder, error));
    FW_TRY(prepare_data(o->data, data, error));
    fw_status confined = fw_confine_to(data, folder, error);
    if (confined == FW_UNSUPPORTED)
        fw_log_warn("%s: the factory could open an examiner's store on this machine", error->text);
    else if (confined != FW_OK)
        return confined;
    return serve_inside(o, data, program, address, port, confined == FW_OK, &signals, error);
}

int fw_cmd_serve(int argc, char **argv) {
    options o;
    fw_error error = {""};
    if (read_options(argc, argv, &o, &error) != FW_OK) return fw_cli_usage("serve", &error);
    if (o.help) {
        fputs(help_text, stdout);
        return FW_CLI_DONE;
    }
    return serve(&o, &error) == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
