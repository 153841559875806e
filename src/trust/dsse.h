/* dsse.h - signed statements: in-toto attestations in DSSE envelopes, as OpenSSF model signing writes them.
 *
 *   {"payloadType":"application/vnd.in-toto+json","payload":base64(statement),
 *    "signatures":[{"keyid","sig":base64}]}
 *   signature over "DSSEv1 <len(type)> <type> <len(payload)> <payload>"
 *   statement: {"_type":"https://in-toto.io/Statement/v1","subject":[{"name","digest":{"sha256"}}],
 *               "predicateType":..,"predicate":{..}}
 *
 * A model's statement (fw_dsse_model): predicateType "https://model_signing/signature/v1.0"; predicate
 * {"resources":[{"name","algorithm":"sha256","digest"}],"serialization":{"method":"files","hash_type":"sha256",
 * "allow_symlinks":false,"ignore_paths":[]}}; the subject's digest is the SHA-256 of the files' raw digests one after
 * another, by name. Other members of a predicate are allowed and passed over by other verifiers.
 * A Sigstore bundle (fw_dsse_bundle) is the envelope in the file that `model_signing verify key` reads.
 *
 * Invariant: an envelope may carry several signatures; it holds when one of them is the given key's.
 */
#ifndef FW_TRUST_DSSE_H
#define FW_TRUST_DSSE_H

#include <jansson.h>

#include "base/hash.h"
#include "trust/key.h"

#define FW_DSSE_IN_TOTO "application/vnd.in-toto+json"
#define FW_STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define FW_MODEL_SIGNING "https://model_signing/signature/v1.0"
#define FW_SIGSTORE_BUNDLE "application/vnd.dev.sigstore.bundle.v0.3+json"
enum { FW_DSSE_MAX_BYTES = 4 << 20, FW_DSSE_FILES_MAX = 64, FW_DSSE_SIGNATURES_MAX = 16 };

/* Signs a payload; the envelope's JSON text is malloc'd. */
fw_status fw_dsse_sign(const char *payload_type, const void *payload, size_t payload_bytes, const fw_private_key *key,
                       char **out, fw_error *error) FW_MUST;
/* Checks one envelope (or a bundle around one) against a key and gives its payload, malloc'd, with a 0 behind it.
 * FW_MISMATCH: not signed by it, or of another type; FW_CORRUPT: no envelope. */
fw_status fw_dsse_check(const void *bytes, size_t size_bytes, const char *payload_type, const fw_public_key *key,
                        char **payload, size_t *payload_bytes, fw_error *error) FW_MUST;

/* A file of a model; name: its path below the model's folder, "/" between. */
typedef struct fw_dsse_file {
    const char *name;
    fw_hash sha256;
} fw_dsse_file;

/* The statement over a model's files, in any order; more: further members of the predicate, which take the place of
 * those of the same name (a "serialization" with ignore_paths) but for "resources"; or NULL. Malloc'd text. */
fw_status fw_dsse_model(const char *name, const fw_dsse_file *files, size_t count, const json_t *more, char **out,
                        size_t *out_bytes, fw_error *error) FW_MUST;
/* A Sigstore bundle around an envelope that this key signed; malloc'd text. */
fw_status fw_dsse_bundle(const char *envelope, const fw_public_key *key, char **out, fw_error *error) FW_MUST;

#endif
