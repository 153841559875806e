/* columns.h - private to view.c and features.c: rows of eight numbers to columns and back, in vector code.
 *
 *   rows 0 .. 7, eight floats each  ->  columns 0 .. 7, element i of column j is element j of row i
 */
#ifndef FW_LINES_DRIVING_COLUMNS_H
#define FW_LINES_DRIVING_COLUMNS_H

#include "nn/run/cpu/vector.h"

/* A part of a function that is compiled several times (FW_KERNEL). */
#define FW_PART static inline __attribute__((always_inline))

/* Pairs, then fours, then eights change places: within halves first, the halves last. */
FW_PART void fw_transpose8(const float *const row[8], float *const column[8]) {
    fw_v8 pair[8], four[8];
    for (int i = 0; i < 8; i += 2) {
        fw_v8 a = FW_LOAD8(row[i]), b = FW_LOAD8(row[i + 1]);
        pair[i] = FW_SHUFFLE8(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
        pair[i + 1] = FW_SHUFFLE8(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            fw_v8 a = pair[i + j], b = pair[i + 2 + j];
            four[i + 2 * j] = FW_SHUFFLE8(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
            four[i + 2 * j + 1] = FW_SHUFFLE8(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 4; i++) {
        FW_STORE8(column[i], FW_SHUFFLE8(four[i], four[i + 4], 0, 1, 2, 3, 8, 9, 10, 11));
        FW_STORE8(column[i + 4], FW_SHUFFLE8(four[i], four[i + 4], 4, 5, 6, 7, 12, 13, 14, 15));
    }
}

#endif
