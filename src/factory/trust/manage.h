/* manage.h - what `flywheel trust` does to DIR/trust: keys replaced, roles delegated, a look at all of it.
 *
 * Works beside a running factory: under DIR/trust/lock, and the factory sees it at its next look.
 */
#ifndef FW_FACTORY_TRUST_MANAGE_H
#define FW_FACTORY_TRUST_MANAGE_H

#include "factory/trust/trust.h"
#include "trust/role.h"

/* A new key for a role of one of the repositories; keys: a folder of keys kept elsewhere, or NULL. */
fw_status fw_trust_rotate(fw_trust *trust, bool director, fw_tuf_role role, const char *keys, fw_error *error) FW_MUST;
/* A delegated role of the image repository. */
fw_status fw_trust_delegate(fw_trust *trust, const char *role, const char *const *patterns, const char *keys,
                            fw_error *error) FW_MUST;
/* Roles with version, expiry, key and whether it is here; releases; those that wait. Malloc'd JSON. */
fw_status fw_trust_status(fw_trust *trust, char **json, fw_error *error) FW_MUST;
/* Reads DIR/trust/image as a unit would, from DIR/trust/root.json on. FW_OK: *targets are listed. */
fw_status fw_trust_verify(fw_trust *trust, int64_t *targets, fw_error *error) FW_MUST;

#endif
