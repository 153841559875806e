#include "http/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { CONNECT_TIMEOUT_MS = 5000, DEFAULT_TIMEOUT_MS = 30000 };

/* A client: libcurl's handle and its own copy of the options ("" where none). */
typedef struct curl_client {
    CURL *curl;
    char ca_path[512], cert_path[512], key_path[512], bearer[300];
} curl_client;

/* One perform in flight. */
typedef struct exchange {
    const fw_http_call *call;
    fw_http_reply *reply;
    FILE *file;          /* body_path, positioned */
    uint64_t body_bytes; /* to send */
    size_t body_at;      /* of a body in memory */
    bool too_big;
} exchange;

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static void curl_start(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take_body(char *bytes, size_t one, size_t size, void *self) {
    exchange *x = self;
    fw_http_reply *reply = x->reply;
    (void)one;
    if (size > x->call->reply_max_bytes - reply->body_bytes) {
        x->too_big = true;
        return 0;
    }
    char *grown = realloc(reply->body, reply->body_bytes + size + 1);
    if (!grown) return 0;
    memcpy(grown + reply->body_bytes, bytes, size);
    reply->body = grown;
    reply->body_bytes += size;
    grown[reply->body_bytes] = '\0';
    return size;
}

/* One header line, "Name: value\r\n". A new status line (after 100 Continue) starts afresh. */
static size_t take_header(char *bytes, size_t one, size_t size, void *self) {
    exchange *x = self;
    char line[256], *end;
    (void)one;
    size_t used = size < sizeof line - 1 ? size : sizeof line - 1;
    memcpy(line, bytes, used);
    line[used] = '\0';
    if (strncasecmp(line, "Upload-Offset:", 14) == 0) {
        long long offset = strtoll(line + 14, &end, 10);
        if (end != line + 14 && offset >= 0) x->reply->upload_offset = offset;
    } else if (strncasecmp(line, "Retry-After:", 12) == 0) {
        long wait_s = strtol(line + 12, &end, 10);
        if (end != line + 12 && wait_s >= 0 && wait_s < 86400)
            x->reply->retry_after_s = (int)wait_s;
    }
    return size;
}

static size_t give_body(char *out, size_t one, size_t size, void *self) {
    exchange *x = self;
    (void)one;
    if (x->file) return fread(out, 1, size, x->file);
    size_t left = x->call->body_bytes - x->body_at;
    size_t used = left < size ? left : size;
    if (used > 0) memcpy(out, (const char *)x->call->body + x->body_at, used);
    x->body_at += used;
    return used;
}

static int rewind_body(void *self, curl_off_t offset, int origin) {
    exchange *x = self;
    if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
    if (x->file)
        return fseeko(x->file, (off_t)(x->call->body_offset + (uint64_t)offset), SEEK_SET) == 0
                   ? CURL_SEEKFUNC_OK
                   : CURL_SEEKFUNC_FAIL;
    x->body_at = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static fw_status open_body(exchange *x, fw_error *error) {
    const fw_http_call *call = x->call;
    x->body_bytes = call->body_bytes;
    if (!call->body_path) return FW_OK;
    x->file = fopen(call->body_path, "rbe");
    if (!x->file) return fw_fail_errno(error, "cannot open %s", call->body_path);
    off_t end = fseeko(x->file, 0, SEEK_END) == 0 ? ftello(x->file) : -1;
    if (end < 0 || (uint64_t)end < call->body_offset ||
        fseeko(x->file, (off_t)call->body_offset, SEEK_SET) != 0)
        return fw_fail(error, FW_INVALID, "%s is shorter than the offset %llu", call->body_path,
                       (unsigned long long)call->body_offset);
    x->body_bytes = (uint64_t)end - call->body_offset;
    return FW_OK;
}

static void set_method(CURL *curl, exchange *x) {
    const char *method = x->call->method;
    bool sends = strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0 || strcmp(method, "DELETE") == 0;
    if (strcmp(method, "HEAD") == 0) curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (!sends) return;
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->body_bytes);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
    curl_easy_setopt(curl, CURLOPT_READDATA, x);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, rewind_body);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, x);
}

static void set_tls(const curl_client *client) {
    CURL *curl = client->curl;
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (client->ca_path[0]) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_path);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    if (client->cert_path[0]) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, client->cert_path);
        curl_easy_setopt(curl, CURLOPT_SSLKEY, client->key_path);
    }
}

static void set_options(const curl_client *client, exchange *x, struct curl_slist *headers,
                        char *why) {
    CURL *curl = client->curl;
    const fw_http_call *call = x->call;
    curl_easy_reset(curl); /* keeps the connection */
    curl_easy_setopt(curl, CURLOPT_URL, call->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                     (long)(call->timeout_ms > 0 ? call->timeout_ms : DEFAULT_TIMEOUT_MS));
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
    if (call->rate_bytes_per_s > 0) {
        curl_easy_setopt(curl, CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)call->rate_bytes_per_s);
        curl_easy_setopt(curl, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)call->rate_bytes_per_s);
    }
    set_tls(client);
    set_method(curl, x);
}

/* "https://..." or a loopback host: where a token may go ("127.0.0.1.example" is elsewhere). */
static bool may_see_token(const char *url) {
    static const char *const loopback[] = {"http://127.", "http://localhost", "http://[::1]"};
    if (strncasecmp(url, "https://", 8) == 0) return true;
    for (size_t i = 0; i < sizeof loopback / sizeof *loopback; i++) {
        size_t used = strlen(loopback[i]);
        if (strncasecmp(url, loopback[i], used) != 0) continue;
        if (i == 0) used += strspn(url + used, "0123456789.");
        return url[used] == '\0' || url[used] == ':' || url[used] == '/';
    }
    return false;
}

