/* enroll.c - the commands' side of identity.h: certificates and tokens made, listed, revoked. */
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "factory/identity/authority.h"
#include "factory/identity/identity.h"
#include "factory/ingest/ingest.h"

enum { PEM_MAX_BYTES = 1 << 16, TOKEN_BYTES = 32, PREFIX_MIN = 8 };
#define DAY_NS (INT64_C(86400) * 1000000000)

/* ---- the server ---- */

static X509 *read_cert(const char *path) {
    char *text = NULL;
    size_t size;
    fw_error ignored;
    if (fw_file_read(path, PEM_MAX_BYTES, &text, &size, &ignored) != FW_OK) return NULL;
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    free(text);
    return cert;
}

static fw_status make_server(const fw_authority *a, const char *const *names, fw_error *error) {
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    FW_TRY(fw_authority_new_key(&key, error));
    fw_status status =
        fw_authority_sign(a, "Flywheel server", key, FW_IDENTITY_DAYS, names, &cert, error);
    char *key_pem = fw_authority_key_pem(key), *cert_pem = NULL;
    if (status == FW_OK) cert_pem = fw_authority_cert_pem(cert);
    if (status == FW_OK && (!key_pem || !cert_pem))
        status = fw_fail(error, FW_NO_MEMORY, "no memory for a certificate");
    if (status == FW_OK) /* the pair is checked when it is read; a crash between is made good */
        status = fw_authority_write(a->env, a->folder, "server.key", key_pem, 0600, error);
    if (status == FW_OK)
        status = fw_authority_write(a->env, a->folder, "server.pem", cert_pem, 0644, error);
    if (key_pem) OPENSSL_cleanse(key_pem, strlen(key_pem));
    free(key_pem);
    free(cert_pem);
    X509_free(cert);
    EVP_PKEY_free(key);
    return status;
}

/* Is the key in the file the certificate's? */
static bool is_pair(const char *key_path, X509 *cert) {
    FILE *file = fopen(key_path, "re");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, (void *)"") : NULL;
    if (file) fclose(file);
    bool pair = key && X509_check_private_key(cert, key) == 1;
    EVP_PKEY_free(key);
    return pair;
}

fw_status fw_identity_serve(const fw_env *env, const char *data_folder, const char *const *names,
                            fw_identity_server *out, fw_error *error) {
    fw_authority a;
    fw_identity_server s;
    const char *all[FW_IDENTITY_NAMES_MAX + 4] = {"localhost", "127.0.0.1", "::1"};
    size_t count = 3;
    for (; names && *names; names++) {
        if (count == FW_IDENTITY_NAMES_MAX + 3)
            return fw_fail(error, FW_TOO_BIG, "at most %d names of the server",
                           FW_IDENTITY_NAMES_MAX);
        all[count++] = *names;
    }
    FW_TRY(fw_authority_open(env, data_folder, &a, error));
    fw_path_join(s.ca_path, sizeof s.ca_path, a.folder, "ca.pem");
    fw_path_join(s.cert_path, sizeof s.cert_path, a.folder, "server.pem");
    fw_path_join(s.key_path, sizeof s.key_path, a.folder, "server.key");
    X509 *cert = read_cert(s.cert_path);
    bool good = cert && fw_authority_covers(&a, cert, all) && is_pair(s.key_path, cert);
    X509_free(cert);
    fw_status status = good ? FW_OK : make_server(&a, all, error);
    fw_authority_close(&a);
    if (status == FW_OK) *out = s;
    return status;
}

/* ---- units ---- */

static fw_status key_for(const char *unit, const char *csr_pem, EVP_PKEY **key, fw_error *error) {
    char name[64];
    if (!csr_pem) return fw_authority_new_key(key, error);
    FW_TRY(fw_authority_read_request(csr_pem, key, name, error));
    if (!name[0] || strcmp(name, unit) == 0) return FW_OK;
    EVP_PKEY_free(*key);
    *key = NULL;
    return fw_fail(error, FW_INVALID, "the request is for '%s', not for '%s'", name, unit);
}

static fw_status fill(const fw_authority *a, X509 *cert, EVP_PKEY *key, const char *unit,
                      bool with_key, fw_enrolled *out, fw_error *error) {
    *out = (fw_enrolled){.not_after_ns = fw_authority_not_after_ns(cert)};
    fw_hash hash = fw_authority_fingerprint(cert);
    snprintf(out->unit, sizeof out->unit, "%s", unit);
    snprintf(out->fingerprint, sizeof out->fingerprint, "%s", hash.hex);
    fw_authority_serial(cert, out->serial);
    out->cert_pem = fw_authority_cert_pem(cert);
    out->ca_pem = fw_authority_cert_pem(a->cert);
    if (with_key) out->key_pem = fw_authority_key_pem(key);
    if (out->cert_pem && out->ca_pem && (out->key_pem || !with_key)) return FW_OK;
    fw_enrolled_clear(out);
    return fw_fail(error, FW_NO_MEMORY, "no memory for a certificate");
}

