/* Who may do what: a real factory behind a real server with TLS, asked by real clients. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "fixture.h"

#include "factory/api/api.h"
#include "factory/identity/authority.h"
#include "factory/identity/identity.h"
#include "http/client.h"
#include "http/server.h"

enum { ANONYMOUS, UNIT_A, UNIT_B, READ, OPERATE, ADMIN, ASKERS };
static const char *const asker_names[ASKERS] = {"nobody", "unit a",  "unit b",
                                                "read",   "operate", "admin"};

typedef struct guarded {
    fixture *f;
    fw_http_server *server;
    char *pem[3];
    char ca_path[FW_PATH_MAX];
    fw_http_client askers[ASKERS];
} guarded;

#define DAY_NS (INT64_C(86400) * 1000000000)

static char *slurp(const char *path) {
    char *text;
    size_t size;
    fw_error error = {""};
    if (fw_file_read(path, 1 << 16, &text, &size, &error) != FW_OK) fail_msg("%s", error.text);
    return text;
}

/* The tables are looked at again by the next request. */
static void let_time_pass(guarded *g) {
    g->f->faults.skip_ns += 2 * FW_IDENTITY_FRESH_MS * INT64_C(1000000);
}

/* A client with a certificate of `unit`, signed by the authority of data_folder and recorded in
 * this factory's catalogue; `fingerprint` may be NULL. */
static fw_http_client enrolled(guarded *g, const char *data_folder, const char *unit, int days,
                               char *fingerprint) {
    fw_enrolled e;
    fw_http_client client;
    fw_error error = {""};
    char folder[FW_PATH_MAX], cert[FW_PATH_MAX], key[FW_PATH_MAX];
    static int count;
    if (fw_identity_enroll(&g->f->faults.env, g->f->factory->catalogue, data_folder, unit, days,
                           NULL, &e, &error) != FW_OK)
        fail_msg("%s", error.text);
    snprintf(folder, sizeof folder, "%s/%s-%d", g->f->folder, unit, count++);
    assert_int_equal(fw_folder_make(folder, 0700, &error), FW_OK);
    assert_int_equal(
        fw_authority_write(fw_env_real(), folder, "cert.pem", e.cert_pem, 0600, &error), FW_OK);
    assert_int_equal(fw_authority_write(fw_env_real(), folder, "key.pem", e.key_pem, 0600, &error),
                     FW_OK);
    if (fingerprint) strcpy(fingerprint, e.fingerprint);
    fw_enrolled_clear(&e);
    fw_path_join(cert, sizeof cert, folder, "cert.pem");
    fw_path_join(key, sizeof key, folder, "key.pem");
    const fw_http_client_options options = {
        .ca_path = g->ca_path, .cert_path = cert, .key_path = key};
    if (fw_http_client_curl_with(&options, &client, &error) != FW_OK) fail_msg("%s", error.text);
    return client;
}

static fw_http_client with_token(guarded *g, const char *token) {
    fw_http_client client;
    fw_error error = {""};
    const fw_http_client_options options = {.ca_path = g->ca_path, .token = token};
    if (fw_http_client_curl_with(&options, &client, &error) != FW_OK) fail_msg("%s", error.text);
    return client;
}

static void make_token(guarded *g, const char *name, fw_scope scope, int days,
                       char token[FW_IDENTITY_TOKEN_MAX]) {
    fw_error error = {""};
    if (fw_token_create(&g->f->faults.env, g->f->factory->catalogue, name, scope, days, token,
                        &error) != FW_OK)
        fail_msg("%s", error.text);
}

