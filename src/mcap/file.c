#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mcap/mcap.h"

fw_status fw_mcap_file_map(const char *path, fw_mcap_file *out, fw_error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fw_fail_errno(error, "mcap: cannot open %s", path);
    struct stat st;
    fw_status status = FW_OK;
    fw_mcap_file file = {.bytes = (const uint8_t *)"", .size_bytes = 0};
    if (fstat(fd, &st) != 0)
        status = fw_fail_errno(error, "mcap: cannot stat %s", path);
    else if (!S_ISREG(st.st_mode))
        status = fw_fail(error, FW_INVALID, "%s is not a file", path);
    else if (st.st_size > 0) {
        void *mapped = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (mapped == MAP_FAILED)
            status = fw_fail_errno(error, "mcap: cannot map %s", path);
        else
            file = (fw_mcap_file){.bytes = mapped, .size_bytes = (size_t)st.st_size};
    }
    close(fd);
    if (status == FW_OK) *out = file;
    return status;
}

void fw_mcap_file_unmap(fw_mcap_file *file) {
    if (file->size_bytes > 0) (void)munmap((void *)(uintptr_t)file->bytes, file->size_bytes);
    *file = (fw_mcap_file){0};
}
