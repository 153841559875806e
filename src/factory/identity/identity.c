/* identity.c - who sends a request: the tables in memory, refreshed when somebody changed them. */
#include "factory/identity/identity.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/log.h"

typedef struct row {
    char key[FW_HASH_HEX + 1]; /* a certificate's fingerprint, or a token's SHA-256 */
    char name[FW_IDENTITY_NAME_MAX];
    fw_scope scope; /* NONE: a unit's certificate */
    int64_t not_after_ns;
    bool revoked;
} row;

struct fw_identity {
    const fw_env *env;
    sqlite3 *db;
    pthread_mutex_t lock; /* guards all but env */
    row *rows;            /* (count), by key */
    size_t count, room;
    int64_t version, checked_ns; /* of the data; monotonic, 0: never */
};

static const char *const scope_texts[] = {"none", "read", "operate", "admin"};

const char *fw_scope_text(fw_scope scope) {
    return scope_texts[scope];
}

fw_scope fw_scope_parse(const char *text) {
    for (fw_scope s = FW_SCOPE_READ; s <= FW_SCOPE_ADMIN; s++)
        if (strcmp(text, scope_texts[s]) == 0) return s;
    return FW_SCOPE_NONE;
}

/* ---- the tables ---- */

fw_status fw_identity_open(const fw_env *env, const char *catalogue_path, fw_identity **out,
                           fw_error *error) {
    fw_identity *identity = calloc(1, sizeof *identity);
    if (!identity) return fw_fail(error, FW_NO_MEMORY, "no memory for identities");
    identity->env = env;
    identity->version = -1;
    pthread_mutex_init(&identity->lock, NULL);
    fw_status status = FW_OK;
    if (sqlite3_open_v2(catalogue_path, &identity->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        status = fw_db_fail(identity->db, error, catalogue_path);
    if (status == FW_OK) sqlite3_busy_timeout(identity->db, 5000);
    if (status != FW_OK) {
        fw_identity_close(identity);
        return status;
    }
    *out = identity;
    return FW_OK;
}

void fw_identity_close(fw_identity *identity) {
    if (!identity) return;
    sqlite3_close(identity->db);
    pthread_mutex_destroy(&identity->lock);
    free(identity->rows);
    free(identity);
}

static bool add_row(void *self, sqlite3_stmt *statement) {
    fw_identity *identity = self;
    if (identity->count == identity->room) {
        size_t room = identity->room ? 2 * identity->room : 64;
        row *grown = realloc(identity->rows, room * sizeof *grown);
        if (!grown) {
            identity->count = SIZE_MAX; /* seen by refresh */
            return false;
        }
        identity->rows = grown;
        identity->room = room;
    }
    row *r = &identity->rows[identity->count++];
    snprintf(r->key, sizeof r->key, "%s", fw_db_column(statement, 0));
    snprintf(r->name, sizeof r->name, "%s", fw_db_column(statement, 1));
    r->scope = fw_scope_parse(fw_db_column(statement, 2));
    r->not_after_ns = sqlite3_column_int64(statement, 3);
    r->revoked = sqlite3_column_type(statement, 4) != SQLITE_NULL;
    return true;
}

/* With the lock held. After a failure there is nobody in the table. */
static fw_status refresh(fw_identity *identity, fw_error *error) {
    int64_t now_ns = fw_env_mono_ns(identity->env), version = 0;
    if (identity->checked_ns &&
        now_ns - identity->checked_ns < FW_IDENTITY_FRESH_MS * INT64_C(1000000))
        return FW_OK;
    fw_status status = fw_db_int(identity->db, error, &version, "PRAGMA data_version", "");
    if (status == FW_OK && version == identity->version) {
        identity->checked_ns = now_ns;
        return FW_OK;
    }
    identity->count = 0;
    if (status == FW_OK)
        status = fw_db_each(identity->db, error, add_row, identity,
                            "SELECT fingerprint k,unit,'unit',not_after_ns,revoked_ns FROM "
                            "identities UNION ALL SELECT sha256,name,scope,not_after_ns,"
                            "revoked_ns FROM tokens ORDER BY k",
                            "");
    if (identity->count == SIZE_MAX) status = fw_fail(error, FW_NO_MEMORY, "no memory");
    if (status != FW_OK) {
        identity->count = 0;
        identity->version = -1;
        identity->checked_ns = 0;
        return status;
    }
    identity->version = version;
    identity->checked_ns = now_ns;
    return FW_OK;
}

static int compare_key(const void *key, const void *element) {
    return strcmp(key, ((const row *)element)->key);
}

static fw_status find(fw_identity *identity, const char *key, row *out, fw_error *error) {
    pthread_mutex_lock(&identity->lock);
    fw_status status = refresh(identity, error);
    const row *found =
        status == FW_OK && identity->count > 0
            ? bsearch(key, identity->rows, identity->count, sizeof *found, compare_key)
            : NULL;
    if (found) *out = *found;
    pthread_mutex_unlock(&identity->lock);
    if (status != FW_OK) return status;
    return found ? FW_OK : fw_fail(error, FW_NOT_FOUND, "unknown");
}

/* ---- the request ---- */

static bool token_characters(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-';
        if (!good) return false;
    }
    return size > 0;
}

static bool copy_token(const char *text, size_t size, char token[FW_IDENTITY_TOKEN_MAX]) {
    if (size >= FW_IDENTITY_TOKEN_MAX || !token_characters(text, size)) return false;
    memcpy(token, text, size);
    token[size] = '\0';
    return true;
}

bool fw_identity_parse_authorization(const char *header, char token[FW_IDENTITY_TOKEN_MAX]) {
    enum { BASIC_MAX = 256 };
    unsigned char decoded[BASIC_MAX];
    if (strncasecmp(header, "Bearer ", 7) == 0)
        return copy_token(header + 7, strlen(header + 7), token);
    if (strncasecmp(header, "Basic ", 6) != 0) return false;
    const char *text = header + 6;
    size_t size = strlen(text), padding = 0;
    if (size == 0 || size % 4 != 0 || size / 4 * 3 > sizeof decoded) return false;
    while (padding < 2 && text[size - 1 - padding] == '=') padding++;
    int got = EVP_DecodeBlock(decoded, (const unsigned char *)text, (int)size);
    if (got < (int)padding) return false;
    size_t used = (size_t)got - padding;
    const unsigned char *colon = memchr(decoded, ':', used);
    if (!colon) return false;
    size_t before = (size_t)(colon + 1 - decoded);
    return copy_token((const char *)colon + 1, used - before, token);
}

static bool refuse(fw_http_response *response, int status, const char *text) {
    fw_http_respond_error(response, status, "%s", text);
    if (status == 401)
        fw_http_add_header(response, "WWW-Authenticate",
                           "Basic realm=\"flywheel\", charset=\"UTF-8\"");
    return false;
}

/* What is wrong with a row that was found; NULL when nothing is. */
static const char *wrong_with(const fw_identity *identity, const row *r) {
    if (r->revoked) return "has been revoked";
    if (fw_env_wall_ns(identity->env) > r->not_after_ns) return "has expired";
    return NULL;
}

static bool take(fw_identity *identity, const char *key, const char *what, int refusal, fw_who *who,
                 fw_http_response *response) {
    row r;
    fw_error error = {""};
    char text[200];
    fw_status status = find(identity, key, &r, &error);
    if (status != FW_OK && status != FW_NOT_FOUND) {
        fw_log_error("identities cannot be read: %s", error.text);
        return refuse(response, 500, "who may ask cannot be read now; try again");
    }
    const char *wrong = status == FW_NOT_FOUND ? "is not known here" : wrong_with(identity, &r);
    bool unit = refusal == 403;
    if (!wrong && unit != (r.scope == FW_SCOPE_NONE)) wrong = "is not known here";
    if (wrong) {
        snprintf(text, sizeof text, "the %s %s; %s", what, wrong,
                 unit ? "enroll the unit again (flywheel enroll)"
                      : "ask for a new one (flywheel token create)");
        return refuse(response, refusal, text);
    }
    *who = (fw_who){.unit = unit, .scope = r.scope};
    snprintf(who->name, sizeof who->name, "%s", r.name);
    return true;
}

bool fw_identity_of(fw_identity *identity, const fw_http_request *request, fw_who *who,
                    fw_http_response *response) {
    const fw_http_peer *peer = request->peer;
    char token[FW_IDENTITY_TOKEN_MAX];
    if (!peer || !peer->tls) {
        *who = (fw_who){.scope = FW_SCOPE_ADMIN};
        return true;
    }
    if (peer->refused[0]) return refuse(response, 403, peer->refused);
    if (peer->fingerprint[0]) {
        if (!take(identity, peer->fingerprint, "certificate", 403, who, response)) return false;
        if (strcmp(who->name, peer->name) == 0) return true;
        return refuse(response, 403, "the certificate names another unit than was enrolled");
    }
    const char *header = request->header(request->native, "Authorization");
    if (!header)
        return refuse(
            response, 401,
            "who are you? Units show a certificate (flywheel enroll), people send a token "
            "(flywheel token create)");
    if (!fw_identity_parse_authorization(header, token))
        return refuse(response, 401, "Authorization must be \"Bearer TOKEN\"");
    fw_hash hash = fw_hash_bytes(token, strlen(token));
    return take(identity, hash.hex, "token", 401, who, response);
}
