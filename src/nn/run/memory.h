/* memory.h - private: zeroed arrays of arenas and vectors. Large ones ask for pages of 2 MB, so that a
 * matrix product that walks down columns does not wait for address translation. free() them. */
#ifndef FW_NN_RUN_MEMORY_H
#define FW_NN_RUN_MEMORY_H

#include <stddef.h>

/* 64-byte aligned, at least bytes + 64 of them; NULL: no memory. */
void *fw_nn_zeros(size_t bytes);

#endif
