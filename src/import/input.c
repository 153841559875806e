#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "import/import.h"

enum { STEP = 1 << 20 };

/* gzread passes plain files through unchanged. */
static fw_status read_all(gzFile file, const char *path, char **bytes, size_t *size_bytes,
                          fw_error *error) {
    char *all = NULL;
    size_t size = 0, room = 0;
    for (;;) {
        if (size + STEP + 1 > room) {
            room = room ? 2 * room : 2 * STEP;
            char *grown = realloc(all, room);
            if (!grown) {
                free(all);
                return fw_fail(error, FW_NO_MEMORY, "no memory to read %s", path);
            }
            all = grown;
        }
        int got = gzread(file, all + size, STEP), code = Z_OK;
        if (got <= 0) (void)gzerror(file, &code);
        if (got == 0 && code == Z_OK) break;
        if (got <= 0 || size + (size_t)got > FW_IMPORT_SOURCE_MAX_BYTES) {
            int number = errno;
            free(all);
            errno = number;
            if (got > 0)
                return fw_fail(error, FW_TOO_BIG, "%s has more than %llu bytes", path,
                               FW_IMPORT_SOURCE_MAX_BYTES);
            if (code == Z_ERRNO) return fw_fail_errno(error, "cannot read %s", path);
            return fw_fail(error, FW_CORRUPT, "%s: gzip data is cut or broken", path);
        }
        size += (size_t)got;
    }
    all[size] = '\0';
    *bytes = all;
    *size_bytes = size;
    return FW_OK;
}

fw_status fw_import_read(fw_import_log *log, const char *path, char **bytes, size_t *size_bytes,
                         fw_error *error) {
    errno = 0;
    gzFile file = gzopen(path, "rb");
    if (!file)
        return errno ? fw_fail_errno(error, "cannot open %s", path)
                     : fw_fail(error, FW_NO_MEMORY, "no memory to open %s", path);
    fw_status status = read_all(file, path, bytes, size_bytes, error);
    gzclose(file);
    if (status == FW_OK && log) fw_import_log_source(log, *bytes, *size_bytes);
    return status;
}

bool fw_import_line(const char **at, const char *end, const char **line, size_t *size_bytes,
                    uint64_t *line_number) {
    if (*at == end) return false;
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    *line = *at;
    *size_bytes = (size_t)((stop ? stop : end) - *at);
    if (*size_bytes > 0 && (*line)[*size_bytes - 1] == '\r') --*size_bytes;
    *at = stop ? stop + 1 : end;
    ++*line_number;
    return true;
}
