/* scan.h - an uploaded recording looked through once: intact, within limits, and everything that
 * the catalogue can be asked about it.
 *
 *   file --validate--> intact --collect--> line, form, unit, models, campaign   metadata "flywheel"
 *                                          events                               topic /event
 *                                          messages and bytes                   of each topic
 *                                          count, min, max, mean                of each number in JSON
 *                                          where it was                         fields x_m and y_m
 *                                          what it is like                      duplicates.h
 *        --line's check--> only what is of the factory's line and of the form "drive"
 *
 * Invariants: (1) memory is bounded by the limits below, whatever the file holds; (2) what is over
 * a limit of the lists (topics, fields, places, models) is left out of the lists and the recording is
 * still taken, but over FW_SCAN_EVENTS_MAX events it is refused; (3) names that reach the catalogue
 * are printable ASCII; (4) the same file gives the same scan: no clock, no order of a hash table.
 *
 * /event messages are JSON objects {"event": "hard_brake", "value": -5.2, ...}; an intact file
 * with a malformed event is refused like a broken one. Numbers are taken from the top level of JSON
 * objects ("/ego.speed_mps"); what lies in arrays and inner objects is passed over.
 */
#ifndef FW_FACTORY_SCAN_H
#define FW_FACTORY_SCAN_H

#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"
#include "factory/line.h"

enum {
    FW_SCAN_EVENTS_MAX = 4096,
    FW_SCAN_KIND_MAX = 32,
    FW_SCAN_NAME_MAX = 64, /* of unit, line, form and campaign */
    FW_SCAN_CHANNELS_MAX = 128,
    FW_SCAN_FIELDS_MAX = 256,
    FW_SCAN_PLACES_MAX = 256,
    FW_SCAN_MODELS_MAX = 8,
    FW_SCAN_SECONDS_MAX = 8192
};
#define FW_SCAN_PLACE_M 64.0 /* side of the squares that places are gathered by */

typedef struct fw_scan_event {
    char kind[FW_SCAN_KIND_MAX];
    int64_t time_ns;
    double value; /* NaN: none */
} fw_scan_event;

typedef struct fw_scan_channel {
    char topic[128], encoding[32], schema[128];
    int64_t messages, bytes;
} fw_scan_channel;

typedef struct fw_scan_field {
    char name[160]; /* "/ego.speed_mps" */
    int64_t count;
    double min, max, sum;
} fw_scan_field;

/* The box around all points of one square of FW_SCAN_PLACE_M. */
typedef struct fw_scan_place {
    double x_min, x_max, y_min, y_max;
} fw_scan_place;

/* Means over one second from the start, of the topic that says where it was. */
typedef struct fw_scan_second {
    int64_t index;
    double x_m, y_m, speed_mps; /* speed 0 where none is given */
} fw_scan_second;

typedef struct fw_scan {
    int64_t messages, start_ns, end_ns;
    uint32_t event_count;
    fw_scan_event *events; /* (event_count), owned */
    bool described;        /* it has the metadata record "flywheel" */
    char unit[FW_SCAN_NAME_MAX], line[FW_SCAN_NAME_MAX], form[FW_SCAN_NAME_MAX],
        campaign[FW_SCAN_NAME_MAX]; /* "" where not given; line and form have their defaults */
    char model[FW_HASH_HEX + 1];    /* of the metadata record; "" for none */
    uint32_t model_count;           /* models[]: all that the messages name, in order of appearance */
    char models[FW_SCAN_MODELS_MAX][FW_HASH_HEX + 1];
    uint32_t channel_count, field_count, place_count, second_count;
    fw_scan_channel *channels; /* owned, as the next three */
    fw_scan_field *fields;
    fw_scan_place *places;
    fw_scan_second *seconds;
} fw_scan;

/* FW_CORRUPT, FW_TOO_BIG, FW_UNSUPPORTED with a reason: not a recording we take. */
fw_status fw_scan_recording(const char *path, const fw_factory_line *line, fw_scan *out,
                            fw_error *error) FW_MUST;
/* FW_CORRUPT when the recording says that it is another unit's. */
fw_status fw_scan_check_unit(const fw_scan *scan, const char *unit, fw_error *error) FW_MUST;
void fw_scan_clear(fw_scan *scan);

#endif
