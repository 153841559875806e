/* channels.h - the driving line's channels in a recording: topics, schemas, and the two ways.
 *
 *   tick process:  observation + action  --fw_drive_write-->  JSON messages  --> MCAP
 *   factory:       MCAP --> JSON messages --fw_drive_recording_read (learn/recording.h)--> ticks
 *
 * Topics (all JSON with a JSON Schema in the file, encoding "json"): /ego /users /route /signal
 * /conflicts /action /event. /route carries only points not written before in this recording;
 * the others come every tick. log_time and publish_time are the observation's time_ns.
 * Numbers are written in millimetres' precision (%.3f; yaw and curvature %.5f), without trailing
 * zeros. Page: docs/formats/driving-recording.md. Writer of whole files: recorder.h.
 *
 * To add a channel: 1. a line in FW_DRIVE_CHANNELS, 2. its writer in channels.c, 3. its reader in
 * learn/recording.c, 4. its page in docs/formats/driving-recording.md.
 */
#ifndef FW_LINES_DRIVING_CHANNELS_H
#define FW_LINES_DRIVING_CHANNELS_H

#include "base/hash.h"
#include "lines/driving/act/drive.h"
#include "lines/driving/act/guard.h"

enum { FW_DRIVE_RECORDING_TICKS_MAX = 4096 }; /* of one file; a longer drive goes on in the next */

#define FW_DRIVE_CHANNELS(X)                                                                       \
    X(EGO, "/ego")                                                                                 \
    X(USERS, "/users")                                                                             \
    X(ROUTE, "/route")                                                                             \
    X(SIGNAL, "/signal")                                                                           \
    X(CONFLICTS, "/conflicts")                                                                     \
    X(ACTION, "/action")                                                                           \
    X(EVENT, "/event")

typedef enum fw_drive_channel {
#define X(name, topic) FW_DRIVE_CHANNEL_##name,
    FW_DRIVE_CHANNELS(X)
#undef X
        FW_DRIVE_CHANNEL_COUNT
} fw_drive_channel;

/* Events a unit flags by itself, from what it knows (never from the world's truth). */
typedef enum fw_drive_event {
    FW_DRIVE_EVENT_HARD_BRAKE,  /* accel <= -4 m/s2 begun */
    FW_DRIVE_EVENT_VETO,        /* the guard lowered the policy's acceleration: begun */
    FW_DRIVE_EVENT_IMPACT,      /* accelerometer beyond driving */
    FW_DRIVE_EVENT_LOW_TTC,     /* time to collision with the leader < 1.5 s begun */
    FW_DRIVE_EVENT_UNCERTAIN,   /* the policy less certain than its model calls usual: begun */
    FW_DRIVE_EVENT_COUNT
} fw_drive_event;

const char *fw_drive_channel_topic(fw_drive_channel channel);
const char *fw_drive_channel_schema_name(fw_drive_channel channel); /* "flywheel.driving.Ego" ... */
const char *fw_drive_channel_schema(fw_drive_channel channel);      /* JSON Schema text */
const char *fw_drive_event_name(fw_drive_event event);              /* "hard_brake" ... */

/* What the tick decided, for /action. */
typedef struct fw_drive_decision {
    fw_drive_action policy; /* before the guard */
    fw_drive_action action; /* after it */
    fw_guard_veto veto;
    float uncertainty; /* of the policy (policy.h); 0: it has none */
    bool uncertain;    /* above the model's own threshold */
    fw_hash model;
} fw_drive_decision;

/* Remembers, per recording, what was already written. Zero it when a recording starts. */
typedef struct fw_drive_writer {
    uint32_t route_next; /* first path point not yet written */
} fw_drive_writer;

/* Writes one message's JSON text of `channel` into out; returns its bytes (0: nothing to say this
 * tick). out_size >= FW_DRIVE_MESSAGE_MAX. No allocation. */
enum { FW_DRIVE_MESSAGE_MAX = 16384 };
size_t fw_drive_write(fw_drive_writer *writer, fw_drive_channel channel, const fw_drive_obs *obs,
                      const fw_drive_decision *decision, char *out, size_t out_size);
size_t fw_drive_write_event(fw_drive_event event, const fw_drive_obs *obs, double value, char *out,
                            size_t out_size);

/* Finds what begins this tick. `state` is zero when a drive starts. Returns a bit set of
 * (1 << fw_drive_event); values[event] holds the figure of each set bit (m/s2; for low_ttc s; for a veto
 * which rule, fw_guard_veto; for uncertain the uncertainty). */
typedef struct fw_drive_event_state {
    uint32_t active; /* bit set of events going on */
} fw_drive_event_state;
uint32_t fw_drive_events(fw_drive_event_state *state, const fw_drive_obs *obs,
                         const fw_drive_decision *decision,
                         double values[FW_DRIVE_EVENT_COUNT]);

#endif
