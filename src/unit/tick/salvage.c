/* salvage.c - the driving line's salvage for the courier (unit/salvage.h). */
#include "lines/driving/act/salvage.h"

#include <stdio.h>

#include "base/file.h"
#include "unit/tick/tick.h"

typedef struct file_sink {
    const fw_env *env;
    int fd;
} file_sink;

static fw_status to_file(void *self, const void *bytes, size_t size_bytes, fw_error *error) {
    file_sink *file = self;
    return fw_file_write_all(file->env, file->fd, bytes, size_bytes, "a salvaged recording", error);
}

fw_status fw_unit_tick_salvage(const fw_env *env, const char *from, int to, uint32_t unit,
                               const fw_unit_begin *begin, fw_unit_salvaged *out, fw_error *error) {
    char name[16];
    file_sink file = {.env = env, .fd = to};
    fw_drive_salvaged saved;
    snprintf(name, sizeof name, "%u", unit);
    FW_TRY(fw_drive_salvage(from, (fw_mcap_sink){.self = &file, .write = to_file}, name,
                            begin->campaign, begin->trigger_ns, &saved, error));
    *out = (fw_unit_salvaged){.size_bytes = saved.size_bytes, .ticks = saved.what.ticks,
                              .drive = saved.what.drive, .first_tick = saved.what.first_tick,
                              .first_ns = saved.first_ns, .last_ns = saved.last_ns};
    for (int i = 0; i < FW_DRIVE_EVENT_COUNT; i++) out->events += saved.what.event_counts[i];
    return FW_OK;
}
