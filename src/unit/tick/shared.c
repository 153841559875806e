#include "unit/shared.h"

#include <sys/eventfd.h>
#include <sys/mman.h>

fw_status fw_unit_shared_make(fw_unit_shared **out, fw_error *error) {
    fw_unit_shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return fw_fail_errno(error, "unit: no %zu bytes of shared memory", sizeof *shared);
    shared->ring_wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    shared->net_wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (shared->ring_wake < 0 || shared->net_wake < 0) {
        fw_status status = fw_fail_errno(error, "unit: no eventfd");
        fw_unit_shared_free(shared);
        return status;
    }
    *out = shared;
    return FW_OK;
}

void fw_unit_shared_free(fw_unit_shared *shared) {
    if (!shared) return;
    if (shared->ring_wake >= 0) close(shared->ring_wake);
    if (shared->net_wake >= 0) close(shared->net_wake);
    munmap(shared, sizeof *shared);
}
