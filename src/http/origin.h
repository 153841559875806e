/* origin.h - who may ask: the rule against foreign web pages and DNS rebinding (server.h, 3).
 *
 * A browser lets any page send requests to 127.0.0.1; it names the page in Origin, and the name
 * it looked up in Host. So: Host must be ours always; a request with an Origin that changes
 * something (not GET or HEAD) must come from exactly this server; a reading one may come from any
 * port of ours (the factory's page reads the examiner's figures). Pages named by `cors_origins` may
 * read (GET, HEAD, the OPTIONS before) what lies below `cors_paths`, and nothing else.
 *
 *     Host: 127.0.0.1:8080           ours: localhost, an IP literal equal to the address the
 *     Origin: http://127.0.0.1:8080        connection came in on, a loopback literal on
 *                                          loopback, or one of `names`
 */
#ifndef FW_HTTP_ORIGIN_H
#define FW_HTTP_ORIGIN_H

#include <stdbool.h>

/* What is ours. The lists are NULL or NULL-terminated. */
typedef struct fw_http_origin_rule {
    const char *local_address; /* the IP literal this connection came in on: "127.0.0.1" */
    bool tls;                  /* our pages' origins begin with https:// */
    const char *const *names, *const *cors_origins, *const *cors_paths;
} fw_http_origin_rule;

/* Is it a page elsewhere that makes a browser fetch from the API without an Origin: an image, a frame, a
 * link? fetch_site: Sec-Fetch-Site, may be NULL. */
bool fw_http_fetch_foreign(const char *path, const char *fetch_site);
bool fw_http_host_ours(const fw_http_origin_rule *rule, const char *host);
/* NULL when the request may pass, else the reason for the refusal. host and origin may be NULL.
 * *cross: it passes as a foreign page's reading request. */
const char *fw_http_origin_refused(const fw_http_origin_rule *rule, const char *method,
                                   const char *path, const char *host, const char *origin,
                                   bool *cross);

#endif
