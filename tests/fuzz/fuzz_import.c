/* The importers of text: the first byte chooses the format; a 0xff byte splits source and mapping. */
/* links: fw_import */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "import/dbc.h"
#include "import/import.h"
#include "import/npy.h"

static char folder[] = "/tmp/fw_fuzz_import_XXXXXX";

/* Bytes as a file that lives in memory. */
static int file_of(const void *bytes, size_t size, char path[64]) {
    int fd = memfd_create("fuzz", 0);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size) abort();
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void run(const char *format, const uint8_t *data, size_t size) {
    const uint8_t *split = memchr(data, 0xff, size);
    size_t first = split ? (size_t)(split - data) : size;
    char source[64], mapping[64];
    int a = file_of(data, first, source);
    int b = split ? file_of(split + 1, size - first - 1, mapping) : -1;
    fw_import_request request = {.source = source, .mapping = b >= 0 ? mapping : NULL,
                                 .unit = "7", .line = "driving", .folder = folder,
                                 .channels_max = 256};
    fw_import_result made = {0};
    fw_error error;
    if (fw_import(format, &request, &made, &error) == FW_OK) {
        for (uint32_t i = 0; i < made.count; i++) unlink(made.files[i].path);
        fw_import_result_clear(&made);
    }
    close(a);
    if (b >= 0) close(b);
}

static void run_array(const uint8_t *data, size_t size) {
    fw_npy array;
    fw_error error;
    char *copy = malloc(size + 1);
    if (!copy) abort();
    memcpy(copy, data, size);
    if (fw_npy_parse(copy, size, "fuzz", &array, &error) != FW_OK) {
        free(copy);
        return;
    }
    double sum = 0;
    for (size_t row = 0; array.kind != 'S' && row < array.rows && row < 1000; row++)
        for (size_t column = 0; column < array.columns; column++)
            sum += fw_npy_number(&array, row, column);
    (void)sum;
    fw_npy_clear(&array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int made;
    if (!made++ && !mkdtemp(folder)) abort();
    if (size == 0 || size > 1 << 16) return 0;
    switch (data[0] % 4) {
    case 0: run("candump", data + 1, size - 1); break;
    case 1: run("csv", data + 1, size - 1); break;
    case 2: run("commonroad", data + 1, size - 1); break;
    default: run_array(data + 1, size - 1);
    }
    return 0;
}
