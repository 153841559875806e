/* api_query.c - asking for recordings over HTTP: GET /v1/query?q=, GET /v1/recordings?unit=... and
 * what slices, retention and erasure answer (api.h).
 *
 * The parameters of GET /v1/recordings are put together to a query's text, joined with "and", and go
 * the same way (query.h). Without any of them it answers its plain list, as ever.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "factory/api/api_query.h"
#include "factory/query/query.h"
#include "factory/query/slice.h"

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

/* ---- slices ---- */

enum { SLICE_AGE_S = 3600, SLICES_OPEN_MAX = 2 };

static fw_status read_number(const fw_api_call *c, const char *name, double max, double otherwise,
                             bool *given, double *out, fw_error *error) {
    const char *text = parameter(c, name);
    char *end;
    *given = text != NULL;
    *out = otherwise;
    if (!text) return FW_OK;
    *out = strtod(text, &end);
    if (end != text && !*end && *out >= 0 && *out <= max) return FW_OK;
    return fw_fail(error, FW_INVALID, "%s takes a number from 0 to %.0f", name, max);
}

/* "/ego,/event" cut into words, in place. */
static fw_status split_topics(char *text, const char **words, size_t *count, fw_error *error) {
    *count = 0;
    for (char *next, *word = text; word && *word; word = next) {
        next = strchr(word, ',');
        if (next) *next++ = '\0';
        if (*count == FW_SLICE_TOPICS_MAX)
            return fw_fail(error, FW_INVALID, "over %d topics", FW_SLICE_TOPICS_MAX);
        words[(*count)++] = word;
    }
    return FW_OK;
}

static fw_status read_slice_options(const fw_api_call *c, fw_slice_options *o, fw_error *error) {
    bool before, after, given;
    double before_s, after_s, max_bytes;
    FW_TRY(read_number(c, "before_s", 86400, 0, &before, &before_s, error));
    FW_TRY(read_number(c, "after_s", 86400, 0, &after, &after_s, error));
    FW_TRY(read_number(c, "max_bytes", (double)FW_SLICE_BYTES_MAX, 0, &given, &max_bytes, error));
    o->around_events = before || after;
    o->before_ns = (int64_t)(before_s * 1e9);
    o->after_ns = (int64_t)(after_s * 1e9);
    o->max_bytes = (uint64_t)max_bytes;
    return FW_OK;
}

static void slices_folder(const fw_factory *f, char out[FW_PATH_MAX]) {
    int used = snprintf(out, FW_PATH_MAX, "%s/slices", f->config.data_folder);
    FW_ASSERT(used > 0 && used < FW_PATH_MAX - 100);
}

/* Slices of the last hour may take a quarter of the disk cap; each has what is left of it. */
static fw_status limit_slice(const fw_api_call *c, const char *folder, fw_slice_options *o,
                             fw_error *error) {
    uint64_t may = c->factory->ingest.disk_cap_bytes / 4, used = fw_folder_size_bytes(folder);
    if (used >= may)
        return fw_fail(error, FW_NO_SPACE, "slices of the last hour take a quarter of the disk cap");
    if (!o->max_bytes) o->max_bytes = FW_SLICE_BYTES_DEFAULT;
    if (o->max_bytes > may - used) o->max_bytes = may - used;
    return FW_OK;
}

/* Writes DIR/slices/<hash of the request and of the moment>, which is gone within the hour. */
static fw_status make_slice(const fw_api_call *c, const char *text, fw_slice_options *o,
                            char path[FW_PATH_MAX + 80], fw_slice_report *report, fw_error *error) {
    char folder[FW_PATH_MAX], name[160];
    fw_query *query = NULL;
    slices_folder(c->factory, folder);
    FW_TRY(fw_folder_make(folder, 0755, error));
    FW_TRY(limit_slice(c, folder, o, error));
    snprintf(name, sizeof name, "%p %lld", (const void *)c,
             (long long)fw_env_mono_ns(c->factory->config.env));
    fw_hash hash = fw_hash_bytes(name, strlen(name));
    snprintf(path, FW_PATH_MAX + 80, "%s/%.32s.mcap", folder, hash.hex);
    FW_TRY(fw_query_parse(text, &query, error));
    fw_status status = fw_slice_write(c->factory->catalogue, &c->factory->objects, query, text, o,
                                      path, report, error);
    fw_query_free(query);
    return status;
}

