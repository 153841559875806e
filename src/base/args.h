/* args.h - options of a program: "--name value" and "--flag", read by one table.
 *
 *     bool json = false; uint64_t cars = 16; const char *bus = NULL;
 *     const fw_arg table[] = {{"--json", FW_ARG_FLAG, &json, 0, 0},
 *                             {"--cars", FW_ARG_U64, &cars, 1, 64},
 *                             {"--bus", FW_ARG_TEXT, &bus, 1, 200}};
 *
 * Invariants: (1) an unknown option, a missing value, a number that is none or outside its limits,
 * and a text shorter or longer than its limits are refused with one line that names the option;
 * (2) words that are no options are refused too; (3) outputs not named keep what they were.
 */
#ifndef FW_BASE_ARGS_H
#define FW_BASE_ARGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef enum fw_arg_kind {
    FW_ARG_FLAG, /* bool *; takes no value */
    FW_ARG_U64,  /* uint64_t *; decimal, min .. max */
    FW_ARG_TEXT, /* const char **; points into argv; min .. max bytes */
} fw_arg_kind;

typedef struct fw_arg {
    const char *name;
    fw_arg_kind kind;
    void *out;
    uint64_t min, max;
} fw_arg;

/* Reads argv[0 .. argc) (without the program's and the command's names). FW_INVALID otherwise. */
fw_status fw_args_parse(int argc, char *const *argv, const fw_arg *table, size_t count,
                        fw_error *error) FW_MUST;
/* A decimal number without sign or spaces. FW_INVALID otherwise. */
fw_status fw_parse_u64(const char *text, uint64_t *out, fw_error *error) FW_MUST;

#endif
