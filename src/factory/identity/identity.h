/* identity.h - who is asking, and what they may: certificates for units, tokens for people.
 *
 *   TLS certificate --(http/peer.h: chain, dates, purpose)--> fingerprint --+
 *                                                                           +--> fw_who --> may?
 *   Authorization: Bearer TOKEN --SHA-256--> tokens table ------------------+     (api.c's routes)
 *
 *   DIR/identity/ca.pem ca.key         the factory's own authority, made on first use; ca.key 0600
 *   DIR/identity/server.pem server.key what `serve --tls` shows
 *   catalogue: identities, tokens      who was enrolled; a token only as its SHA-256
 *
 * Invariants: (1) a certificate counts only when it is signed by this factory's authority, in its
 * dates, for clients, enrolled here and not revoked; a token when its hash is known, in its dates
 * and not revoked; (2) a change made by another process (flywheel enroll, flywheel token) is seen
 * within FW_IDENTITY_FRESH_MS; (3) when the table cannot be read, nobody is let in; (4) without TLS
 * everybody is fw_who_local: loopback is as before; (5) a private key is never sent anywhere, and
 * never lies in a file that others can read.
 */
#ifndef FW_FACTORY_IDENTITY_H
#define FW_FACTORY_IDENTITY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/file.h"
#include "base/hash.h"
#include "factory/catalogue/catalogue.h"
#include "http/server.h"

enum {
    FW_IDENTITY_NAME_MAX = 32, /* of a unit and of a token, with its end */
    FW_IDENTITY_FRESH_MS = 1000,
    FW_IDENTITY_DAYS = 825,     /* a unit's and the server's certificate, when not said */
    FW_IDENTITY_CA_DAYS = 7300, /* the authority */
    FW_IDENTITY_TOKEN_DAYS = 365,
    FW_IDENTITY_TOKEN_MAX = 64, /* "fw_" and 43 characters, with its end */
    FW_IDENTITY_NAMES_MAX = 16, /* further names and addresses of the server */
    FW_IDENTITY_CSR_MAX_BYTES = 16384
};

/* What a person may; each includes the one before. */
typedef enum fw_scope { FW_SCOPE_NONE, FW_SCOPE_READ, FW_SCOPE_OPERATE, FW_SCOPE_ADMIN } fw_scope;
const char *fw_scope_text(fw_scope scope);
/* FW_SCOPE_NONE for an unknown word. */
fw_scope fw_scope_parse(const char *text);

/* Who asks. A unit has no scope. */
typedef struct fw_who {
    bool unit;
    char name[FW_IDENTITY_NAME_MAX]; /* "" for local */
    fw_scope scope;
} fw_who;

/* The tables in memory, for the server's threads. */
typedef struct fw_identity fw_identity;
/* Opens its own reading connection to the catalogue at path (which exists). */
fw_status fw_identity_open(const fw_env *env, const char *catalogue_path, fw_identity **out,
                           fw_error *error) FW_MUST;
void fw_identity_close(fw_identity *identity);
/* Who sends this request. False with response set: 401 nobody (or an unknown, expired or revoked
 * token), 403 a certificate that does not count, 500. */
bool fw_identity_of(fw_identity *identity, const fw_http_request *request, fw_who *who,
                    fw_http_response *response);

/* The token in a header "Bearer TOKEN", or "Basic ..." with the token as password (what a browser
 * sends when it asked its user). False: it is neither. */
bool fw_identity_parse_authorization(const char *header, char token[FW_IDENTITY_TOKEN_MAX]);

/* ---- the authority's side: commands, on the factory's machine ---- */

typedef struct fw_identity_server {
    char ca_path[FW_PATH_MAX], cert_path[FW_PATH_MAX], key_path[FW_PATH_MAX];
} fw_identity_server;

/* Makes DIR/identity with the authority and the server's certificate where they are missing; makes
 * the latter anew when it ends within 30 days or lacks one of the names (IP addresses or host
 * names, NULL-terminated; localhost and the loopback addresses always are among them). */
fw_status fw_identity_serve(const fw_env *env, const char *data_folder, const char *const *names,
                            fw_identity_server *out, fw_error *error) FW_MUST;

typedef struct fw_enrolled {
    char unit[FW_IDENTITY_NAME_MAX], fingerprint[FW_HASH_HEX + 1], serial[48];
    int64_t not_after_ns;
    char *cert_pem, *key_pem, *ca_pem; /* malloc'd; key_pem NULL when a request was signed */
} fw_enrolled;

/* A certificate for a unit, recorded in the catalogue. csr_pem NULL: with a new key. FW_INVALID: no
 * valid name, or a request that is none or whose signature is wrong. */
fw_status fw_identity_enroll(const fw_env *env, fw_catalogue *catalogue, const char *data_folder,
                             const char *unit, int days, const char *csr_pem, fw_enrolled *out,
                             fw_error *error) FW_MUST;
void fw_enrolled_clear(fw_enrolled *enrolled);
/* By a unit's name (all of its certificates) or one fingerprint (8 digits of it at least).
 * FW_NOT_FOUND: nothing that was valid. *count: how many. */
fw_status fw_identity_revoke(const fw_env *env, fw_catalogue *catalogue, const char *whom,
                             int64_t *count, fw_error *error) FW_MUST;
/* JSON arrays, malloc'd. */
fw_status fw_identity_list(fw_catalogue *catalogue, char **json, fw_error *error) FW_MUST;

/* token: shown once. FW_EXISTS: a token of that name is valid. */
fw_status fw_token_create(const fw_env *env, fw_catalogue *catalogue, const char *name,
                          fw_scope scope, int days, char token[FW_IDENTITY_TOKEN_MAX],
                          fw_error *error) FW_MUST;
fw_status fw_token_revoke(const fw_env *env, fw_catalogue *catalogue, const char *name,
                          fw_error *error) FW_MUST;
fw_status fw_token_list(fw_catalogue *catalogue, char **json, fw_error *error) FW_MUST;

#endif
