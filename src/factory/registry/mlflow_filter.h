/* mlflow_filter.h - the filter and the order of MLflow's searches over registered models and their versions.
 *
 *   filter    comparison { AND comparison }
 *   left      name | version_number | run_id | source_path | creation_timestamp | last_updated_timestamp
 *             | tags.KEY | tag.KEY          KEY: letters, digits, _ - . /, or `anything` in backquotes
 *   operator  = != LIKE ILIKE (texts)   = != < <= > >= (numbers)   IN (run_id)
 *   right     'text' | "text" | digits | ( 'text' { , 'text' } )
 *   order     field [ASC|DESC]
 *
 * LIKE knows % and _, and ILIKE both cases. Words are read in both cases. What a row is, its owner says: a field's
 * text by name, and a tag's by key; a tag that is not there matches nothing, != included, as in MLflow.
 *
 * Invariants: (1) nothing is allocated and nothing of the text is copied: a filter points into it, and it outlives
 * the filter; (2) at most FW_MLFLOW_TERMS comparisons; no recursion; (3) an unknown field, a number where a text
 * belongs and the other way round are refused with the place.
 */
#ifndef FW_FACTORY_MLFLOW_FILTER_H
#define FW_FACTORY_MLFLOW_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { FW_MLFLOW_TERMS = 16, FW_MLFLOW_ANY = 32, FW_MLFLOW_FILTER_MAX = 4096 };

typedef enum fw_mlflow_field {
    FW_MLFLOW_NAME,
    FW_MLFLOW_VERSION,
    FW_MLFLOW_RUN,
    FW_MLFLOW_SOURCE,
    FW_MLFLOW_CREATED,
    FW_MLFLOW_UPDATED,
    FW_MLFLOW_TAG,
    FW_MLFLOW_FIELDS
} fw_mlflow_field;

typedef enum fw_mlflow_operator {
    FW_MLFLOW_EQUAL,
    FW_MLFLOW_UNEQUAL,
    FW_MLFLOW_LIKE,
    FW_MLFLOW_ILIKE,
    FW_MLFLOW_LESS,
    FW_MLFLOW_AT_MOST,
    FW_MLFLOW_MORE,
    FW_MLFLOW_AT_LEAST,
    FW_MLFLOW_IN
} fw_mlflow_operator;

typedef struct fw_mlflow_text {
    const char *at; /* not terminated */
    size_t size;
} fw_mlflow_text;

typedef struct fw_mlflow_term {
    fw_mlflow_field field;
    fw_mlflow_operator operator_;
    fw_mlflow_text key;   /* of a tag */
    int64_t number;       /* of a numeric field */
    uint32_t first, count; /* of the filter's texts */
} fw_mlflow_term;

typedef struct fw_mlflow_filter {
    uint32_t count, text_count;
    fw_mlflow_term terms[FW_MLFLOW_TERMS];
    fw_mlflow_text texts[FW_MLFLOW_TERMS + FW_MLFLOW_ANY];
} fw_mlflow_filter;

/* A row: the text of a field (of a tag by its key), NULL when it has none; numbers as decimal text. */
typedef struct fw_mlflow_row {
    const void *self;
    const char *(*field)(const void *self, fw_mlflow_field field, fw_mlflow_text key);
} fw_mlflow_row;

/* text: terminated; "" matches everything. FW_INVALID with the place; *out is then nothing. */
fw_status fw_mlflow_filter_read(const char *text, fw_mlflow_filter *out, fw_error *error) FW_MUST;
bool fw_mlflow_filter_match(const fw_mlflow_filter *filter, const fw_mlflow_row *row);
/* "name DESC". */
fw_status fw_mlflow_order_read(const char *text, fw_mlflow_field *field, bool *descending, fw_error *error) FW_MUST;

#endif
