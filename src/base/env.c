#include "base/env.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t real_wall_ns(void *self) { (void)self; return clock_ns(CLOCK_REALTIME); }
/* Goes on while the machine is suspended: a unit says by it how long ago it recorded something. */
static int64_t real_mono_ns(void *self) { (void)self; return clock_ns(CLOCK_BOOTTIME); }

static void real_sleep_ns(void *self, int64_t ns) {
    (void)self;
    struct timespec wait = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    nanosleep(&wait, NULL);
}

static ssize_t real_write(void *self, int fd, const void *bytes, size_t size_bytes) {
    (void)self;
    return write(fd, bytes, size_bytes);
}

static int real_fdatasync(void *self, int fd) { (void)self; return fdatasync(fd); }

static int real_rename(void *self, const char *from, const char *to) {
    (void)self;
    return rename(from, to);
}

bool fw_env_random(const fw_env *env, void *bytes, size_t size_bytes) {
    if (env->random) return env->random(env->self, bytes, size_bytes);
    for (size_t at = 0; at < size_bytes;) {
        ssize_t got = getrandom((char *)bytes + at, size_bytes - at, 0);
        if (got < 0) return false;
        at += (size_t)got;
    }
    return true;
}

const fw_env *fw_env_real(void) {
    static const fw_env real = {
        .wall_ns = real_wall_ns,
        .mono_ns = real_mono_ns,
        .sleep_ns = real_sleep_ns,
        .write = real_write,
        .fdatasync = real_fdatasync,
        .rename = real_rename,
    };
    return &real;
}
