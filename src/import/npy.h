/* npy.h - private: one array of NumPy's .npy format, versions 1 to 3 (numpy.lib.format): doubles,
 * 64-bit integers, booleans and fixed byte strings, in either order, of one or two dimensions. */
#ifndef FW_IMPORT_NPY_H
#define FW_IMPORT_NPY_H

#include "import/import.h"

typedef struct fw_npy {
    char *file; /* owned */
    const uint8_t *data;
    char kind;           /* 'f', 'i', 'u', 'b', 'S' */
    uint32_t item_bytes; /* of one item */
    size_t rows, columns;
    bool by_column; /* Fortran's order */
} fw_npy;

/* FW_CORRUPT with what is wrong; FW_UNSUPPORTED for other types and big-endian ones. */
fw_status fw_npy_read(fw_import_log *log, const char *path, fw_npy *out, fw_error *error) FW_MUST;
/* The same from bytes, which out takes over (malloc'd) on success. */
fw_status fw_npy_parse(char *bytes, size_t size_bytes, const char *name, fw_npy *out,
                       fw_error *error) FW_MUST;
void fw_npy_clear(fw_npy *array);
/* A number; kind is not 'S'. */
double fw_npy_number(const fw_npy *array, size_t row, size_t column);
/* The item's bytes. */
const uint8_t *fw_npy_item(const fw_npy *array, size_t row, size_t column);

#endif
