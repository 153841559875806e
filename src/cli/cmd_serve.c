/* flywheel serve: the factory as a process. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/args.h"
#include "base/confine.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "factory/factory.h"

enum { TICK_MS = 100, COMPLAIN_EVERY_S = 10, CONNECTIONS_MAX = 256, IDLE_TIMEOUT_S = 60 };

static const char help_text[] =
    "usage: flywheel serve --data DIR [OPTIONS]\n\n"
    "Runs the factory until SIGINT or SIGTERM: takes uploads, trains, gates, hands out models.\n\n"
    "  --data DIR                where everything is kept; made when it is not there\n"
    "  --listen ADDRESS:PORT     default 127.0.0.1:8080; port 0 takes a free one\n"
    "  --disk-cap-bytes N        objects over this expire, oldest without events first\n"
    "                            (default 4294967296)\n"
    "  --threads N               threads of a training job, 1 to 16 (default: all cores)\n\n"
    "The factory and its jobs confine themselves to DIR (Landlock): they cannot open an\n"
    "examiner's store elsewhere.\n";

typedef struct options {
    const char *data, *listen;
    uint64_t disk_cap_bytes, threads;
    bool help;
} options;

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
                            {"--help", FW_ARG_FLAG, &o->help, 0, 0}};
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
    FW_TRY(fw_folder_make(wanted, 0755, error));
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

static fw_status serve(const options *o, fw_error *error) {
    char data[PATH_MAX], program[FW_PATH_MAX], folder[FW_PATH_MAX], address[64];
    fw_http_config http = {.address = address,
                           .body_max_bytes = FW_FACTORY_BODY_MAX_BYTES,
                           .connections_max = CONNECTIONS_MAX,
                           .idle_timeout_s = IDLE_TIMEOUT_S};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* every thread inherits it */
    FW_TRY(parse_listen(o->listen, address, &http.port, error));
    FW_TRY(find_program(program, folder, error));
    FW_TRY(prepare_data(o->data, data, error));
    fw_status confined = fw_confine_to(data, folder, error);
    if (confined == FW_UNSUPPORTED)
        fw_log_warn("%s: the factory could open an examiner's store on this machine", error->text);
    else if (confined != FW_OK)
        return confined;
    fw_factory_config config = {.data_folder = data,
                                .program = program,
                                .env = fw_env_real(),
                                .line = &fw_line_driving,
                                .launcher = fw_launcher_processes(),
                                .disk_cap_bytes = o->disk_cap_bytes,
                                .threads = (unsigned)o->threads,
                                .confined = confined == FW_OK};
    fw_factory *factory;
    fw_http_server *server;
    FW_TRY(fw_factory_open(&config, &factory, error));
    fw_http_app app = fw_factory_app(factory);
    fw_status status = fw_http_server_start(&http, &app, &server, error);
    if (status == FW_OK) {
        bool v6 = strchr(address, ':') != NULL;
        fprintf(stderr, "flywheel: serving http://%s%s%s:%u, data in %s\n", v6 ? "[" : "", address,
                v6 ? "]" : "", fw_http_server_port(server), data);
        run_until_signal(factory, &signals);
        fw_http_server_stop(server);
    }
    fw_factory_close(factory);
    return status;
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