static fw_status make_headers(const curl_client *client, const fw_http_call *call,
                              struct curl_slist **out, fw_error *error) {
    struct curl_slist *headers = NULL, *more;
    const char *bearer[] = {client->bearer, NULL};
    const char *const *const lists[] = {call->headers, client->bearer[0] ? bearer : NULL};
    if (client->bearer[0] && !may_see_token(call->url))
        return fw_fail(error, FW_DENIED, "%s: a token goes over https or to this machine alone",
                       call->url);
    for (int i = 0; i < 2; i++)
        for (const char *const *h = lists[i]; h && *h; h++) {
            if (!(more = curl_slist_append(headers, *h))) {
                curl_slist_free_all(headers);
                return fw_fail(error, FW_NO_MEMORY, "no memory for a request");
            }
            headers = more;
        }
    *out = headers;
    return FW_OK;
}

static fw_status explain(CURLcode code, const exchange *x, const char *why, fw_error *error) {
    const char *text = why[0] ? why : curl_easy_strerror(code);
    if (x->too_big)
        return fw_fail(error, FW_TOO_BIG, "%s %s: the reply is over %zu bytes", x->call->method,
                       x->call->url, x->call->reply_max_bytes);
    fw_status status = FW_IO;
    if (code == CURLE_OPERATION_TIMEDOUT) status = FW_TIMEOUT;
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_GOT_NOTHING || code == CURLE_SEND_ERROR ||
        code == CURLE_RECV_ERROR || code == CURLE_PARTIAL_FILE)
        status = FW_CLOSED;
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) status = FW_INVALID;
    return fw_fail(error, status, "%s %s: %s", x->call->method, x->call->url, text);
}

static fw_status curl_perform(void *self, const fw_http_call *call, fw_http_reply *reply,
                              fw_error *error) {
    const curl_client *client = self;
    CURL *curl = client->curl;
    fw_http_reply got = {.upload_offset = -1};
    exchange x = {.call = call, .reply = &got};
    char why[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    fw_status status = open_body(&x, error);
    if (status != FW_OK) goto done;
    status = make_headers(client, call, &headers, error);
    if (status != FW_OK) goto done;
    set_options(client, &x, headers, why);
    CURLcode code = curl_easy_perform(curl);
    long answered = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answered);
    /* A server that refuses an upload early answers and closes: that is an answer. */
    bool refused_early = code == CURLE_SEND_ERROR && answered >= 400;
    if (code != CURLE_OK && !refused_early) {
        status = explain(code, &x, why, error);
        goto done;
    }
    got.status = (int)answered;
    if (!got.body && !(got.body = calloc(1, 1)))
        status = fw_fail(error, FW_NO_MEMORY, "no memory for a reply");
done:
    if (x.file) fclose(x.file);
    curl_slist_free_all(headers);
    if (status == FW_OK)
        *reply = got;
    else
        fw_http_reply_clear(&got);
    return status;
}

static void curl_free_client(void *self) {
    curl_client *client = self;
    curl_easy_cleanup(client->curl);
    free(client);
}

static fw_status copy_path(const char *path, char *out, size_t out_size, fw_error *error) {
    if (!path || !*path) return FW_OK;
    if (access(path, R_OK) != 0) return fw_fail_errno(error, "cannot read %s", path);
    int used = snprintf(out, out_size, "%s", path);
    return used > 0 && (size_t)used < out_size
               ? FW_OK
               : fw_fail(error, FW_TOO_BIG, "the path %.60s... is too long", path);
}

static fw_status copy_options(const fw_http_client_options *options, curl_client *client,
                              fw_error *error) {
    if (!options) return FW_OK;
    FW_TRY(copy_path(options->ca_path, client->ca_path, sizeof client->ca_path, error));
    FW_TRY(copy_path(options->cert_path, client->cert_path, sizeof client->cert_path, error));
    FW_TRY(copy_path(options->key_path, client->key_path, sizeof client->key_path, error));
    if (!client->cert_path[0] != !client->key_path[0])
        return fw_fail(error, FW_INVALID, "a certificate and its key go together");
    if (!options->token || !*options->token) return FW_OK;
    size_t size = strlen(options->token);
    if (size > 200 || strspn(options->token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                             "0123456789._~+/=-") != size)
        return fw_fail(error, FW_INVALID, "that is no token");
    snprintf(client->bearer, sizeof client->bearer, "Authorization: Bearer %s", options->token);
    return FW_OK;
}

fw_status fw_http_client_curl_with(const fw_http_client_options *options, fw_http_client *out,
                                   fw_error *error) {
    pthread_once(&curl_once, curl_start);
    curl_client *client = calloc(1, sizeof *client);
    if (!client) return fw_fail(error, FW_NO_MEMORY, "no memory for an HTTP client");
    fw_status status = copy_options(options, client, error);
    if (status == FW_OK && !(client->curl = curl_easy_init()))
        status = fw_fail(error, FW_NO_MEMORY, "libcurl does not start");
    if (status != FW_OK) {
        free(client);
        return status;
    }
    *out = (fw_http_client){.self = client, .perform = curl_perform, .free = curl_free_client};
    return FW_OK;
}

fw_status fw_http_client_curl(fw_http_client *out, fw_error *error) {
    return fw_http_client_curl_with(NULL, out, error);
}

void fw_http_reply_clear(fw_http_reply *reply) {
    free(reply->body);
    *reply = (fw_http_reply){.upload_offset = -1};
}
