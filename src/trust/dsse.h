/* dsse.h - signed statements: in-toto attestations in DSSE envelopes, as OpenSSF model signing writes them.
 *
 *   {"payloadType":"application/vnd.in-toto+json","payload":base64(statement),
 *    "signatures":[{"keyid","sig":base64}]}
 *   signature over "DSSEv1 <len(type)> <type> <len(payload)> <payload>"
 *   statement: {"_type":"https://in-toto.io/Statement/v1","subject":[{"name","digest":{"sha256"}}],
 *               "predicateType":..,"predicate":{..}}
 */
#ifndef FW_TRUST_DSSE_H
#define FW_TRUST_DSSE_H

#include "trust/key.h"

#define FW_DSSE_IN_TOTO "application/vnd.in-toto+json"
enum { FW_DSSE_MAX_BYTES = 4 << 20 };

/* Signs a payload; the envelope's JSON text is malloc'd. */
fw_status fw_dsse_sign(const char *payload_type, const void *payload, size_t payload_bytes, const fw_private_key *key,
                       char **out, fw_error *error) FW_MUST;
/* Checks one envelope against a key and gives its payload, malloc'd. FW_MISMATCH: not signed by it. */
fw_status fw_dsse_check(const void *bytes, size_t size_bytes, const char *payload_type, const fw_public_key *key,
                        char **payload, size_t *payload_bytes, fw_error *error) FW_MUST;

#endif
