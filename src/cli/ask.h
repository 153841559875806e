/* ask.h - the command line as a client of the factory: one GET, then JSON or a table. */
#ifndef FW_CLI_ASK_H
#define FW_CLI_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "http/client.h"

/* What every reading command takes: --json, --url, --ca, --token, --limit, --help. A factory with
 * TLS is told by --ca FILE (or FLYWHEEL_CA) from others, and wants a token (--token or
 * FLYWHEEL_TOKEN; the latter does not show in a list of processes). */
typedef struct fw_ask {
    bool json, help;
    const char *url, *ca, *token; /* ca and token NULL: the environment's */
    uint64_t limit; /* 0: the factory's default */
} fw_ask;

/* A column of a table: field of each row's object ("gate.difference" goes inside). */
typedef enum fw_ask_form {
    FW_ASK_TEXT,
    FW_ASK_HASH, /* first 12 digits */
    FW_ASK_NUMBER,
    FW_ASK_TIME, /* ns since 1970, as UTC */
    FW_ASK_BYTES
} fw_ask_form;
typedef struct fw_ask_column {
    const char *title, *field;
    fw_ask_form form;
    int width; /* negative: to the left */
} fw_ask_column;

fw_status fw_ask_options(int argc, char **argv, fw_ask *ask, fw_error *error) FW_MUST;
/* Performs a call; answers of 400 and more fail with the factory's reason. *text is malloc'd. */
fw_status fw_ask_perform(const fw_ask *ask, fw_http_call *call, const char *path, char **text,
                         fw_error *error) FW_MUST;
/* The same with the whole reply: for bodies that are no text. The caller clears it. */
fw_status fw_ask_reply(const fw_ask *ask, fw_http_call *call, const char *path,
                       fw_http_reply *reply, fw_error *error) FW_MUST;
/* GETs path and prints it: as JSON when asked, else the rows as a table. Returns the exit status.
 */
int fw_ask_list(const char *command, const char *help, int argc, char **argv, const char *path,
                const fw_ask_column *columns, int column_count);
void fw_ask_print_rows(const json_t *rows, const fw_ask_column *columns, int column_count);
/* The same of a JSON text (an array): the text itself when json is asked for. Frees it. */
void fw_ask_print_text(char *text, bool json, const fw_ask_column *columns, int column_count);
/* A value as text, control characters taken out. */
void fw_ask_cell(const json_t *row, const fw_ask_column *column, char *out, size_t out_size);

#endif