static int open_guarded(void **state) {
    guarded *g = calloc(1, sizeof *g);
    fw_identity_server files;
    fw_error error = {""};
    char token[FW_IDENTITY_TOKEN_MAX];
    assert_int_equal(fixture_open((void **)&g->f), 0);
    const char *const names[] = {"127.0.0.1", NULL};
    if (fw_identity_serve(&g->f->faults.env, g->f->data, names, &files, &error) != FW_OK)
        fail_msg("%s", error.text);
    g->pem[0] = slurp(files.ca_path);
    g->pem[1] = slurp(files.cert_path);
    g->pem[2] = slurp(files.key_path);
    strcpy(g->ca_path, files.ca_path);
    const fw_http_tls tls = {g->pem[0], g->pem[1], g->pem[2]};
    const fw_http_config config = {.address = "127.0.0.1", .body_max_bytes = 1 << 20, .tls = &tls};
    if (fw_http_server_start(&config, &g->f->app, &g->server, &error) != FW_OK)
        fail_msg("%s", error.text);
    g->askers[ANONYMOUS] = with_token(g, NULL);
    g->askers[UNIT_A] = enrolled(g, g->f->data, "a", 10, NULL);
    g->askers[UNIT_B] = enrolled(g, g->f->data, "b", 10, NULL);
    for (int i = READ; i < ASKERS; i++) {
        fw_scope scope = (fw_scope)(i - READ + (int)FW_SCOPE_READ);
        make_token(g, fw_scope_text(scope), scope, 10, token);
        g->askers[i] = with_token(g, token);
    }
    let_time_pass(g);
    *state = g;
    return 0;
}
static int close_guarded(void **state) {
    guarded *g = *state;
    for (int i = 0; i < ASKERS; i++) g->askers[i].free(g->askers[i].self);
    fw_http_server_stop(g->server);
    for (int i = 0; i < 3; i++) free(g->pem[i]);
    int closed = fixture_close((void **)&g->f);
    free(g);
    return closed;
}

/* The HTTP status; the answer's text into `text` when given. A stream that does not end: 200. */
static int ask(guarded *g, fw_http_client *client, fw_http_call call, const char *path,
               char text[400]) {
    char url[300];
    fw_http_reply reply;
    fw_error error = {""};
    bool stream = strcmp(path, "/v1/live") == 0;
    snprintf(url, sizeof url, "https://127.0.0.1:%u%s", fw_http_server_port(g->server), path);
    call.url = url;
    call.reply_max_bytes = 1 << 20;
    call.timeout_ms = stream ? 300 : 20000;
    fw_status status = client->perform(client->self, &call, &reply, &error);
    if (stream && status == FW_TIMEOUT) return 200;
    if (status != FW_OK) fail_msg("%s %s: %s", call.method, path, error.text);
    if (text) snprintf(text, 400, "%s", reply.body);
    int got = reply.status;
    fw_http_reply_clear(&reply);
    return got;
}

static int get(guarded *g, fw_http_client *client, const char *path, char text[400]) {
    return ask(g, client, (fw_http_call){.method = "GET"}, path, text);
}

/* PUTs a recording as `unit` says; returns the status and its hash. */
static int send_recording(guarded *g, fw_http_client *client, const char *unit, int salt,
                          const char *kind, fw_hash *hash) {
    static uint8_t bytes[MCAP_MAX];
    char path[120], unit_line[64], kind_line[64];
    size_t size = make_mcap(bytes, salt, 0);
    *hash = fw_hash_bytes(bytes, size);
    snprintf(path, sizeof path, "/v1/objects/%s", hash->hex);
    snprintf(unit_line, sizeof unit_line, "Flywheel-Unit: %s", unit);
    snprintf(kind_line, sizeof kind_line, "Flywheel-Kind: %s", kind);
    const char *const lines[] = {unit_line, kind_line, NULL};
    return ask(g, client,
               (fw_http_call){.method = "PUT", .headers = lines, .body = bytes, .body_bytes = size},
               path, NULL);
}

/* ---- every route, every asker ---- */

/* Who may: nobody, unit a, unit b, read, operate, admin. The * of units is "a", of objects a
 * recording of unit a, and Flywheel-Unit says "a". A new route needs a line here. */