static fw_status record(const fw_env *env, fw_catalogue *catalogue, const fw_enrolled *e,
                        fw_error *error) {
    char text[160];
    int64_t now_ns = fw_env_wall_ns(env);
    sqlite3 *db = fw_catalogue_begin(catalogue, error);
    if (!db) return FW_IO;
    fw_status status =
        fw_db_run(db, error,
                  "INSERT INTO identities(fingerprint,unit,serial,created_ns,"
                  "not_after_ns) VALUES(?,?,?,?,?)",
                  "tttii", e->fingerprint, e->unit, e->serial, now_ns, e->not_after_ns);
    snprintf(text, sizeof text, "unit %s has a new certificate %.12s", e->unit, e->fingerprint);
    if (status == FW_OK) status = fw_log_add(db, now_ns, "identity", text, error);
    return fw_catalogue_end(catalogue, status, error);
}

fw_status fw_identity_enroll(const fw_env *env, fw_catalogue *catalogue, const char *data_folder,
                             const char *unit, int days, const char *csr_pem, fw_enrolled *out,
                             fw_error *error) {
    fw_authority a;
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    fw_enrolled e = {0};
    if (!fw_unit_name_valid(unit))
        return fw_fail(error, FW_INVALID, "a unit's name is 1 to %d of a-z A-Z 0-9 . _ -",
                       FW_IDENTITY_NAME_MAX - 1);
    FW_TRY(fw_authority_open(env, data_folder, &a, error));
    fw_status status = key_for(unit, csr_pem, &key, error);
    if (status == FW_OK) status = fw_authority_sign(&a, unit, key, days, NULL, &cert, error);
    if (status == FW_OK) status = fill(&a, cert, key, unit, !csr_pem, &e, error);
    if (status == FW_OK) status = record(env, catalogue, &e, error);
    X509_free(cert);
    EVP_PKEY_free(key);
    fw_authority_close(&a);
    if (status == FW_OK)
        *out = e;
    else
        fw_enrolled_clear(&e);
    return status;
}

void fw_enrolled_clear(fw_enrolled *enrolled) {
    if (enrolled->key_pem) OPENSSL_cleanse(enrolled->key_pem, strlen(enrolled->key_pem));
    free(enrolled->cert_pem);
    free(enrolled->key_pem);
    free(enrolled->ca_pem);
    *enrolled = (fw_enrolled){0};
}

fw_status fw_identity_revoke(const fw_env *env, fw_catalogue *catalogue, const char *whom,
                             int64_t *count, fw_error *error) {
    static const char hex[] = "0123456789abcdef";
    char pattern[FW_HASH_HEX + 2] = "-", text[160]; /* "-" is no fingerprint */
    size_t size = strlen(whom);
    int64_t now_ns = fw_env_wall_ns(env), changed = 0;
    if (size >= PREFIX_MIN && size <= FW_HASH_HEX && strspn(whom, hex) == size)
        snprintf(pattern, sizeof pattern, "%s*", whom);
    sqlite3 *db = fw_catalogue_begin(catalogue, error);
    if (!db) return FW_IO;
    fw_status status = fw_db_run(db, error,
                                 "UPDATE identities SET revoked_ns=? WHERE revoked_ns IS NULL AND "
                                 "(unit=? OR fingerprint GLOB ?)",
                                 "itt", now_ns, whom, pattern);
    if (status == FW_OK) changed = sqlite3_changes(db);
    if (status == FW_OK && changed == 0)
        status = fw_fail(error, FW_NOT_FOUND, "no valid certificate of '%.64s'", whom);
    snprintf(text, sizeof text, "certificates of %.64s revoked: %lld", whom, (long long)changed);
    if (status == FW_OK) status = fw_log_add(db, now_ns, "identity", text, error);
    FW_TRY(fw_catalogue_end(catalogue, status, error));
    *count = changed;
    return FW_OK;
}

