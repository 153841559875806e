/* authority.h - the factory's own certificate authority: keys and certificates as files and texts.
 *
 *   ca.key --signs--> server.pem (serverAuth, names and addresses)   825 days, made anew in time
 *          --signs--> a unit's certificate (clientAuth, CN = the unit's name)
 *
 * ECDSA P-256 and SHA-256 throughout; serial numbers are 127 random bits. Certificates begin a day
 * early, because clocks in the field are off. Made and used on the factory's machine alone, by
 * commands and at the start of `serve --tls`; one process at a time (DIR/identity/lock).
 */
#ifndef FW_FACTORY_AUTHORITY_H
#define FW_FACTORY_AUTHORITY_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/env.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"

typedef struct fw_authority {
    const fw_env *env;
    char folder[FW_PATH_MAX];
    int lock_fd;
    EVP_PKEY *key;
    X509 *cert;
} fw_authority;

/* Opens DIR/identity, and makes it on first use. */
fw_status fw_authority_open(const fw_env *env, const char *data_folder, fw_authority *out,
                            fw_error *error) FW_MUST;
void fw_authority_close(fw_authority *authority);

/* A certificate over key for a client (names NULL) or for a server with those names. The caller
 * frees it with X509_free. */
fw_status fw_authority_sign(const fw_authority *authority, const char *common_name, EVP_PKEY *key,
                            int days, const char *const *names, X509 **out,
                            fw_error *error) FW_MUST;
/* Does server.pem still stand: ours, for all the names, and 30 days from its end? */
bool fw_authority_covers(const fw_authority *authority, X509 *cert, const char *const *names);
fw_status fw_authority_new_key(EVP_PKEY **out, fw_error *error) FW_MUST;
/* A request's key, when its signature is right and the key strong enough. *name: its common name,
 * "" without one. */
fw_status fw_authority_read_request(const char *pem, EVP_PKEY **key, char name[64],
                                    fw_error *error) FW_MUST;

/* As PEM text, malloc'd; NULL without memory. */
char *fw_authority_cert_pem(X509 *cert);
char *fw_authority_key_pem(EVP_PKEY *key);
fw_hash fw_authority_fingerprint(const X509 *cert);
int64_t fw_authority_not_after_ns(const X509 *cert);
/* Hex digits. */
void fw_authority_serial(const X509 *cert, char out[48]);
/* A file with exactly this mode from its first byte on, durable. */
fw_status fw_authority_write(const fw_env *env, const char *folder, const char *name,
                             const char *text, unsigned mode, fw_error *error) FW_MUST;

#endif
