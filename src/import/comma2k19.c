/* comma2k19.c - one segment of comma.ai's public data set: a folder of NumPy arrays, each stream with
 * its values and its times (seconds since the phone started). Columns: the data set's README.
 *
 * All streams are merged by time. Times become nanoseconds since 1970 through the GNSS receiver's own
 * clock: the median over its fixes of (UTC - t); without a fix they stay as they are.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import/npy.h"

enum { COLUMNS_MAX = 12, STREAMS_MAX = 32 };

typedef struct stream_kind {
    const char *folder, *topic, *schema;
    const char *values, *times; /* file names below the folder */
    fw_import_field fields[COLUMNS_MAX];
    size_t columns[COLUMNS_MAX]; /* of the array, for each field */
    size_t field_count;
} stream_kind;

#define NUM(name, unit) {name, unit, FW_IMPORT_NUMBER}
#define AXES(unit_suffix, unit)                                                                    \
    {NUM("forward" unit_suffix, unit), NUM("right" unit_suffix, unit), NUM("down" unit_suffix, unit)}
#define GNSS                                                                                       \
    {NUM("latitude_deg", "deg"), NUM("longitude_deg", "deg"), NUM("speed_mps", "m/s"),             \
     NUM("utc_ms", "ms since 1970"), NUM("altitude_m", "m"), NUM("bearing_deg", "deg")}

static const stream_kind kinds[] = {
    {"processed_log/CAN/speed", "/can/speed", "comma2k19.Speed", "value", "t",
     {NUM("speed_mps", "m/s")}, {0}, 1},
    {"processed_log/CAN/steering_angle", "/can/steering", "comma2k19.Steering", "value", "t",
     {NUM("angle_deg", "deg")}, {0}, 1},
    {"processed_log/CAN/wheel_speed", "/can/wheels", "comma2k19.Wheels", "value", "t",
     {NUM("front_left_mps", "m/s"), NUM("front_right_mps", "m/s"), NUM("rear_left_mps", "m/s"),
      NUM("rear_right_mps", "m/s")}, {0, 1, 2, 3}, 4},
    {"processed_log/CAN/radar", "/radar", "comma2k19.RadarTrack", "value", "t",
     {NUM("forward_m", "m"), NUM("left_m", "m"), NUM("relative_speed_mps", "m/s"),
      NUM("address", ""), NUM("new_track", "1: a new target")}, {0, 1, 2, 5, 6}, 5},
    {"processed_log/IMU/accelerometer", "/imu/accelerometer", "comma2k19.Acceleration", "value",
     "t", AXES("_mps2", "m/s2"), {0, 1, 2}, 3},
    {"processed_log/IMU/gyro", "/imu/gyro", "comma2k19.Rate", "value", "t", AXES("_radps", "rad/s"),
     {0, 1, 2}, 3},
    {"processed_log/IMU/gyro_uncalibrated", "/imu/gyro_uncalibrated", "comma2k19.Rate", "value",
     "t", AXES("_radps", "rad/s"), {0, 1, 2}, 3},
    {"processed_log/IMU/gyro_bias", "/imu/gyro_bias", "comma2k19.Rate", "value", "t",
     AXES("_radps", "rad/s"), {0, 1, 2}, 3},
    {"processed_log/IMU/magnetometer", "/imu/magnetometer", "comma2k19.Field", "value", "t",
     AXES("_ut", "uT"), {0, 1, 2}, 3},
    {"processed_log/IMU/magnetometer_uncalibrated", "/imu/magnetometer_uncalibrated",
     "comma2k19.Field", "value", "t", AXES("_ut", "uT"), {0, 1, 2}, 3},
    {"processed_log/GNSS/live_gnss_ublox", "/gnss/ublox", "comma2k19.Fix", "value", "t", GNSS,
     {0, 1, 2, 3, 4, 5}, 6},
    {"processed_log/GNSS/live_gnss_qcom", "/gnss/qcom", "comma2k19.Fix", "value", "t", GNSS,
     {0, 1, 2, 3, 4, 5}, 6},
    {"global_pose", "/pose/position", "comma2k19.Position", "frame_positions", "frame_times",
     {NUM("ecef_x_m", "m"), NUM("ecef_y_m", "m"), NUM("ecef_z_m", "m")}, {0, 1, 2}, 3},
    {"global_pose", "/pose/orientation", "comma2k19.Orientation", "frame_orientations",
     "frame_times",
     {NUM("w", "quaternion, ECEF"), NUM("x", ""), NUM("y", ""), NUM("z", "")}, {0, 1, 2, 3}, 4},
    {"global_pose", "/pose/velocity", "comma2k19.Velocity", "frame_velocities", "frame_times",
     {NUM("ecef_x_mps", "m/s"), NUM("ecef_y_mps", "m/s"), NUM("ecef_z_mps", "m/s")}, {0, 1, 2}, 3},
};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };
_Static_assert((int)KIND_COUNT < (int)STREAMS_MAX, "room for the raw CAN frames as well");