static const struct {
    const char *method, *before, *after, *may;
} rules[] = {
    {"PUT", "/v1/objects/", "", "-a--oA"},
    {"HEAD", "/v1/objects/", "", "-a-roA"},
    {"GET", "/v1/objects/", "", "-a-roA"},
    {"POST", "/v1/units/", "/report", "-a--oA"},
    {"GET", "/v1/units/", "/campaigns", "-a-roA"},
    {"POST", "/v1/units/", "/key", "-a--oA"},
    {"GET", "/v1/units/", "/key", "-a-roA"},
    {"GET", "/v1/tuf/image/", "", "-abroA"},
    {"GET", "/v1/tuf/director/", "", "-a-roA"},
    {"POST", "/v1/records", NULL, "-a--oA"},
    {"GET", "/v1/records", NULL, "---roA"},
    {"GET", "/metrics", NULL, "---roA"},
    {"POST", "/v1/campaigns", NULL, "----oA"},
    {"GET", "/v1/campaigns", NULL, "---roA"},
    {"POST", "/v1/campaigns/estimate", NULL, "---roA"},
    {"GET", "/v1/campaigns/", "", "---roA"},
    {"POST", "/v1/campaigns/", "/end", "----oA"},
    {"GET", "/v1/units", NULL, "---roA"},
    {"GET", "/v1/recordings", NULL, "---roA"},
    {"GET", "/v1/query", NULL, "---roA"},
    {"GET", "/v1/events", NULL, "---roA"},
    {"GET", "/v1/events/", "/receipt", "---roA"},
    {"GET", "/v1/events/", "/replay", "---roA"},
    {"GET", "/v1/receipts", NULL, "---roA"},
    {"GET", "/v1/receipts/key", NULL, "---roA"},
    {"GET", "/v1/log", NULL, "---roA"},
    {"GET", "/v1/models", NULL, "---roA"},
    {"POST", "/v1/models", NULL, "----oA"},
    {"GET", "/v1/models/", "", "---roA"},
    {"POST", "/api/2.0/mlflow/registered-models/get-latest-versions", NULL, "---roA"},
    {"GET", "/api/2.0/mlflow/registered-models/", "", "---roA"},
    {"POST", "/api/2.0/mlflow/registered-models/", "", "----oA"},
    {"DELETE", "/api/2.0/mlflow/registered-models/", "", "----oA"},
    {"GET", "/api/2.0/mlflow/model-versions/", "", "---roA"},
    {"POST", "/api/2.0/mlflow/model-versions/", "", "----oA"},
    {"DELETE", "/api/2.0/mlflow/model-versions/", "", "----oA"},
    {"GET", "/api/2.0/mlflow-artifacts/artifacts", NULL, "---roA"},
    {"GET", "/api/2.0/mlflow-artifacts/artifacts/", "/model.safetensors", "---roA"},
    {"GET", "/api/2.0/mlflow-artifacts/artifacts/", "/lineage.json", "---roA"},
    {"GET", "/api/2.0/mlflow-artifacts/artifacts/", "/card.json", "---roA"},
    {"GET", "/api/2.0/mlflow-artifacts/artifacts/", "/model.sig", "---roA"},
    {"GET", "/api/2.0/mlflow-artifacts/artifacts/", "/MLmodel", "---roA"},
    {"GET", "/v1/gate/decisions", NULL, "---roA"},
    {"GET", "/v1/gate/decisions/", "", "---roA"},
    {"GET", "/v1/generations", NULL, "---roA"},
    {"POST", "/v1/generations", NULL, "----oA"},
    {"GET", "/v1/generations/", "", "---roA"},
    {"GET", "/v1/generations/", "/curve", "---roA"},
    {"GET", "/v1/generations/", "/replays", "---roA"},
    {"POST", "/v1/rollouts", NULL, "----oA"},
    {"GET", "/v1/rollouts", NULL, "---roA"},
    {"GET", "/v1/rollouts/", "", "---roA"},
    {"POST", "/v1/rollouts/", "/look", "----oA"},
    {"POST", "/v1/rollouts/", "/halt", "----oA"},
    {"POST", "/v1/rollouts/", "/resume", "----oA"},
    {"POST", "/v1/rollouts/", "/rollback", "----oA"},
    {"GET", "/v1/rollout-plan", NULL, "---roA"},
    {"POST", "/v1/rollout-plan", NULL, "----oA"},
    {"GET", "/v1/status", NULL, "---roA"},
    {"GET", "/v1/live", NULL, "---roA"},
    {"GET", "/v1/openapi.json", NULL, "---roA"},
    {"GET", "/v1/slice", NULL, "---roA"},
    {"POST", "/v1/slice", NULL, "---roA"},
    {"GET", "/v1/slices/", "", "---roA"},
    {"POST", "/v1/units/", "/erase", "-----A"},
    {"GET", "/v1/erasures", NULL, "---roA"},
    {"GET", "/v1/retention", NULL, "---roA"},
    {"POST", "/v1/retention", NULL, "-----A"},
};
enum { RULES = sizeof rules / sizeof *rules };

