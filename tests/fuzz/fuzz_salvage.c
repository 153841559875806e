/* A cut recording of a driving unit, as the courier finds it after a power cut: whatever it holds, what is
 * saved of it is a valid file of at least two ticks. */
/* links: fw_driving_act */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lines/driving/act/salvage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

enum { OUT_MAX = 4 << 20, IN_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    static uint8_t out[OUT_MAX];
    fw_mcap_memory memory = {.bytes = out, .capacity_bytes = sizeof out};
    fw_drive_salvaged saved;
    char path[64];
    fw_error error;
    int fd = memfd_create("part", MFD_CLOEXEC);
    if (fd < 0 || size_bytes > IN_MAX) abort();
    if (write(fd, data, size_bytes) != (ssize_t)size_bytes) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fw_drive_salvage(path, fw_mcap_memory_sink(&memory), "7", "bump", 5, &saved, &error) == FW_OK) {
        FW_ASSERT(saved.what.ticks >= 2 && saved.size_bytes == memory.size_bytes);
        FW_ASSERT(fw_mcap_validate_bytes(NULL, out, memory.size_bytes, NULL, &error) == FW_OK);
    }
    close(fd);
    return 0;
}
