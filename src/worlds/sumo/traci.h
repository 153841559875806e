/* traci.h - SUMO's remote control (TraCI) over TCP: many commands in one message, every status
 * read.
 *
 *   message:  u32 size | command command ...           big endian
 *   command:  u8 0 | u32 size | u8 id | content        (the long form, which SUMO always accepts)
 *   answer:   u32 size | per command: status [response]
 *   status:   size | u8 id | u8 result | string        result 0 is well
 *
 * Use: fw_traci_add_... as often as wanted, then fw_traci_exchange: one round trip, in which every
 * command's status is checked and every value in the answers is handed to the sink.
 *
 * Invariants: (1) answers are bounded by FW_TRACI_ANSWER_MAX and length-checked at every read;
 * (2) a broken connection is FW_CLOSED, a refused command FW_INVALID with SUMO's own words, an
 * answer that cannot be read FW_CORRUPT.
 */
#ifndef FW_WORLDS_SUMO_TRACI_H
#define FW_WORLDS_SUMO_TRACI_H

#include "base/status.h"
#include "worlds/sumo/names.h"

enum {
    FW_TRACI_ANSWER_MAX = 64 << 20,
    FW_TRACI_COMMANDS_MAX = 65536, /* in one message */
    FW_TRACI_LIST_MAX = 65536,     /* texts in one list */
};

/* Whom a command or value is about: the low half of TraCI's command ids. */
typedef enum fw_traci_domain {
    FW_TRACI_LIGHT = 0x2,
    FW_TRACI_VEHICLE = 0x4,
    FW_TRACI_TYPE = 0x5,
    FW_TRACI_SIMULATION = 0xb,
} fw_traci_domain;

/* Variables (SUMO's TraCI documentation, "Variable" tables). */
enum {
    FW_TRACI_IDS = 0x00,
    FW_TRACI_LIGHT_STATE = 0x20,
    FW_TRACI_SPEED = 0x40,
    FW_TRACI_POSITION = 0x42,
    FW_TRACI_ANGLE = 0x43,
    FW_TRACI_LENGTH = 0x44,
    FW_TRACI_ACCEL = 0x46,
    FW_TRACI_TAU = 0x48,
    FW_TRACI_CLASS = 0x49,
    FW_TRACI_MIN_GAP = 0x4c,
    FW_TRACI_WIDTH = 0x4d,
    FW_TRACI_LANE = 0x51,
    FW_TRACI_EDGES = 0x54,
    FW_TRACI_LANE_POSITION = 0x56,
    FW_TRACI_IMPERFECTION = 0x5d, /* sigma */
    FW_TRACI_SPEED_FACTOR = 0x5e,
    FW_TRACI_TIME = 0x66,
    FW_TRACI_ROUTE_INDEX = 0x69,
    FW_TRACI_DEPARTED = 0x74,
    FW_TRACI_SCALE = 0x8e, /* of the demand */
    FW_TRACI_SPEED_MODE = 0xb3,
    FW_TRACI_LANE_MODE = 0xb6,
};

typedef enum fw_traci_kind {
    FW_TRACI_NUMBER, /* number */
    FW_TRACI_PLACE,  /* number, second: x, y */
    FW_TRACI_TEXT,   /* text */
    FW_TRACI_LIST,   /* list, list_count */
} fw_traci_kind;

typedef struct fw_traci_value {
    fw_traci_kind kind;
    double number, second;
    fw_text text;
    const fw_text *list; /* valid during the sink's call */
    uint32_t list_count;
} fw_traci_value;

typedef struct fw_traci fw_traci;

/* Gets every value of the answers, in their order. */
typedef void (*fw_traci_sink)(void *context, fw_traci_domain domain, fw_text id, uint8_t variable,
                              const fw_traci_value *value);

/* Connects to 127.0.0.1:port; FW_BUSY while nobody listens there. The caller closes it. */
fw_status fw_traci_connect(uint16_t port, fw_traci **out, fw_error *error) FW_MUST;
/* Over a socket that is already connected (tests); owns fd afterwards. */
fw_traci *fw_traci_over(int fd);
void fw_traci_close(fw_traci *traci);

void fw_traci_add_get(fw_traci *t, fw_traci_domain domain, uint8_t variable, fw_text id);
void fw_traci_add_subscribe(fw_traci *t, fw_traci_domain domain, fw_text id,
                            const uint8_t *variables, uint8_t count);
/* Moves on to `time_s`; 0: one step. Alone in its message (SUMO answers it by itself). */
void fw_traci_add_step(fw_traci *t, double time_s);
void fw_traci_add_number(fw_traci *t, fw_traci_domain domain, uint8_t variable, fw_text id, double value);
/* One of a vehicle's generic parameters ("laneChangeModel.lcAssertive"). */
void fw_traci_add_parameter(fw_traci *t, fw_text vehicle, const char *key, const char *value);
void fw_traci_add_speed(fw_traci *t, fw_text vehicle, double speed_mps);
/* variable: FW_TRACI_SPEED_MODE or FW_TRACI_LANE_MODE. */
void fw_traci_add_mode(fw_traci *t, fw_text vehicle, uint8_t variable, int32_t mode);
void fw_traci_add_change_lane(fw_traci *t, fw_text vehicle, uint8_t lane, double hold_s);
void fw_traci_add_remove(fw_traci *t, fw_text vehicle);
/* Sends what was added (nothing added: does nothing) and reads the answers. */
fw_status fw_traci_exchange(fw_traci *t, fw_traci_sink sink, void *context,
                            fw_error *error) FW_MUST;

#endif