fw_status fw_identity_list(fw_catalogue *catalogue, char **json, fw_error *error) {
    return fw_catalogue_json(
        catalogue, json, error,
        "SELECT coalesce(json_group_array(json(j)),'[]') FROM (SELECT json_object('unit',unit,"
        "'fingerprint',fingerprint,'serial',serial,'created_ns',created_ns,'not_after_ns',"
        "not_after_ns,'revoked_ns',revoked_ns) j FROM identities ORDER BY unit,created_ns)");
}

/* ---- people ---- */

static bool token_name_valid(const char *name) {
    return fw_unit_name_valid(name); /* the same letters, the same length */
}

/* 256 random bits in the letters of base64url. */
static fw_status make_token(char token[FW_IDENTITY_TOKEN_MAX], fw_error *error) {
    unsigned char bytes[TOKEN_BYTES], text[FW_IDENTITY_TOKEN_MAX];
    if (RAND_priv_bytes(bytes, sizeof bytes) != 1)
        return fw_fail(error, FW_IO, "no random numbers for a token");
    int size = EVP_EncodeBlock(text, bytes, sizeof bytes);
    OPENSSL_cleanse(bytes, sizeof bytes);
    while (size > 0 && text[size - 1] == '=') text[--size] = '\0';
    for (unsigned char *c = text; *c; c++) *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    snprintf(token, FW_IDENTITY_TOKEN_MAX, "fw_%.*s", FW_IDENTITY_TOKEN_MAX - 4, (char *)text);
    return FW_OK;
}

fw_status fw_token_create(const fw_env *env, fw_catalogue *catalogue, const char *name,
                          fw_scope scope, int days, char token[FW_IDENTITY_TOKEN_MAX],
                          fw_error *error) {
    char made[FW_IDENTITY_TOKEN_MAX], text[160];
    int64_t now_ns = fw_env_wall_ns(env), valid = 0;
    if (!token_name_valid(name))
        return fw_fail(error, FW_INVALID, "a token's name is 1 to %d of a-z A-Z 0-9 . _ -",
                       FW_IDENTITY_NAME_MAX - 1);
    FW_TRY(make_token(made, error));
    fw_hash hash = fw_hash_bytes(made, strlen(made));
    sqlite3 *db = fw_catalogue_begin(catalogue, error);
    if (!db) return FW_IO;
    fw_status status = fw_db_int(db, error, &valid,
                                 "SELECT count(*) FROM tokens WHERE name=? AND revoked_ns IS NULL "
                                 "AND not_after_ns>?",
                                 "ti", name, now_ns);
    if (status == FW_OK && valid > 0)
        status = fw_fail(error, FW_EXISTS, "there is a token '%s'; revoke it first", name);
    if (status == FW_OK)
        status = fw_db_run(db, error,
                           "INSERT INTO tokens(sha256,name,scope,created_ns,not_after_ns) "
                           "VALUES(?,?,?,?,?)",
                           "tttii", hash.hex, name, fw_scope_text(scope), now_ns,
                           now_ns + days * DAY_NS);
    snprintf(text, sizeof text, "token %s may %s", name, fw_scope_text(scope));
    if (status == FW_OK) status = fw_log_add(db, now_ns, "identity", text, error);
    FW_TRY(fw_catalogue_end(catalogue, status, error));
    memcpy(token, made, sizeof made);
    return FW_OK;
}

fw_status fw_token_revoke(const fw_env *env, fw_catalogue *catalogue, const char *name,
                          fw_error *error) {
    char text[160];
    int64_t now_ns = fw_env_wall_ns(env);
    sqlite3 *db = fw_catalogue_begin(catalogue, error);
    if (!db) return FW_IO;
    fw_status status =
        fw_db_run(db, error, "UPDATE tokens SET revoked_ns=? WHERE name=? AND revoked_ns IS NULL",
                  "it", now_ns, name);
    if (status == FW_OK && sqlite3_changes(db) == 0)
        status = fw_fail(error, FW_NOT_FOUND, "no valid token '%.60s'", name);
    snprintf(text, sizeof text, "token %.60s revoked", name);
    if (status == FW_OK) status = fw_log_add(db, now_ns, "identity", text, error);
    return fw_catalogue_end(catalogue, status, error);
}

fw_status fw_token_list(fw_catalogue *catalogue, char **json, fw_error *error) {
    return fw_catalogue_json(
        catalogue, json, error,
        "SELECT coalesce(json_group_array(json(j)),'[]') FROM (SELECT json_object('name',name,"
        "'scope',scope,'created_ns',created_ns,'not_after_ns',not_after_ns,'revoked_ns',"
        "revoked_ns) j FROM tokens ORDER BY name,created_ns)");
}
