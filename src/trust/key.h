/* key.h - keys that sign and keys that check: Ed25519, ECDSA P-256 with SHA-256, RSA-PSS with SHA-256.
 *
 *   private key (PEM, PKCS #8, mode 0600)  --sign-->  signature (lower-case hex in metadata)
 *   public key  {"keytype","scheme","keyval":{"public"}}  --verify-->  yes or no
 *
 * keytype/scheme: ed25519/ed25519 (public: 64 hex digits); ecdsa/ecdsa-sha2-nistp256, also written
 * ecdsa-sha2-nistp256/ecdsa-sha2-nistp256 (public: PEM; signature DER); rsa/rsassa-pss-sha256 (public: PEM of 2048
 * to 8192 bits; a salt of any length). We sign with the first two. Other curves and moduli, points written
 * compressed and encrypted PEM are refused.
 *
 * Invariants: (1) verify says FW_OK for a good signature, FW_MISMATCH for any other, and fails otherwise only
 * without memory; (2) a key id is the SHA-256 of the key's canonical JSON in its plain form (the first name of
 * the keytype, hex in lower case, PEM as OpenSSL writes it, nothing else beside), so one key has one id however
 * somebody wrote it; what others call their keys is a name and nothing more (tuf.h).
 */
#ifndef FW_TRUST_KEY_H
#define FW_TRUST_KEY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/hash.h"
#include "base/status.h"

typedef enum fw_key_kind { FW_KEY_ED25519, FW_KEY_ECDSA_P256, FW_KEY_RSA_PSS } fw_key_kind;
enum { FW_SIGNATURE_MAX = 1024, FW_KEY_PEM_MAX = 8192 };

typedef struct fw_public_key fw_public_key;   /* opaque; freed by fw_public_key_free */
typedef struct fw_private_key fw_private_key; /* opaque; freed by fw_private_key_free, which wipes it */

/* From TUF's JSON form. FW_UNSUPPORTED: a kind or scheme that we do not know; FW_CORRUPT: no such key. */
fw_status fw_public_key_read(const json_t *json, fw_public_key **out, fw_error *error) FW_MUST;
/* Its plain JSON form; the caller owns it. NULL without memory. */
json_t *fw_public_key_json(const fw_public_key *key);
/* SHA-256 of the plain form's canonical bytes: equal for the same key and for no other. */
fw_hash fw_public_key_id(const fw_public_key *key);
void fw_public_key_free(fw_public_key *key);
/* signature: raw bytes. */
fw_status fw_public_key_verify(const fw_public_key *key, const void *signature, size_t signature_bytes,
                               const void *message, size_t message_bytes, fw_error *error) FW_MUST;

fw_status fw_private_key_make(fw_key_kind kind, fw_private_key **out, fw_error *error) FW_MUST;
/* An Ed25519 key from 32 bytes: simulations and tests, whose keys must come from their seed. */
fw_status fw_private_key_of_seed(const uint8_t seed[32], fw_private_key **out, fw_error *error) FW_MUST;
fw_status fw_private_key_load(const char *path, fw_private_key **out, fw_error *error) FW_MUST;
/* Durable, mode 0600. FW_EXISTS: never over another one. */
fw_status fw_private_key_save(const fw_env *env, const fw_private_key *key, const char *path, fw_error *error) FW_MUST;
fw_status fw_private_key_public(const fw_private_key *key, fw_public_key **out, fw_error *error) FW_MUST;
/* out: (FW_SIGNATURE_MAX). */
fw_status fw_private_key_sign(const fw_private_key *key, const void *message, size_t message_bytes, uint8_t *out,
                              size_t *out_bytes, fw_error *error) FW_MUST;
void fw_private_key_free(fw_private_key *key);

#endif
