/* api_query.c - asking for recordings over HTTP: GET /v1/query?q=, GET /v1/recordings?unit=... and
 * what slices, retention and erasure answer (api.h).
 *
 * The parameters of GET /v1/recordings are put together to a query's text, joined with "and", and go
 * the same way (query.h). Without any of them it answers its plain list, as ever.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "factory/api_query.h"
#include "factory/query.h"

enum { LIMIT_DEFAULT = 1000 };

static const char *parameter(const fw_api_call *c, const char *name) {
    return c->request->query(c->request->native, name);
}

static fw_status read_limit(const fw_api_call *c, int64_t *limit, fw_error *error) {
    const char *text = parameter(c, "limit");
    char *end;
    *limit = LIMIT_DEFAULT;
    if (!text) return FW_OK;
    *limit = strtoll(text, &end, 10);
    if (end != text && !*end && *limit >= 0 && *limit <= FW_QUERY_LIMIT_MAX) return FW_OK;
    return fw_fail(error, FW_INVALID, "limit takes 0 to %d", FW_QUERY_LIMIT_MAX);
}

static void answer_query(const fw_api_call *c, const char *text) {
    fw_error error = {""};
    fw_query *query = NULL;
    char *json = NULL;
    int64_t limit;
    const char *after = parameter(c, "after");
    fw_status status = read_limit(c, &limit, &error);
    if (status == FW_OK) status = fw_query_parse(text, &query, &error);
    if (status == FW_OK)
        status = fw_query_json(c->factory->catalogue, query, limit, after ? after : "", &json,
                               &error);
    fw_query_free(query);
    fw_api_answer(c, status, 200, json, &error);
}

void fw_api_query_get(const fw_api_call *c) {
    const char *text = parameter(c, "q");
    answer_query(c, text ? text : "");
}

/* ---- GET /v1/recordings?... ---- */

typedef struct parameter_form {
    const char *name, *before, *after; /* before VALUE after */
} parameter_form;

static const parameter_form forms[] = {
    {"unit", "unit=\"", "\""},         {"line", "line=\"", "\""},   {"form", "form=\"", "\""},
    {"since", "time>=\"", "\""},       {"until", "time<\"", "\""},  {"model", "model=\"", "\""},
    {"event", "event=\"", "\""},       {"state", "state=\"", "\""}, {"campaign", "campaign=\"", "\""},
    {"near", "near(", ")"},            {"where", "(", ")"},
};
enum { FORM_COUNT = sizeof forms / sizeof *forms };

bool fw_api_query_wanted(const fw_api_call *c) {
    for (int i = 0; i < FORM_COUNT; i++)
        if (parameter(c, forms[i].name)) return true;
    return parameter(c, "after") != NULL;
}

/* A value that would end its quotes has no place in one. */
static bool quotable(const parameter_form *form, const char *value) {
    return form->before[strlen(form->before) - 1] != '"' || !strchr(value, '"');
}

void fw_api_query_recordings(const fw_api_call *c) {
    char text[FW_QUERY_MAX_BYTES + 1] = "";
    size_t used = 0;
    for (int i = 0; i < FORM_COUNT; i++) {
        const char *value = parameter(c, forms[i].name);
        if (!value) continue;
        int put = snprintf(text + used, sizeof text - used, "%s%s%s%s", used ? " and " : "",
                           forms[i].before, value, forms[i].after);
        if (!quotable(&forms[i], value) || put < 0 || (size_t)put >= sizeof text - used) {
            fw_error error = {""};
            fw_status status = fw_fail(&error, FW_INVALID, "the value of %s does not fit a query",
                                       forms[i].name);
            fw_api_answer(c, status, 400, NULL, &error);
            return;
        }
        used += (size_t)put;
    }
    answer_query(c, text);
}
