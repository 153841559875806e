#include "factory/ingest/clock.h"

#include <stdio.h>
#include <string.h>

#include "http/range.h"

typedef enum key { KEY_START_MONO, KEY_START_WALL, KEY_SENT_MONO, KEY_SENT_WALL, KEY_COUNT } key;
static const char *const key_names[KEY_COUNT] = {"start-mono", "start-wall", "sent-mono",
                                                 "sent-wall"};

typedef struct fields {
    char boot[FW_CLOCK_BOOT_MAX + 1];
    int64_t ns[KEY_COUNT];
    bool given[KEY_COUNT];
} fields;

bool fw_clock_boot_valid(const char *boot) {
    size_t size = boot ? strlen(boot) : 0;
    return size > 0 && size <= FW_CLOCK_BOOT_MAX &&
           strspn(boot, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == size;
}

static fw_status take_number(fields *f, key k, const char *text, fw_error *error) {
    uint64_t number;
    if (f->given[k])
        return fw_fail(error, FW_INVALID, "Flywheel-Clock has %s twice", key_names[k]);
    if (!fw_http_parse_number(&text, &number) || *text)
        return fw_fail(error, FW_INVALID, "Flywheel-Clock: %s is no number of nanoseconds",
                       key_names[k]);
    f->ns[k] = (int64_t)number;
    f->given[k] = true;
    return FW_OK;
}

/* "name=value" */
static fw_status take_field(fields *f, const char *name, const char *value, fw_error *error) {
    if (strcmp(name, "boot") == 0) {
        if (f->boot[0]) return fw_fail(error, FW_INVALID, "Flywheel-Clock has boot twice");
        if (!fw_clock_boot_valid(value))
            return fw_fail(error, FW_INVALID,
                           "Flywheel-Clock: boot must be 1 to %d of 0-9 a-z A-Z -",
                           FW_CLOCK_BOOT_MAX);
        snprintf(f->boot, sizeof f->boot, "%s", value);
        return FW_OK;
    }
    for (key k = 0; k < KEY_COUNT; k++)
        if (strcmp(name, key_names[k]) == 0) return take_number(f, k, value, error);
    return FW_OK;
}

static fw_status read_fields(const char *text, fields *f, fw_error *error) {
    char field[128];
    *f = (fields){0};
    while (*text) {
        text += strspn(text, " \t;");
        size_t size = strcspn(text, ";");
        if (size == 0) break;
        if (size >= sizeof field)
            return fw_fail(error, FW_INVALID, "Flywheel-Clock has a field over %zu bytes",
                           sizeof field - 1);
        memcpy(field, text, size);
        text += size;
        while (size > 0 && (field[size - 1] == ' ' || field[size - 1] == '\t')) size--;
        field[size] = '\0';
        char *equals = strchr(field, '=');
        if (!equals) return fw_fail(error, FW_INVALID, "Flywheel-Clock wants NAME=VALUE; ...");
        *equals = '\0';
        FW_TRY(take_field(f, field, equals + 1, error));
    }
    return FW_OK;
}

fw_status fw_clock_parse(const char *text, int64_t now_ns, fw_recording_clock *out,
                         fw_error *error) {
    fields f;
    if (!text) {
        *out = (fw_recording_clock){.given = false};
        return FW_OK;
    }
    FW_TRY(read_fields(text, &f, error));
    const int64_t *ns = f.ns;
    bool same_boot = f.given[KEY_START_MONO] && f.given[KEY_SENT_MONO] &&
                     ns[KEY_SENT_MONO] >= ns[KEY_START_MONO];
    if (!f.boot[0] || !f.given[KEY_START_WALL] || (!same_boot && !f.given[KEY_SENT_WALL]))
        return fw_fail(error, FW_INVALID,
                       "Flywheel-Clock needs boot, start-wall, and start-mono with a later "
                       "sent-mono, or sent-wall");
    *out = (fw_recording_clock){
        .mono_ns = ns[KEY_START_MONO], .wall_ns = ns[KEY_START_WALL], .given = true};
    snprintf(out->boot, sizeof out->boot, "%s", f.boot);
    /* all below 2^62: no sum of two leaves int64_t */
    out->recorded_ns = same_boot ? now_ns - (ns[KEY_SENT_MONO] - ns[KEY_START_MONO])
                                 : now_ns - (ns[KEY_SENT_WALL] - ns[KEY_START_WALL]);
    if (out->recorded_ns > now_ns) out->recorded_ns = now_ns; /* the wall clock was set back */
    if (out->recorded_ns < 0) out->recorded_ns = 0;
    out->moved_ns = out->recorded_ns - out->wall_ns;
    return FW_OK;
}