static const char *rule_of(const fw_api_route *route) {
    for (int i = 0; i < RULES; i++) {
        bool after =
            (rules[i].after && route->after && strcmp(rules[i].after, route->after) == 0) ||
            (!rules[i].after && !route->after);
        if (after && strcmp(rules[i].method, route->method) == 0 &&
            strcmp(rules[i].before, route->before) == 0)
            return rules[i].may;
    }
    fail_msg("who may %s %s*%s? Say so in this test", route->method, route->before,
             route->after ? route->after : "");
    return NULL;
}

static void every_route_for_every_asker(void **state) {
    guarded *g = *state;
    fw_hash of_a;
    int count;
    assert_int_equal(send_recording(g, &g->askers[UNIT_A], "a", 1, "recording", &of_a), 201);
    const fw_api_route *routes = fw_api_routes(&count);
    for (int i = 0; i < count; i++) {
        const fw_api_route *r = &routes[i];
        const char *may = rule_of(r);
        char path[200], text[400] = "";
        bool object = strcmp(r->before, "/v1/objects/") == 0;
        bool unit = strcmp(r->before, "/v1/units/") == 0;
        snprintf(path, sizeof path, "%s%s%s", r->before,
                 !r->after ? ""
                 : object  ? of_a.hex
                 : unit    ? "a"
                 : strcmp(r->before, "/v1/tuf/director/") == 0 ? "a/timestamp.json"
                           : "x",
                 r->after ? r->after : "");
        const char *const lines[] = {"Flywheel-Unit: a", NULL};
        bool sends = strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0;
        for (int asker = 0; asker < ASKERS; asker++) {
            int status = ask(g, &g->askers[asker],
                             (fw_http_call){.method = r->method,
                                            .headers = lines,
                                            .body = sends ? "{}" : NULL, /* erases nothing */
                                            .body_bytes = sends ? 2 : 0},
                             path, text);
            bool passed = status != 401 && status != 403;
            int refusal = asker == ANONYMOUS ? 401 : 403;
            if (passed != (may[asker] != '-') || (!passed && status != refusal))
                fail_msg("%s asks %s %s: %d %s", asker_names[asker], r->method, path, status, text);
        }
    }
}

static void the_page_needs_a_token(void **state) {
    guarded *g = *state;
    char text[400];
    assert_int_equal(get(g, &g->askers[ANONYMOUS], "/", text), 401);
    assert_int_equal(get(g, &g->askers[UNIT_A], "/", text), 403);
    assert_int_equal(get(g, &g->askers[UNIT_A], "/v1/no/such", text), 403);
    assert_int_equal(get(g, &g->askers[READ], "/", text), 200);
    assert_int_equal(get(g, &g->askers[READ], "/v1/no/such", text), 404);
}

/* ---- units ---- */

static void a_unit_is_nobody_else(void **state) {
    guarded *g = *state;
    fw_hash of_a, of_b, other, model;
    char path[120];
    fw_http_client *a = &g->askers[UNIT_A], *b = &g->askers[UNIT_B];
    assert_int_equal(send_recording(g, a, "a", 1, "recording", &of_a), 201);
    assert_int_equal(send_recording(g, b, "b", 2, "recording", &of_b), 201);
    assert_int_equal(send_recording(g, b, "a", 3, "recording", &other), 403);
    assert_int_equal(send_recording(g, b, "b", 4, "model", &other), 403);
    snprintf(path, sizeof path, "/v1/objects/%s", other.hex); /* nothing was taken */
    assert_int_equal(get(g, a, path, NULL), 404);
    snprintf(path, sizeof path, "/v1/objects/%s", of_b.hex);
    assert_int_equal(get(g, b, path, NULL), 200);
    assert_int_equal(get(g, a, path, NULL), 403);
    assert_int_equal(ask(g, a, (fw_http_call){.method = "HEAD"}, path, NULL), 403);
    /* the fleet's model is for all */
    model = add_champion(g->f, "a model for the fleet");
    snprintf(path, sizeof path, "/v1/objects/%s", model.hex);
    assert_int_equal(get(g, a, path, NULL), 200);
    assert_int_equal(get(g, b, path, NULL), 200);
}

