#include "unit/shared.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>

const char *fw_unit_loss_name(fw_unit_loss loss) {
    static const char *const names[] = {
#define X(name, text) text,
        FW_UNIT_LOSSES(X)
#undef X
    };
    FW_ASSERT((int)loss >= 0 && loss < FW_UNIT_LOSS_COUNT);
    return names[loss];
}

const char *fw_unit_refusal_name(uint32_t why) {
    static const char *const names[] = {
        "",
#define X(name, text) text,
        FW_UNIT_REFUSALS(X)
#undef X
    };
    return why < FW_UNIT_REFUSAL_COUNT ? names[why] : "";
}

/* 32 hexadecimal digits nobody had before. */
static void make_id(char out[FW_UNIT_BOOT_MAX]) {
    uint8_t bytes[16] = {0};
    ssize_t got = getrandom(bytes, sizeof bytes, 0);
    (void)got;
    for (int i = 0; i < 16; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* The machine's boot, in 0-9 a-z and "-"; where it has none, this start. */
static void read_boot(fw_unit_shared *shared) {
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, shared->boot, 36) : 0;
    if (fd >= 0) close(fd);
    if (got == 36 && strspn(shared->boot, "0123456789abcdef-") == 36) return;
    memcpy(shared->boot, shared->start, sizeof shared->boot);
}

fw_status fw_unit_shared_make(fw_unit_shared **out, fw_error *error) {
    fw_unit_shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return fw_fail_errno(error, "unit: no %zu bytes of shared memory", sizeof *shared);
    shared->ring_wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    shared->net_wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    shared->upload_wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (shared->ring_wake < 0 || shared->net_wake < 0 || shared->upload_wake < 0) {
        fw_status status = fw_fail_errno(error, "unit: no eventfd");
        fw_unit_shared_free(shared);
        return status;
    }
    make_id(shared->start);
    for (int i = 0; i < 4; i++)
        memcpy(shared->records_boot[i], shared->start, sizeof shared->start);
    read_boot(shared);
    *out = shared;
    return FW_OK;
}

void fw_unit_shared_free(fw_unit_shared *shared) {
    if (!shared) return;
    if (shared->ring_wake >= 0) close(shared->ring_wake);
    if (shared->net_wake >= 0) close(shared->net_wake);
    if (shared->upload_wake >= 0) close(shared->upload_wake);
    munmap(shared, sizeof *shared);
}
