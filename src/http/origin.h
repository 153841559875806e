/* origin.h - who may ask: the rule against foreign web pages and DNS rebinding (server.h, 3).
 *
 * A browser lets any page send requests to 127.0.0.1; it names the page in Origin, and the name
 * it looked up in Host. So: Host must be ours always; a request with an Origin that changes
 * something (not GET or HEAD) must come from exactly this server; a reading one may come from any
 * port of ours (the factory's page reads the examiner's figures).
 *
 *     Host: 127.0.0.1:8080           ours: localhost, an IP literal equal to the address the
 *     Origin: http://127.0.0.1:8080        connection came in on, or a loopback literal on loopback
 */
#ifndef FW_HTTP_ORIGIN_H
#define FW_HTTP_ORIGIN_H

#include <stdbool.h>

/* local_address: the IP literal this connection came in on, for example "127.0.0.1". */
bool fw_http_host_ours(const char *host, const char *local_address);
/* NULL when the request may pass, else the reason for the refusal. host and origin may be NULL. */
const char *fw_http_origin_refused(const char *method, const char *host, const char *origin,
                                   const char *local_address);

#endif
