/* recording.h - a unit's recording read back: the ticks as the car saw them.
 *
 * One recording is one stretch of one drive (one route). The reader trusts nothing: hostile or
 * truncated files give FW_CORRUPT (or FW_TOO_BIG, FW_UNSUPPORTED) with a reason and leak nothing.
 * So do numbers that are finite but of no car and no city (one such recording would spoil a whole
 * training): |x|, |y| < 1e6 m; |yaw| < 1000 rad; 0 <= speed < 100 m/s; |accel| < 100 m/s2; a car of
 * up to 40 x 10 m; route points 0.5 to 4 m apart with limits within (0, 100) m/s; s_m on the route
 * recorded, give or take 20 m; conflict distances under 10 km. The table stands in recording.c.
 * Limits: FW_DRIVE_RECORDING_FILE_MAX bytes, FW_DRIVE_RECORDING_TICKS_MAX ticks (channels.h).
 */
#ifndef FW_LINES_DRIVING_RECORDING_H
#define FW_LINES_DRIVING_RECORDING_H

#include "lines/driving/act/channels.h"

enum { FW_DRIVE_RECORDING_FILE_MAX = 64 << 20 };

typedef struct fw_drive_recorded_tick {
    fw_drive_obs obs; /* path window as in the recording's route, see below */
    fw_drive_action policy, action;
    fw_guard_veto veto;
    float uncertainty; /* of the policy; 0 where none was recorded */
    uint32_t events; /* bit set of (1 << fw_drive_event) */
} fw_drive_recorded_tick;

typedef struct fw_drive_recording {
    fw_hash hash;        /* of the file */
    char unit[32];       /* from the file's metadata record "flywheel" */
    char network[32];    /* never used by training but for reports: empty where unknown */
    fw_hash model;       /* of the last tick */
    uint32_t tick_count; /* T */
    fw_drive_recorded_tick *ticks; /* (T), owned; obs.path_count is 0 in them: the route is below */
    uint32_t path_first, path_count; /* route points seen in the recording, one polyline */
    fw_drive_point *path;            /* (path_count), owned; first has grid index path_first */
} fw_drive_recording;

/* Reads a whole recording; the caller frees it with fw_drive_recording_free. */
fw_status fw_drive_recording_read(const char *path, fw_drive_recording **out,
                                  fw_error *error) FW_MUST;
/* The same from memory (fuzzing). */
fw_status fw_drive_recording_parse(const void *bytes, size_t size_bytes, fw_drive_recording **out,
                                   fw_error *error) FW_MUST;
void fw_drive_recording_free(fw_drive_recording *recording);

#endif
