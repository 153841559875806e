#include "cli/cli.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

typedef struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} command;

static const command commands[] = {
#define X(name, summary) {#name, summary, fw_cmd_##name},
    FW_COMMANDS(X)
#undef X
        {"job", NULL, fw_cmd_job},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

int fw_cli_fail(const fw_error *error) {
    fputs("flywheel: ", stderr);
    for (const char *c = error->text; *c; c++) /* a server's text must not steer the terminal */
        fputc((unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c, stderr);
    fputc('\n', stderr);
    return FW_CLI_FAILED;
}

int fw_cli_usage(const char *name, const fw_error *error) {
    fprintf(stderr, "flywheel %s: %s; see flywheel %s --help\n", name, error->text, name);
    return FW_CLI_USAGE;
}

static bool listed(const char *const *list, const char *name) {
    for (; *list; list++)
        if (strcmp(*list, name) == 0) return true;
    return false;
}

bool fw_cli_asks_help(int argc, char **argv, const char *help) {
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") != 0) continue;
        fputs(help, stdout);
        return true;
    }
    return false;
}

fw_status fw_cli_words(int *argc, char **argv, const char *const *flags, const char **words,
                       int max, int *count, fw_error *error) {
    int kept = 0, found = 0;
    for (int i = 0; i < *argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            bool has_value = !listed(flags, argv[i]) && i + 1 < *argc;
            argv[kept++] = argv[i];
            if (has_value) argv[kept++] = argv[++i];
        } else if (found < max) {
            words[found++] = argv[i];
        } else {
            return fw_fail(error, FW_INVALID, "one word too many: '%.60s'", argv[i]);
        }
    }
    *argc = kept;
    *count = found;
    return FW_OK;
}

int fw_cmd_help(int argc, char **argv) {
    (void)argc, (void)argv;
    puts("usage: flywheel COMMAND [OPTIONS]\n\n"
         "An AI factory: units live and record, the factory learns, every unit gets better.\n\n"
         "Commands (flywheel COMMAND --help says more):");
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (commands[i].summary) printf("  %-12s %s\n", commands[i].name, commands[i].summary);
    puts("\nStart with: flywheel demo --data data");
    return FW_CLI_DONE;
}

int fw_cmd_version(int argc, char **argv) {
    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        puts("usage: flywheel version\n\nPrints the version.");
        return FW_CLI_DONE;
    }
    if (argc > 0) return fw_cli_usage("version", &(fw_error){"takes no arguments"});
    puts("flywheel " FW_VERSION);
    return FW_CLI_DONE;
}

int fw_cli_main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file over the limit is a failed write, which cleans up */
    fw_log_start("flywheel");
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0) name = "version";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) != 0) continue;
        int exit_status = commands[i].run(argc - 2, argv + 2);
        if (fflush(stdout) != 0 && exit_status == FW_CLI_DONE) {
            fprintf(stderr, "flywheel: cannot write to stdout\n");
            return FW_CLI_FAILED;
        }
        return exit_status;
    }
    if (*name)
        fprintf(stderr, "flywheel: no command '%.40s'; see flywheel help\n", name);
    else
        fprintf(stderr, "flywheel: which command? see flywheel help\n");
    return FW_CLI_USAGE;
}

fw_status fw_cli_check_place(const char *path, fw_error *error) {
    char folder[FW_PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    if (access(folder, W_OK) != 0) return fw_fail_errno(error, "cannot write %s", path);
    struct stat about;
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode))
        return fw_fail(error, FW_INVALID, "cannot write %s: it is there and is not a plain file", path);
    return FW_OK;
}