static void certificates_that_do_not_count(void **state) {
    guarded *g = *state;
    char text[400], fingerprint[FW_HASH_HEX + 1], other_folder[100];
    int64_t count = 0;
    fw_error error;
    fw_http_call report = {.method = "POST", .body = "{}", .body_bytes = 2};
    /* ended */
    g->f->faults.skip_ns -= 20 * DAY_NS;
    fw_http_client late = enrolled(g, g->f->data, "late", 10, NULL);
    g->f->faults.skip_ns += 20 * DAY_NS;
    let_time_pass(g);
    assert_int_equal(ask(g, &late, report, "/v1/units/late/report", text), 403);
    assert_non_null(strstr(text, "expired"));
    late.free(late.self);
    /* another factory's, though its fingerprint is known here */
    snprintf(other_folder, sizeof other_folder, "%s/other", g->f->folder);
    fw_http_client foreign = enrolled(g, other_folder, "a", 10, NULL);
    let_time_pass(g);
    assert_int_equal(ask(g, &foreign, report, "/v1/units/a/report", text), 403);
    assert_non_null(strstr(text, "not made by this factory"));
    foreign.free(foreign.self);
    /* revoked while its connection is open */
    fw_http_client gone = enrolled(g, g->f->data, "gone", 10, fingerprint);
    let_time_pass(g);
    assert_int_equal(ask(g, &gone, report, "/v1/units/gone/report", text), 200);
    fingerprint[10] = '\0';
    assert_int_equal(fw_identity_revoke(&g->f->faults.env, g->f->factory->catalogue, fingerprint,
                                        &count, &error),
                     FW_OK);
    assert_int_equal(count, 1);
    let_time_pass(g);
    assert_int_equal(ask(g, &gone, report, "/v1/units/gone/report", text), 403);
    assert_non_null(strstr(text, "revoked"));
    gone.free(gone.self);
    assert_int_equal(
        fw_identity_revoke(&g->f->faults.env, g->f->factory->catalogue, "nobody", &count, &error),
        FW_NOT_FOUND);
}

/* What serves is not what may ask, though the authority signed it. */
static void the_servers_certificate_is_no_clients(void **state) {
    guarded *g = *state;
    char text[400], cert[FW_PATH_MAX], key[FW_PATH_MAX];
    fw_error error = {""};
    fw_http_client client;
    snprintf(cert, sizeof cert, "%s/identity/server.pem", g->f->data);
    snprintf(key, sizeof key, "%s/identity/server.key", g->f->data);
    const fw_http_client_options options = {
        .ca_path = g->ca_path, .cert_path = cert, .key_path = key};
    assert_int_equal(fw_http_client_curl_with(&options, &client, &error), FW_OK);
    assert_int_equal(get(g, &client, "/v1/status", text), 403);
    assert_non_null(strstr(text, "not one for clients"));
    client.free(client.self);
}

/* Three bytes of a handshake, and no more: the server ends it. */
static void a_handshake_that_stops(void **state) {
    guarded *g = *state;
    fw_error error;
    fw_http_server *server;
    char byte;
    const fw_http_tls tls = {g->pem[0], g->pem[1], g->pem[2]};
    const fw_http_config config = {.address = "127.0.0.1",
                                   .body_max_bytes = 100,
                                   .header_timeout_s = 1,
                                   .idle_timeout_s = 600,
                                   .tls = &tls};
    assert_int_equal(fw_http_server_start(&config, &g->f->app, &server, &error), FW_OK);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(fw_http_server_port(server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, "\x16\x03\x01", 3, MSG_NOSIGNAL), 3);
    while (recv(fd, &byte, 1, 0) > 0) continue; /* ends only because the server closes */
    close(fd);
    fw_http_server_stop(server);
}

/* The key stays on the unit; its certificate works with it alone. */
static void a_request_is_signed(void **state) {
    guarded *g = *state;
    fw_enrolled e;
    fw_error error = {""};
    char command[900], text[400], folder[80], path[3][120];
    snprintf(folder, sizeof folder, "%s/field", g->f->folder);
    assert_int_equal(fw_folder_make(folder, 0700, &error), FW_OK);
    for (int i = 0; i < 3; i++)
        snprintf(path[i], sizeof path[i], "%s/%s", folder,
                 i == 0   ? "key.pem"
                 : i == 1 ? "request.pem"
                          : "cert.pem");
    snprintf(command, sizeof command,
             "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=field "
             "-keyout %s -out %s 2>/dev/null",
             path[0], path[1]);
    if (system(command) != 0) skip(); /* no openssl program here */
    char *csr = slurp(path[1]);
    const fw_env *env = &g->f->faults.env;
    fw_catalogue *catalogue = g->f->factory->catalogue;
    assert_int_equal(fw_identity_enroll(env, catalogue, g->f->data, "another", 10, csr, &e, &error),
                     FW_INVALID);
    assert_int_equal(fw_identity_enroll(env, catalogue, g->f->data, "field", 10, csr, &e, &error),
                     FW_OK);
    assert_null(e.key_pem);
    write_text(path[2], e.cert_pem);
    fw_enrolled_clear(&e);
    csr[strlen(csr) / 2] ^= 1; /* any damage is seen */
    assert_int_equal(fw_identity_enroll(env, catalogue, g->f->data, "field", 10, csr, &e, &error),
                     FW_INVALID);
    free(csr);
    let_time_pass(g);
    const fw_http_client_options options = {
        .ca_path = g->ca_path, .cert_path = path[2], .key_path = path[0]};
    fw_http_client client;
    assert_int_equal(fw_http_client_curl_with(&options, &client, &error), FW_OK);
    assert_int_equal(ask(g, &client,
                         (fw_http_call){.method = "POST", .body = "{}", .body_bytes = 2},
                         "/v1/units/field/report", text),
                     200);
    client.free(client.self);
}