typedef struct stream {
    const stream_kind *kind; /* NULL: raw CAN */
    fw_npy values, times, bus, address;
    uint32_t channel;
    size_t next;
} stream;

typedef struct segment {
    fw_import_log *log;
    const char *folder;
    stream streams[STREAMS_MAX];
    size_t count;
    double offset_s;
} segment;

static fw_status read_array(segment *s, const char *folder, const char *name, fw_npy *out,
                            fw_error *error) {
    char path[FW_PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s/%s", s->folder, folder, name) >= sizeof path)
        return fw_fail(error, FW_INVALID, "the path of the segment is too long");
    return fw_npy_read(s->log, path, out, error);
}

/* Times rise and belong to the values. */
static fw_status check_times(const fw_npy *times, const fw_npy *values, const char *what,
                             fw_error *error) {
    if (times->kind != 'f' || times->columns != 1 || times->rows != values->rows)
        return fw_fail(error, FW_CORRUPT, "%s: %zu times for %zu values", what, times->rows,
                       values->rows);
    for (size_t i = 0; i < times->rows; i++) {
        double t = fw_npy_number(times, i, 0);
        if (!(t >= 0 && t < 1e9))
            return fw_fail(error, FW_CORRUPT, "%s: time %zu is no time of a segment", what, i);
    }
    return FW_OK;
}

static fw_status read_stream(segment *s, const stream_kind *kind, fw_error *error) {
    stream *one = &s->streams[s->count];
    fw_status status = read_array(s, kind->folder, kind->values, &one->values, error);
    if (status == FW_NOT_FOUND) { /* a segment need not have every sensor */
        fw_import_log_skip(s->log, 1);
        return FW_OK;
    }
    s->count++;
    one->kind = kind;
    FW_TRY(status);
    FW_TRY(read_array(s, kind->folder, kind->times, &one->times, error));
    FW_TRY(check_times(&one->times, &one->values, kind->topic, error));
    if (one->values.kind == 'S' || one->values.columns <= kind->columns[kind->field_count - 1])
        return fw_fail(error, FW_CORRUPT, "%s: too few columns", kind->topic);
    return fw_import_log_channel(s->log, kind->topic, kind->schema, kind->fields,
                                 kind->field_count, &one->channel, error);
}

static fw_status read_can(segment *s, fw_error *error) {
    static const char folder[] = "processed_log/CAN/raw_can";
    static const fw_import_field fields[] = {NUM("bus", ""), NUM("address", ""),
                                             {"data", "8 bytes as hex", FW_IMPORT_TEXT}};
    stream *one = &s->streams[s->count];
    fw_status status = read_array(s, folder, "data", &one->values, error);
    if (status == FW_NOT_FOUND) return FW_OK;
    s->count++;
    FW_TRY(status);
    FW_TRY(read_array(s, folder, "t", &one->times, error));
    FW_TRY(read_array(s, folder, "src", &one->bus, error));
    FW_TRY(read_array(s, folder, "address", &one->address, error));
    FW_TRY(check_times(&one->times, &one->values, "raw_can", error));
    bool fits = one->values.kind == 'S' && one->values.item_bytes <= 64 &&
                one->values.columns == 1 && one->bus.kind != 'S' && one->address.kind != 'S' &&
                one->bus.columns == 1 && one->address.columns == 1 &&
                one->bus.rows == one->values.rows && one->address.rows == one->values.rows;
    if (!fits) return fw_fail(error, FW_CORRUPT, "raw_can: its arrays do not fit each other");
    return fw_import_log_channel(s->log, "/can/raw", "comma2k19.CanFrame", fields, 3,
                                 &one->channel, error);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Median of UTC minus time over the fixes of the first receiver that has some; 0 without. */
static fw_status find_offset(segment *s, fw_error *error) {
    for (size_t i = 0; i < s->count; i++) {
        const stream *one = &s->streams[i];
        if (!one->kind || strncmp(one->kind->topic, "/gnss/", 6) != 0) continue;
        double *offsets = malloc((one->values.rows + 1) * sizeof *offsets);
        size_t count = 0;
        if (!offsets) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
        for (size_t row = 0; row < one->values.rows; row++) {
            double utc_s = fw_npy_number(&one->values, row, 3) / 1e3;
            if (utc_s > 1e8 && utc_s < 9e9)
                offsets[count++] = utc_s - fw_npy_number(&one->times, row, 0);
        }
        if (count > 0) {
            qsort(offsets, count, sizeof *offsets, by_value);
            s->offset_s = offsets[count / 2];
        }
        free(offsets);
        if (count > 0) return FW_OK;
    }
    return FW_OK;
}

static fw_status send_can(const segment *s, const stream *one, int64_t time_ns, fw_error *error) {
    static const char digits[] = "0123456789abcdef";
    char text[256], hex[129];
    const uint8_t *data = fw_npy_item(&one->values, one->next, 0);
    size_t used = 0;
    for (uint32_t i = 0; i < one->values.item_bytes; i++) {
        hex[used++] = digits[data[i] >> 4];
        hex[used++] = digits[data[i] & 15];
    }
    hex[used] = '\0';
    int size = snprintf(text, sizeof text, "{\"bus\":%.0f,\"address\":%.0f,\"data\":\"%s\"}",
                        fw_npy_number(&one->bus, one->next, 0),
                        fw_npy_number(&one->address, one->next, 0), hex);
    return fw_import_log_text(s->log, one->channel, time_ns, text, (size_t)size, error);
}

static fw_status send_row(const segment *s, const stream *one, fw_error *error) {
    double values[COLUMNS_MAX];
    double t = fw_npy_number(&one->times, one->next, 0) + s->offset_s;
    int64_t time_ns = (int64_t)llround(t * 1e6) * 1000; /* the clocks are not better than 1 us */
    if (!one->kind) return send_can(s, one, time_ns, error);
    for (size_t f = 0; f < one->kind->field_count; f++)
        values[f] = fw_npy_number(&one->values, one->next, one->kind->columns[f]);
    return fw_import_log_numbers(s->log, one->channel, time_ns, values, error);
}

static fw_status merge(segment *s, fw_error *error) {
    for (;;) {
        stream *first = NULL;
        double first_t = 0;
        for (size_t i = 0; i < s->count; i++) {
            stream *one = &s->streams[i];
            if (one->next == one->times.rows) continue;
            double t = fw_npy_number(&one->times, one->next, 0);
            if (first && t >= first_t) continue;
            first = one;
            first_t = t;
        }
        if (!first) return FW_OK;
        FW_TRY(send_row(s, first, error));
        first->next++;
    }
}

fw_status fw_import_comma2k19(const fw_import_request *request, fw_import_log *log,
                              fw_error *error) {
    segment *s = calloc(1, sizeof *s);
    if (!s) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
    s->log = log;
    s->folder = request->source;
    fw_status status = FW_OK;
    for (size_t i = 0; i < KIND_COUNT && status == FW_OK; i++)
        status = read_stream(s, &kinds[i], error);
    if (status == FW_OK) status = read_can(s, error);
    if (status == FW_OK && s->count == 0)
        status = fw_fail(error, FW_NOT_FOUND,
                         "%s is no segment of comma2k19 (no processed_log, no global_pose)",
                         request->source);
    if (status == FW_OK) status = find_offset(s, error);
    if (status == FW_OK) status = merge(s, error);
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        fw_npy_clear(&s->streams[i].values);
        fw_npy_clear(&s->streams[i].times);
        fw_npy_clear(&s->streams[i].bus);
        fw_npy_clear(&s->streams[i].address);
    }
    free(s);
    return status;
}
