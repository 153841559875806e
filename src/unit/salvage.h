/* salvage.h - between courier and line: a recording that was cut off is made whole, as far as it goes.
 *
 * The courier knows files, the line knows what a recording must hold: it gives this function to the
 * spool (spool.h), as it gives the one that loads a model.
 */
#ifndef FW_UNIT_SALVAGE_H
#define FW_UNIT_SALVAGE_H

#include "base/env.h"
#include "unit/shared.h"

/* A recording made whole again. */
typedef struct fw_unit_salvaged {
    uint64_t size_bytes;
    uint32_t events, ticks, drive, first_tick;
    int64_t first_ns, last_ns;
} fw_unit_salvaged;

/* Makes a shorter valid recording of a cut one into the descriptor `to`. Memory is bounded. FW_CORRUPT
 * when not even two ticks are there. */
typedef fw_status (*fw_unit_salvage)(const fw_env *env, const char *from, int to, uint32_t unit,
                                     const fw_unit_begin *begin, fw_unit_salvaged *out,
                                     fw_error *error);

#endif