/* ---- tokens ---- */

static void tokens_that_do_not_count(void **state) {
    guarded *g = *state;
    char token[FW_IDENTITY_TOKEN_MAX], text[400];
    fw_error error;
    fw_catalogue *catalogue = g->f->factory->catalogue;
    make_token(g, "me", FW_SCOPE_READ, 10, token);
    fw_http_client me = with_token(g, token);
    let_time_pass(g);
    assert_int_equal(get(g, &me, "/v1/status", text), 200);
    assert_int_equal(
        fw_token_create(&g->f->faults.env, catalogue, "me", FW_SCOPE_ADMIN, 10, token, &error),
        FW_EXISTS);
    assert_int_equal(fw_token_revoke(&g->f->faults.env, catalogue, "me", &error), FW_OK);
    assert_int_equal(fw_token_revoke(&g->f->faults.env, catalogue, "me", &error), FW_NOT_FOUND);
    let_time_pass(g);
    assert_int_equal(get(g, &me, "/v1/status", text), 401);
    assert_non_null(strstr(text, "revoked"));
    me.free(me.self);
    make_token(g, "me", FW_SCOPE_READ, 10, token); /* the name is free again */
    me = with_token(g, token);
    let_time_pass(g);
    assert_int_equal(get(g, &me, "/v1/status", text), 200);
    g->f->faults.skip_ns += 11 * DAY_NS;
    assert_int_equal(get(g, &me, "/v1/status", text), 401);
    assert_non_null(strstr(text, "expired"));
    me.free(me.self);
    token[10] = token[10] == 'A' ? 'B' : 'A';
    me = with_token(g, token);
    assert_int_equal(get(g, &me, "/v1/status", text), 401);
    assert_non_null(strstr(text, "not known"));
    me.free(me.self);
    /* the catalogue holds no token, only its hash */
    char *json = NULL;
    assert_int_equal(fw_token_list(catalogue, &json, &error), FW_OK);
    assert_null(strstr(json, "fw_"));
    free(json);
}

/* A token goes over https or to this machine alone. */
static void a_token_is_not_shown_around(void **state) {
    guarded *g = *state;
    fw_http_client client = with_token(g, "fw_secret");
    const char *const urls[] = {"http://192.0.2.1/", "http://127.0.0.1.example/",
                                "http://localhost.example/", "http://user@192.0.2.1/"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        fw_http_reply reply;
        fw_error error;
        fw_http_call call = {.method = "GET", .url = urls[i], .timeout_ms = 100};
        assert_int_equal(client.perform(client.self, &call, &reply, &error), FW_DENIED);
    }
    client.free(client.self);
}

