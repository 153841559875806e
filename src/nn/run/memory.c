#include "nn/run/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 2 << 20, LARGE = 2 * PAGE };

void *fw_nn_zeros(size_t bytes) {
    size_t step = bytes >= LARGE ? PAGE : 64, size = (bytes + 64 + step - 1) / step * step;
    void *out = aligned_alloc(step, size);
    if (!out) return NULL;
#ifdef MADV_HUGEPAGE
    if (step == PAGE) (void)madvise(out, size, MADV_HUGEPAGE);
#endif
    memset(out, 0, size);
    return out;
}
