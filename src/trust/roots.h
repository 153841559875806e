/* roots.h - a chain of root metadata, and the private keys of the roles it names.
 *
 *   FOLDER/1.root.json  2.root.json ...   each signed by the root key before it and by its own
 *   KEYS/ROLE.pem                         the key that signs for the role now
 *   KEYS/ROLE.next.pem                    while a role's key is being replaced
 *
 *   next(role) --> both keys sign --> rotate(role): the root names the new key alone --> ROLE.next.pem becomes ROLE.pem
 *
 * A second folder of keys may be given for one operation: keys that are kept away from this machine. A key is
 * replaced where it was found.
 *
 * Keys are Ed25519, of the environment's random bytes.
 *
 * Invariants: (1) versions of the root grow by one, and every one of them stays; (2) a rotation that died
 * before the new root was durable has not happened, one that died after it is finished by the next open; (3)
 * threshold 1, one key a role: whoever wants more signs with `flywheel trust` on a machine of its own.
 */
#ifndef FW_TRUST_ROOTS_H
#define FW_TRUST_ROOTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/file.h"
#include "trust/key.h"
#include "trust/role.h"

enum { FW_ROOT_MAX_BYTES = 512 << 10 };

typedef struct fw_roots_config {
    const fw_env *env;
    const char *folder, *keys; /* FOLDER, KEYS: copied */
    const char *elsewhere;     /* a second folder of keys, or NULL: copied */
    int64_t life_s;            /* of a root */
} fw_roots_config;

typedef struct fw_roots fw_roots;

/* Opens; makes keys and 1.root.json where there is none. */
fw_status fw_roots_open(const fw_roots_config *config, fw_roots **out, fw_error *error) FW_MUST;
void fw_roots_close(fw_roots *roots);
int64_t fw_roots_version(const fw_roots *roots);
/* The newest root's "signed" part; borrowed. */
const json_t *fw_roots_body(const fw_roots *roots);
/* The newest root as it stands in its file; malloc'd. */
fw_status fw_roots_read(const fw_roots *roots, char **bytes, size_t *size_bytes, fw_error *error) FW_MUST;
/* The private key of a role (a delegated one too: then the root does not name it). FW_DENIED: it is not here. */
fw_status fw_roots_key(const fw_roots *roots, const char *role, fw_private_key **out, fw_error *error) FW_MUST;
bool fw_roots_has_key(const fw_roots *roots, const char *role);
/* Makes KEYS/ROLE.pem where it is missing. */
fw_status fw_roots_make_key(const fw_roots *roots, const char *role, fw_error *error) FW_MUST;
/* Signs a body for a role, with its next key too when there is one; malloc'd. */
fw_status fw_roots_sign(const fw_roots *roots, const char *role, const json_t *body, char **out,
                        size_t *size_bytes, fw_error *error) FW_MUST;
/* Makes the key that will follow. FW_DENIED: the present one, or root's, is not here. */
fw_status fw_roots_next(fw_roots *roots, fw_tuf_role role, fw_error *error) FW_MUST;
/* The root's next version names it, and it takes its place. */
fw_status fw_roots_rotate(fw_roots *roots, fw_tuf_role role, fw_error *error) FW_MUST;
/* Signs the root anew when it would expire within half its life and its key is here. *renewed may be NULL. */
fw_status fw_roots_freshen(fw_roots *roots, bool *renewed, fw_error *error) FW_MUST;

#endif