static void authorization_headers(void **state) {
    (void)state;
    char token[FW_IDENTITY_TOKEN_MAX];
    const char *const bad[] = {"",        "Bearer ",    "Bearer a b", "Bearer a\"", "Digest x",
                               "Basic x", "Basic ====", "Basic YQ==", "Basic !!!!", "Basic eDo="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (fw_identity_parse_authorization(bad[i], token)) fail_msg("'%s' passed", bad[i]);
    char long_one[300] = "Bearer ";
    memset(long_one + 7, 'a', 200);
    assert_false(fw_identity_parse_authorization(long_one, token));
    assert_true(fw_identity_parse_authorization("Bearer fw_a-Z9", token));
    assert_string_equal(token, "fw_a-Z9");
    assert_true(fw_identity_parse_authorization("Basic eDpmd19h", token)); /* x:fw_a */
    assert_string_equal(token, "fw_a");
}

/* ---- the authority ---- */

static void files_are_private_and_stand(void **state) {
    guarded *g = *state;
    const char *const secret[] = {"ca.key", "server.key"};
    char path[FW_PATH_MAX];
    fw_identity_server files;
    fw_error error = {""};
    for (int i = 0; i < 2; i++) {
        struct stat info;
        snprintf(path, sizeof path, "%s/identity/%s", g->f->data, secret[i]);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
    }
    const char *const same[] = {"127.0.0.1", NULL}, *const more[] = {"factory.example", NULL};
    const fw_env *env = &g->f->faults.env;
    assert_int_equal(fw_identity_serve(env, g->f->data, same, &files, &error), FW_OK);
    char *cert = slurp(files.cert_path), *ca = slurp(files.ca_path);
    assert_string_equal(cert, g->pem[1]); /* nothing is made twice */
    free(cert);
    assert_int_equal(fw_identity_serve(env, g->f->data, more, &files, &error), FW_OK);
    cert = slurp(files.cert_path);
    assert_string_not_equal(cert, g->pem[1]);
    free(cert);
    char *ca_after = slurp(files.ca_path);
    assert_string_equal(ca, ca_after);
    free(ca);
    free(ca_after);
    g->f->faults.skip_ns += (FW_IDENTITY_DAYS - 20) * DAY_NS; /* it ends soon */
    char *before = slurp(files.cert_path);
    assert_int_equal(fw_identity_serve(env, g->f->data, more, &files, &error), FW_OK);
    cert = slurp(files.cert_path);
    assert_string_not_equal(cert, before);
    free(cert);
    free(before);
    snprintf(path, sizeof path, "%s/identity/ca.key", g->f->data);
    write_text(path, "damaged");
    assert_int_equal(fw_identity_serve(env, g->f->data, more, &files, &error), FW_CORRUPT);
    assert_non_null(strstr(error.text, "ca.key"));
}

/* Whatever write or rename fails: an error, and the next try goes well. */
static void every_write_fails_once(void **state) {
    guarded *g = *state;
    char data[100];
    fw_identity_server files;
    fw_error error;
    const char *const names[] = {NULL};
    faulty *faults = &g->f->faults;
    for (unsigned n = 1; n < 100; n++) {
        snprintf(data, sizeof data, "%s/faults-%u", g->f->folder, n);
        faults->calls = 0;
        faults->fail_at = n;
        faults->fail_errno = ENOSPC;
        fw_status status = fw_identity_serve(&faults->env, data, names, &files, &error);
        faults->fail_at = 0;
        bool over = faults->calls < n;
        if (over) {
            assert_int_equal(status, FW_OK);
            assert_true(n > 8);
            return;
        }
        assert_int_not_equal(status, FW_OK);
        assert_int_equal(fw_identity_serve(&faults->env, data, names, &files, &error), FW_OK);
    }
    fail_msg("no end of writes");
}

static void without_tls_everything_is_as_before(void **state) {
    guarded *g = *state;
    json_t *json;
    assert_int_equal(call(g->f, "GET", "/v1/status", NULL, &json), 200);
    json_decref(json);
    fw_http_peer peer = {.address = "127.0.0.1"};
    headers none = {{NULL}, {NULL}};
    fw_http_request request = {.method = "POST",
                               .path = "/v1/models",
                               .header = header_of,
                               .query = no_query,
                               .native = &none,
                               .peer = &peer};
    fw_http_response response = {0};
    assert_true(g->f->app.admit(g->f->app.self, &request, &response));
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_guarded, close_guarded)
    const struct CMUnitTest tests[] = {
        TEST(every_route_for_every_asker),
        TEST(the_page_needs_a_token),
        TEST(a_unit_is_nobody_else),
        TEST(certificates_that_do_not_count),
        TEST(the_servers_certificate_is_no_clients),
        TEST(a_handshake_that_stops),
        TEST(a_request_is_signed),
        TEST(tokens_that_do_not_count),
        TEST(a_token_is_not_shown_around),
        TEST(authorization_headers),
        TEST(files_are_private_and_stand),
        TEST(every_write_fails_once),
        TEST(without_tls_everything_is_as_before),
    };
    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
