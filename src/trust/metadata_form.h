/* metadata_form.h - has a piece of TUF metadata the fields of its type, each of the right kind? (metadata.h) */
#ifndef FW_TRUST_METADATA_FORM_H
#define FW_TRUST_METADATA_FORM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "trust/role.h"

/* The longest name of a delegated role, percent-encoded: it becomes a file's name. */
enum { FW_TUF_ROLE_NAME_MAX = 200 };

/* A positive whole number that another one can follow. */
bool fw_metadata_form_version(const json_t *json, int64_t *version);
/* What stands in "signed" beside type, specification, version and expiry. FW_CORRUPT says which field. */
fw_status fw_metadata_form(fw_tuf_role type, const json_t *content, fw_error *error) FW_MUST;

#endif