/* The same, unless so many are being written that uploads would lack threads. */
static fw_status make_slice_in_turn(const fw_api_call *c, const char *text, fw_slice_options *o,
                                    char path[FW_PATH_MAX + 80], fw_slice_report *report,
                                    fw_error *error) {
    atomic_uint *open = &c->factory->slices_open;
    fw_status status =
        atomic_fetch_add(open, 1) < SLICES_OPEN_MAX
            ? make_slice(c, text, o, path, report, error)
            : fw_fail(error, FW_TIMEOUT, "%d slices are being written; ask again", SLICES_OPEN_MAX);
    atomic_fetch_sub(open, 1);
    return status;
}

/* Makes the slice that the parameters ask for; its file's path. */
static fw_status answer_slice(const fw_api_call *c, char path[FW_PATH_MAX + 80],
                              fw_slice_report *report, fw_error *error) {
    const char *words[FW_SLICE_TOPICS_MAX], *text = parameter(c, "q"),
               *wanted = parameter(c, "topics");
    char *topics = strdup(wanted ? wanted : "");
    fw_slice_options o = {.topics = words};
    fw_status status = topics ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a slice");
    if (status == FW_OK) status = split_topics(topics, words, &o.topic_count, error);
    if (status == FW_OK) status = read_slice_options(c, &o, error);
    if (status == FW_OK) status = make_slice_in_turn(c, text ? text : "", &o, path, report, error);
    free(topics);
    if (status == FW_OK && strlen(path) >= sizeof c->response->file_path)
        status = fw_fail(error, FW_TOO_BIG, "the path of the data folder is too long");
    return status;
}

static void send_slice(const fw_api_call *c, const char *path) {
    c->response->status = 200;
    c->response->content_type = "application/octet-stream";
    memcpy(c->response->file_path, path, strlen(path) + 1);
    fw_http_add_header(c->response, "Content-Disposition", "attachment; filename=\"slice.mcap\"");
}

void fw_api_slice_get(const fw_api_call *c) {
    char path[FW_PATH_MAX + 80];
    fw_error error = {""};
    fw_slice_report report;
    fw_status status = answer_slice(c, path, &report, &error);
    if (status != FW_OK) {
        fw_api_answer(c, status, 0, NULL, &error);
        return;
    }
    send_slice(c, path);
    fw_http_add_header(c->response, "Flywheel-Cut", report.cut ? "true" : "false");
    fw_http_add_header(c->response, "Cache-Control", "no-store");
}

void fw_api_slice_post(const fw_api_call *c) {
    char path[FW_PATH_MAX + 80], *json = NULL;
    fw_error error = {""};
    fw_slice_report r;
    fw_status status = answer_slice(c, path, &r, &error);
    if (status == FW_OK &&
        asprintf(&json,
                 "{\"slice\":\"%s\",\"recordings\":%" PRIu64 ",\"messages\":%" PRIu64
                 ",\"size_bytes\":%" PRIu64 ",\"cut\":%s}",
                 strrchr(path, '/') + 1, r.recordings, r.messages, r.size_bytes,
                 r.cut ? "true" : "false") < 0)
        status = fw_fail(&error, FW_NO_MEMORY, "no memory for an answer");
    fw_api_answer(c, status, 201, json, &error);
}

static bool slice_name_valid(const char *name) {
    return strlen(name) == 37 && strspn(name, "0123456789abcdef") == 32 &&
           strcmp(name + 32, ".mcap") == 0;
}

void fw_api_slices_get(const fw_api_call *c) {
    char folder[FW_PATH_MAX], path[FW_PATH_MAX + 80];
    slices_folder(c->factory, folder);
    snprintf(path, sizeof path, "%s/%.40s", folder, c->argument);
    if (!slice_name_valid(c->argument) || strlen(path) >= sizeof c->response->file_path ||
        !fw_file_exists(path)) {
        fw_http_respond_error(c->response, 404, "no slice %s; they are kept for an hour",
                              c->argument);
        return;
    }
    send_slice(c, path);
}

void fw_slices_sweep(const fw_env *env, const char *data_folder) {
    char folder[FW_PATH_MAX], path[FW_PATH_MAX + 300];
    struct stat info;
    fw_path_join(folder, sizeof folder, data_folder, "slices");
    DIR *dir = opendir(folder);
    if (!dir) return;
    int64_t now_s = fw_env_wall_ns(env) / 1000000000;
    for (struct dirent *entry; (entry = readdir(dir));) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stat(path, &info) == 0 && S_ISREG(info.st_mode) &&
            now_s - (int64_t)info.st_mtime >= SLICE_AGE_S)
            unlink(path);
    }
    closedir(dir);
}
