/* framing.c - where a request's body ends must have one answer, for us and for whatever forwards to
 * us: what two programs may read in two ways is refused (request smuggling, RFC 9112 section 6). */
#include <string.h>
#include <strings.h>

#include "http/server_inner.h"

typedef struct seen {
    unsigned lengths, encodings, hosts;
    bool odd_name, chunked, number;
} seen;

static enum MHD_Result look(void *self, enum MHD_ValueKind kind, const char *name,
                            const char *value) {
    seen *s = self;
    (void)kind;
    if (!value) value = "";
    if (strpbrk(name, " \t") || !name[0]) s->odd_name = true;
    if (strcasecmp(name, "Host") == 0) s->hosts++;
    if (strcasecmp(name, "Content-Length") == 0) {
        s->lengths++;
        s->number = value[0] && strspn(value, "0123456789") == strlen(value);
    }
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        s->encodings++;
        s->chunked = strcasecmp(value, "chunked") == 0;
    }
    return MHD_YES;
}

const char *fw_http_framing_refused(const fw_http_exchange *x) {
    seen s = {0};
    MHD_get_connection_values(x->native, MHD_HEADER_KIND, look, &s);
    if (s.odd_name) return "a header's name has a space";
    if (s.hosts > 1) return "two Host headers";
    if (s.lengths + s.encodings > 1)
        return "Content-Length and Transfer-Encoding: one of them, and once";
    if (s.lengths && !s.number) return "Content-Length is no number";
    if (s.encodings && !s.chunked) return "Transfer-Encoding must be chunked";
    return NULL;
}
