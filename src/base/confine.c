#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than Debian 12's header: https://docs.kernel.org/userspace-api/landlock.html */
#define ACCESS_TRUNCATE (1ULL << 14)

#define READ_FILE (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE)
#define READ_ALL (READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FIRST_ALL                                                                                  \
    (READ_ALL | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                    \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

int fw_confine_version(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? (int)version : 0;
}

/* Every right this kernel can take away. */
static uint64_t all_rights(void) {
    int version = fw_confine_version();
    uint64_t rights = FIRST_ALL;
    if (version >= 2) rights |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3) rights |= ACCESS_TRUNCATE;
    return rights;
}

static fw_status allow(int ruleset, const char *path, uint64_t rights, fw_error *error) {
    struct stat info;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) return FW_OK;
    if (fstat(fd, &info) == 0 && !S_ISDIR(info.st_mode))
        rights &= READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights & all_rights(),
                                              .parent_fd = fd};
    fw_status status = FW_OK;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        status = fw_fail_errno(error, "cannot allow %s", path);
    close(fd);
    return status;
}

fw_status fw_confine(const char *const *write_folders, const char *const *read_folders,
                     fw_error *error) {
    if (fw_confine_version() == 0)
        return fw_fail(error, FW_UNSUPPORTED, "this kernel has no Landlock (Linux 5.13, enabled)");
    struct landlock_ruleset_attr attr = {.handled_access_fs = all_rights()};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (ruleset < 0) return fw_fail_errno(error, "cannot make a Landlock ruleset");
    fw_status status = FW_OK;
    for (; *write_folders && status == FW_OK; write_folders++)
        status = allow(ruleset, *write_folders, all_rights(), error);
    for (; *read_folders && status == FW_OK; read_folders++)
        status = allow(ruleset, *read_folders, READ_ALL, error);
    if (status == FW_OK && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                            syscall(SYS_landlock_restrict_self, ruleset, 0) != 0))
        status = fw_fail_errno(error, "cannot confine this process");
    close(ruleset);
    return status;
}

/* What any program needs to read; fw_confine_to adds the program's own folder. */
static const char *const system_reads[] = {"/usr",         "/lib",
                                           "/lib64",       "/bin",
                                           "/etc",         "/proc",
                                           "/dev/urandom", "/dev/random",
                                           "/sys/devices/system", "/sys/fs/cgroup"};
enum { SYSTEM_READS = sizeof system_reads / sizeof system_reads[0] };

fw_status fw_confine_files(const char *const *writes, const char *const *reads, fw_error *error) {
    size_t count = 0;
    while (reads[count]) count++;
    const char **all = calloc(SYSTEM_READS + count + 1, sizeof *all);
    if (!all) return fw_fail(error, FW_NO_MEMORY, "no memory for what may be read");
    for (size_t i = 0; i < SYSTEM_READS; i++) all[i] = system_reads[i];
    for (size_t i = 0; i < count; i++) all[SYSTEM_READS + i] = reads[i];
    fw_status status = fw_confine(writes, all, error);
    free(all);
    return status;
}

fw_status fw_confine_to(const char *data_folder, const char *program_folder, fw_error *error) {
    const char *const writes[] = {data_folder, "/dev/null", NULL}, *const reads[] = {program_folder, NULL};
    return fw_confine_files(writes, reads, error);
}

/* ---- the network ---- */

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#define OWN_ARCH 0 /* no other's calls are known here: everything would be refused */
#endif
#define CALLS_OF_X32 0x40000000u /* x86-64's second table of the same calls */
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define REFUSE_IF(test, value) BPF_JUMP(BPF_JMP | (test) | BPF_K, (value), 0, 1), REFUSE
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES)

fw_status fw_confine_offline(fw_error *error) {
    struct sock_filter rules[] = {LOAD(arch),
                                  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0),
                                  REFUSE,
                                  LOAD(nr),
                                  REFUSE_IF(BPF_JGE, CALLS_OF_X32),
                                  REFUSE_IF(BPF_JEQ, SYS_socket),
                                  REFUSE_IF(BPF_JEQ, SYS_io_uring_setup),
                                  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const struct sock_fprog program = {.len = sizeof rules / sizeof *rules, .filter = rules};
    if (OWN_ARCH != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
        return FW_OK;
    return fw_fail(error, FW_UNSUPPORTED, "this kernel cannot take the network away (seccomp filters)");
}

/* ---- what stays open ---- */

/* True when `path`, a real one, is `folder` or lies in it. */
static bool lies_in(const char *path, const char *folder) {
    char real[PATH_MAX];
    if (realpath(folder, real) == NULL) return false; /* not there: it opens nothing */
    size_t size = strlen(real);
    if (size == 1) return true; /* "/" */
    return strncmp(path, real, size) == 0 && (path[size] == 0 || path[size] == '/');
}

fw_status fw_confine_reaches(const char *data_folder, const char *program_folder, const char *path,
                             bool *out, fw_error *error) {
    char real[PATH_MAX];
    if (realpath(path, real) == NULL) return fw_fail_errno(error, "cannot open %s", path);
    bool reaches = lies_in(real, data_folder) || lies_in(real, program_folder);
    for (size_t i = 0; i < SYSTEM_READS; i++) reaches = reaches || lies_in(real, system_reads[i]);
    *out = reaches;
    return FW_OK;
}
