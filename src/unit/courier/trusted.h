/* trusted.h - signed metadata decides what this unit runs (trust/uptane.h): the only way a model comes in.
 *
 *   --root FILE, once --> DIR/trust/{director,image}/root.json
 *   director   GET /v1/tuf/director/{unit}/{file}   what this unit is to run
 *   image      GET /v1/tuf/image/{file}             what is genuine
 *
 * Without a root nothing is chosen, and that is said once in the log.
 */
#ifndef FW_UNIT_TRUSTED_H
#define FW_UNIT_TRUSTED_H

#include "unit/courier/courier_state.h"

typedef struct fw_unit_trusted fw_unit_trusted;

/* Opens DIR/trust, made from config.root_path where it is new, and fills *chooser; nothing without a root. */
fw_status fw_unit_trusted_open(fw_unit_courier *courier, fw_unit_chooser *chooser, fw_error *error) FW_MUST;
void fw_unit_trusted_close(fw_unit_trusted *trusted);

#endif
