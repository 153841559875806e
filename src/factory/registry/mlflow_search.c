/* mlflow_search.c - a page of MLflow's searches: those that match, in order, from a token on (mlflow.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "factory/registry/mlflow.h"
#include "factory/registry/mlflow_filter.h"

static const char *const fields[FW_MLFLOW_FIELDS] = {
    [FW_MLFLOW_NAME] = "name",
    [FW_MLFLOW_VERSION] = "version",
    [FW_MLFLOW_RUN] = "run_id",
    [FW_MLFLOW_SOURCE] = "source",
    [FW_MLFLOW_CREATED] = "creation_timestamp",
    [FW_MLFLOW_UPDATED] = "last_updated_timestamp"};

/* A row with room for a number as text. */
typedef struct candidate {
    const json_t *row;
    char text[24];
} candidate;

static const char *tag_of(const json_t *row, fw_mlflow_text key) {
    size_t at;
    json_t *tag;
    json_array_foreach(json_object_get(row, "tags"), at, tag) {
        const char *name = json_string_value(json_object_get(tag, "key"));
        if (name && strlen(name) == key.size && memcmp(name, key.at, key.size) == 0)
            return json_string_value(json_object_get(tag, "value"));
    }
    return NULL;
}

static const char *field_of(const void *self, fw_mlflow_field field, fw_mlflow_text key) {
    candidate *c = (candidate *)(uintptr_t)self;
    if (field == FW_MLFLOW_TAG) return tag_of(c->row, key);
    const json_t *value = json_object_get(c->row, fields[field]);
    if (!json_is_integer(value)) return json_string_value(value);
    snprintf(c->text, sizeof c->text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return c->text;
}

/* ---- order ---- */

typedef struct order {
    fw_mlflow_field field;
    bool descending;
} order;

static int compare_field(const json_t *a, const json_t *b, fw_mlflow_field field) {
    const json_t *x = json_object_get(a, fields[field]), *y = json_object_get(b, fields[field]);
    bool texts = field == FW_MLFLOW_NAME || field == FW_MLFLOW_RUN || field == FW_MLFLOW_SOURCE;
    const char *left = json_string_value(x), *right = json_string_value(y);
    if (texts) return strcmp(left ? left : "", right ? right : "");
    json_int_t m = left ? strtoll(left, NULL, 10) : json_integer_value(x);
    json_int_t n = right ? strtoll(right, NULL, 10) : json_integer_value(y);
    return m < n ? -1 : m > n;
}

/* Of equals the name, then the newer version, as MLflow has it. */
static int compare(const void *a, const void *b, void *self) {
    const order *o = self;
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int by = compare_field(x, y, o->field);
    if (by != 0) return o->descending ? -by : by;
    by = compare_field(x, y, FW_MLFLOW_NAME);
    return by != 0 ? by : compare_field(y, x, FW_MLFLOW_VERSION);
}

/* ---- a page ---- */

static fw_status read_token(const char *token, size_t *from, fw_error *error) {
    *from = 0;
    if (!token || !*token) return FW_OK;
    size_t size = strlen(token);
    if (token[0] != 'p' || size < 2 || size > 10 || strspn(token + 1, "0123456789") != size - 1)
        return fw_fail(error, FW_INVALID, "Invalid page token");
    *from = (size_t)strtoul(token + 1, NULL, 10);
    return FW_OK;
}

/* Matching rows into found (borrowed); returns how many. */
static size_t take_matches(const json_t *rows, const fw_mlflow_filter *filter, json_t **found) {
    size_t at, count = 0;
    json_t *row;
    json_array_foreach(rows, at, row) {
        candidate c = {.row = row};
        if (fw_mlflow_filter_match(filter, &(fw_mlflow_row){&c, field_of})) found[count++] = row;
    }
    return count;
}

fw_status fw_mlflow_page(const json_t *rows, const fw_mlflow_search *search, json_t **page, char next[24],
                         fw_error *error) {
    fw_mlflow_filter filter;
    order o = {.field = FW_MLFLOW_NAME};
    size_t from;
    FW_TRY(fw_mlflow_filter_read(search->filter ? search->filter : "", &filter, error));
    if (search->order_by && *search->order_by)
        FW_TRY(fw_mlflow_order_read(search->order_by, &o.field, &o.descending, error));
    FW_TRY(read_token(search->page_token, &from, error));
    json_t **found = calloc(json_array_size(rows) + 1, sizeof(json_t *));
    json_t *taken = json_array();
    if (!found || !taken) {
        free(found);
        json_decref(taken);
        return fw_fail(error, FW_NO_MEMORY, "no memory for a search");
    }
    size_t count = take_matches(rows, &filter, found), limit = (size_t)search->max_results;
    qsort_r(found, count, sizeof *found, compare, &o);
    size_t end = from < count && count - from > limit ? from + limit : count;
    for (size_t i = from; i < end; i++) json_array_append(taken, found[i]);
    next[0] = '\0';
    if (end < count) snprintf(next, 24, "p%zu", end);
    free(found);
    *page = taken;
    return FW_OK;
}
