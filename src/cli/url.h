/* url.h - a text as part of an address. */
#ifndef FW_CLI_URL_H
#define FW_CLI_URL_H

#include <stddef.h>

#include "base/status.h"

/* Writes text with all but letters, digits and -._~ as %XX. FW_TOO_BIG when it does not fit. */
fw_status fw_url_encode(const char *text, char *out, size_t out_size, fw_error *error) FW_MUST;

#endif
