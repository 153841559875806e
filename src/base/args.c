/* args.c - see args.h */
#include "base/args.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

fw_status fw_parse_u64(const char *text, uint64_t *out, fw_error *error) {
    uint64_t value = 0;
    if (*text == 0) return fw_fail(error, FW_INVALID, "an empty text is no number");
    for (const char *c = text; *c; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        if (*c < '0' || *c > '9' || value > (UINT64_MAX - digit) / 10)
            return fw_fail(error, FW_INVALID, "'%.40s' is no number", text);
        value = value * 10 + digit;
    }
    *out = value;
    return FW_OK;
}

static const fw_arg *find(const fw_arg *table, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].name, name) == 0) return &table[i];
    return NULL;
}

static fw_status take_value(const fw_arg *arg, const char *text, fw_error *error) {
    if (arg->kind == FW_ARG_TEXT) {
        size_t size = strlen(text);
        if (size < arg->min || size > arg->max)
            return fw_fail(error, FW_INVALID, "%s takes a text of %" PRIu64 " to %" PRIu64 " bytes",
                           arg->name, arg->min, arg->max);
        *(const char **)arg->out = text;
        return FW_OK;
    }
    uint64_t value = 0;
    if (fw_parse_u64(text, &value, NULL) != FW_OK || value < arg->min || value > arg->max)
        return fw_fail(error, FW_INVALID, "%s takes a number from %" PRIu64 " to %" PRIu64
                       ", not '%.40s'", arg->name, arg->min, arg->max, text);
    *(uint64_t *)arg->out = value;
    return FW_OK;
}

fw_status fw_args_parse(int argc, char *const *argv, const fw_arg *table, size_t count,
                        fw_error *error) {
    for (int i = 0; i < argc; i++) {
        const fw_arg *arg = find(table, count, argv[i]);
        if (arg == NULL)
            return fw_fail(error, FW_INVALID, "unknown option '%.60s'", argv[i]);
        if (arg->kind == FW_ARG_FLAG) {
            *(bool *)arg->out = true;
            continue;
        }
        if (i + 1 == argc) return fw_fail(error, FW_INVALID, "%s needs a value", arg->name);
        FW_TRY(take_value(arg, argv[++i], error));
    }
    return FW_OK;
}
