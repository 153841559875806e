/* drive.h - recordings for simulated units: short drives down a straight road, made by the line's own recorder.
 *
 * What drives is nobody: positions, speeds and braking come from the seed. The file is what a unit of the
 * driving line would have recorded: the factory's checks take it, and no two are alike.
 */
#ifndef FW_SIM_DRIVE_H
#define FW_SIM_DRIVE_H

#include "base/random.h"
#include "lines/driving/act/recorder.h"

enum { FW_SIM_DRIVE_BYTES_MAX = 256 << 10 };

typedef struct fw_sim_drive {
    uint8_t *bytes; /* (FW_SIM_DRIVE_BYTES_MAX), the caller's */
    size_t size_bytes;
    fw_drive_recorded what;
    uint32_t events;
    int64_t first_ns, last_ns; /* the line's time */
} fw_sim_drive;

/* Drive `number` of `unit`; model may be empty. */
fw_status fw_sim_drive_make(fw_drive_recorder *recorder, fw_random *random, uint32_t unit,
                            uint32_t number, const fw_hash *model, fw_sim_drive *out,
                            fw_error *error) FW_MUST;

#endif
