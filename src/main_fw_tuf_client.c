/* fw-tuf-client - the TUF client as the public conformance suite asks for it.
 *
 *   fw-tuf-client --metadata-dir DIR init TRUSTED_ROOT
 *   fw-tuf-client --metadata-dir DIR --metadata-url URL refresh
 *   fw-tuf-client --metadata-dir DIR --metadata-url URL --target-name NAME... --target-base-url URL
 *                 --target-dir DIR download
 *
 * Several --target-name are taken in their order by one client; the first that fails ends it. A target is written
 * under its name, percent-encoded. The clock is the C library's. Exit 0 done, 1 failed with one line on stderr.
 * The command line is that of github theupdateframework/tuf-conformance, CLIENT-CLI.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "http/client.h"
#include "trust/role.h"
#include "trust/tuf.h"

enum { TARGETS_MAX = 64, ADDRESS_MAX = 4096, ROOT_MAX_BYTES = 512 << 10, ANSWER_TIMEOUT_MS = 60000 };

typedef struct words {
    const char *metadata_dir, *metadata_url, *target_base_url, *target_dir, *command, *root;
    const char *targets[TARGETS_MAX];
    size_t target_count;
} words;

/* ---- the command line ---- */

static fw_status take_option(words *w, const char *name, const char *value, fw_error *error) {
    const struct {
        const char *name, **out;
    } options[] = {{"--metadata-dir", &w->metadata_dir},
                   {"--metadata-url", &w->metadata_url},
                   {"--target-base-url", &w->target_base_url},
                   {"--target-dir", &w->target_dir}};
    if (!strcmp(name, "--target-name")) {
        if (w->target_count == TARGETS_MAX) return fw_fail(error, FW_TOO_BIG, "over %d targets", TARGETS_MAX);
        w->targets[w->target_count++] = value;
        return FW_OK;
    }
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (!strcmp(name, options[i].name)) {
            *options[i].out = value;
            return FW_OK;
        }
    return fw_fail(error, FW_INVALID, "no option %s", name);
}

static fw_status take_words(int argc, char **argv, words *w, fw_error *error) {
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--", 2)) {
            if (i + 1 == argc) return fw_fail(error, FW_INVALID, "%s wants a value", argv[i]);
            FW_TRY(take_option(w, argv[i], argv[i + 1], error));
            i++;
        } else if (!w->command) w->command = argv[i];
        else if (!w->root) w->root = argv[i];
        else return fw_fail(error, FW_INVALID, "one word too many: %s", argv[i]);
    }
    if (!w->command || !w->metadata_dir) return fw_fail(error, FW_INVALID, "want --metadata-dir DIR and init, refresh or download");
    return FW_OK;
}

/* ---- the line ---- */

typedef struct line {
    fw_http_client http;
    const words *words;
} line;

/* FW_OK with a reply of status 200 or 206. */
static fw_status get(const line *l, const char *base, const char *path, const char *const *headers, size_t max_bytes,
                     fw_http_reply *reply, fw_error *error) {
    char url[ADDRESS_MAX];
    bool slash = *base && base[strlen(base) - 1] == '/';
    if (snprintf(url, sizeof url, "%s%s%s", base, slash ? "" : "/", path) >= (int)sizeof url)
        return fw_fail(error, FW_TOO_BIG, "the address of %.80s is too long", path);
    fw_http_call call = {.method = "GET", .url = url, .headers = headers, .reply_max_bytes = max_bytes,
                         .timeout_ms = ANSWER_TIMEOUT_MS};
    FW_TRY(l->http.perform(l->http.self, &call, reply, error));
    if (reply->status == 200 || reply->status == 206) return FW_OK;
    int status = reply->status;
    fw_http_reply_clear(reply);
    return fw_fail(error, status == 404 || status == 403 ? FW_NOT_FOUND : status == 416 ? FW_MISMATCH : FW_IO,
                   "%s: the server answers %d", url, status);
}

