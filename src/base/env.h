/* env.h - everything outside the program that decides something: clock, random, disk.
 *
 * Code that decides takes a `const fw_env *` and never calls clock_gettime, write, fdatasync or
 * rename itself, so that a test can make time jump, tear a write or fail an fsync. fw_env_real()
 * is the machine. The network comes through src/http (server: pure functions; client: fw_http_client).
 */
#ifndef FW_BASE_ENV_H
#define FW_BASE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct fw_env {
    void *self;                              /* passed back to every call; owned by the maker */
    int64_t (*wall_ns)(void *self);          /* since 1970, may jump */
    int64_t (*mono_ns)(void *self);          /* never goes back, counts suspension */
    void (*sleep_ns)(void *self, int64_t ns);
    ssize_t (*write)(void *self, int fd, const void *bytes, size_t size_bytes);
    int (*fdatasync)(void *self, int fd);    /* also used on folders */
    int (*rename)(void *self, const char *from, const char *to);
    /* Bytes nobody can guess, all of them or false. NULL: the machine's, as in fw_env_real. */
    bool (*random)(void *self, void *bytes, size_t size_bytes);
} fw_env;

const fw_env *fw_env_real(void);

static inline int64_t fw_env_wall_ns(const fw_env *env) { return env->wall_ns(env->self); }
static inline int64_t fw_env_mono_ns(const fw_env *env) { return env->mono_ns(env->self); }
static inline void fw_env_sleep_ns(const fw_env *env, int64_t ns) { env->sleep_ns(env->self, ns); }
bool fw_env_random(const fw_env *env, void *bytes, size_t size_bytes);

#endif
