/* identity.h - the unit's own key, and the version report that it signs (trust/uptane.h).
 *
 *   DIR/unit.key, made at the first start --public half--> POST /v1/units/{id}/key, until the factory has it
 *   each report: {"unit","hardware_id","target","sha256","release_counter","tick","time_ns","nonce"} + signature
 *
 * The nonce is that of the factory's last answer, so a report cannot be played again; before there is one, nothing is
 * signed. The private key never leaves DIR.
 */
#ifndef FW_UNIT_IDENTITY_H
#define FW_UNIT_IDENTITY_H

#include "unit/courier/courier_state.h"

/* Loads DIR/unit.key, or makes it. */
fw_status fw_unit_identity_open(fw_unit_courier *courier, fw_error *error) FW_MUST;
/* Tells the factory the public half, if it does not have it yet. */
void fw_unit_identity_tell(fw_unit_courier *courier);
/* The signed version report as text, malloc'd; NULL while nothing drives or no nonce came. */
char *fw_unit_identity_versions(fw_unit_courier *courier);

#endif