static fw_status get_metadata(void *self, const char *path, size_t max_bytes, char **bytes, size_t *size_bytes,
                              fw_error *error) {
    const line *l = self;
    fw_http_reply reply = {0};
    FW_TRY(get(l, l->words->metadata_url, path, NULL, max_bytes, &reply, error));
    *bytes = reply.body;
    *size_bytes = reply.body_bytes;
    return FW_OK;
}

static fw_status get_target(void *self, const char *path, uint64_t offset, size_t max_bytes, int fd, fw_error *error) {
    const line *l = self;
    char range[64];
    const char *headers[] = {range, NULL};
    fw_http_reply reply = {0};
    snprintf(range, sizeof range, "Range: bytes=%llu-", (unsigned long long)offset);
    FW_TRY(get(l, l->words->target_base_url, path, offset ? headers : NULL, max_bytes, &reply, error));
    fw_status status = offset && reply.status != 206 ? fw_fail(error, FW_MISMATCH, "%s: the server knows no ranges", path)
                                                     : fw_file_write_all(fw_env_real(), fd, reply.body, reply.body_bytes, path, error);
    fw_http_reply_clear(&reply);
    return status;
}

/* ---- the commands ---- */

static fw_status init(const words *w, fw_error *error) {
    char *bytes = NULL;
    size_t size_bytes = 0;
    if (!w->root) return fw_fail(error, FW_INVALID, "init wants a root");
    FW_TRY(fw_file_read(w->root, ROOT_MAX_BYTES, &bytes, &size_bytes, error));
    fw_status status = fw_tuf_init(fw_env_real(), w->metadata_dir, bytes, size_bytes, error);
    free(bytes);
    return status;
}

static fw_status download_one(fw_tuf_client *client, const words *w, const char *name, fw_error *error) {
    char quoted[256], path[FW_PATH_MAX];
    fw_tuf_target target;
    FW_TRY(fw_tuf_quote(name, false, quoted, sizeof quoted, error));
    if (strlen(w->target_dir) + strlen(quoted) + 2 > sizeof path) return fw_fail(error, FW_TOO_BIG, "--target-dir is too long");
    fw_path_join(path, sizeof path, w->target_dir, quoted);
    FW_TRY(fw_tuf_find(client, name, &target, error));
    return fw_tuf_download(client, &target, path, error);
}

static fw_status follow(const words *w, fw_tuf_client *client, bool downloads, fw_error *error) {
    FW_TRY(fw_tuf_refresh(client, error));
    for (size_t i = 0; downloads && i < w->target_count; i++) FW_TRY(download_one(client, w, w->targets[i], error));
    return FW_OK;
}

static fw_status update(const words *w, bool downloads, fw_error *error) {
    fw_tuf_client *client = NULL;
    line l = {.words = w};
    fw_tuf_fetch fetch = {.self = &l, .metadata = get_metadata, .target = get_target};
    if (!w->metadata_url) return fw_fail(error, FW_INVALID, "%s wants --metadata-url", w->command);
    if (downloads && (!w->target_base_url || !w->target_dir || w->target_count == 0))
        return fw_fail(error, FW_INVALID, "download wants --target-name, --target-base-url and --target-dir");
    FW_TRY(fw_http_client_curl(&l.http, error));
    fw_status status = fw_tuf_open(fw_env_real(), w->metadata_dir, &fetch, NULL, &client, error);
    if (status == FW_OK) status = follow(w, client, downloads, error);
    fw_tuf_close(client);
    l.http.free(l.http.self);
    return status;
}

static fw_status run(const words *w, fw_error *error) {
    if (!strcmp(w->command, "init")) return init(w, error);
    if (!strcmp(w->command, "refresh")) return update(w, false, error);
    if (!strcmp(w->command, "download")) return update(w, true, error);
    return fw_fail(error, FW_INVALID, "no command %s: init, refresh or download", w->command);
}

int main(int argc, char **argv) {
    words w = {0};
    fw_error error = {""};
    fw_json_start();
    fw_status status = take_words(argc, argv, &w, &error);
    if (status == FW_OK) status = run(&w, &error);
    if (status == FW_OK) return 0;
    fprintf(stderr, "fw-tuf-client: %s: %s\n", fw_status_text(status), error.text);
    return 1;
}
