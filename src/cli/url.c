#include "cli/url.h"

#include <stdio.h>
#include <string.h>

static int plain(unsigned char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || (byte && strchr("-._~", byte));
}

fw_status fw_url_encode(const char *text, char *out, size_t out_size, fw_error *error) {
    size_t used = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (used + 4 > out_size) return fw_fail(error, FW_TOO_BIG, "the address is too long");
        if (plain(*c))
            out[used++] = (char)*c;
        else
            used += (size_t)snprintf(out + used, 4, "%%%02X", *c);
    }
    out[used] = '\0';
    return FW_OK;
}
