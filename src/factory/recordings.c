#include "factory/recordings.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

const char *fw_recordings_role(const char *unit) {
    const char *digits = unit + strlen(unit);
    while (digits > unit && digits[-1] >= '0' && digits[-1] <= '9') digits--;
    unsigned long number = 0;
    if (*digits) {
        number = strtoul(digits, NULL, 10);
    } else {
        fw_hash hash = fw_hash_bytes(unit, strlen(unit));
        number = (unsigned long)(hash.hex[0] >= 'a' ? hash.hex[0] - 'a' + 10 : hash.hex[0] - '0');
    }
    return number % 4 == 3 ? "held_out" : "train";
}

static fw_status insert_events(sqlite3 *db, const char *sha256, const char *unit,
                               const fw_scan *scan, int64_t now_ns, fw_error *error) {
    for (uint32_t i = 0; i < scan->event_count; i++) {
        const fw_scan_event *event = &scan->events[i];
        FW_TRY(fw_db_run(db, error,
                         "INSERT INTO events(recording,unit,kind,time_ns,value,received_ns) "
                         "VALUES(?,?,?,?,?,?)",
                         "tttidi", sha256, unit, event->kind, event->time_ns, event->value,
                         now_ns));
    }
    return FW_OK;
}

fw_status fw_recordings_insert(sqlite3 *db, const char *sha256, const char *unit,
                               const fw_scan *scan, const fw_recording_clock *clock,
                               int64_t now_ns, fw_error *error) {
    bool given = clock && clock->given;
    FW_TRY(fw_db_run(db, error,
                     "INSERT INTO recordings(sha256,unit,role,messages,start_ns,end_ns,events,"
                     "recorded_ns) VALUES(?,?,?,?,?,?,?,?)",
                     "tttiiiii", sha256, unit, fw_recordings_role(unit), scan->messages,
                     scan->start_ns, scan->end_ns, (int64_t)scan->event_count,
                     given ? clock->recorded_ns : now_ns));
    if (given)
        FW_TRY(fw_db_run(db, error,
                         "UPDATE recordings SET boot=?,unit_mono_ns=?,unit_wall_ns=?,moved_ns=? "
                         "WHERE sha256=?",
                         "tiiit", clock->boot, clock->mono_ns, clock->wall_ns, clock->moved_ns,
                         sha256));
    return insert_events(db, sha256, unit, scan, now_ns, error);
}
