/* client.h - the HTTP client, an interface over libcurl so that a test can put faults in its place.
 *
 * TLS: 1.2 at least; the server's certificate is always checked, against ca_path where given (a
 * factory's own authority: DIR/identity/ca.pem). A token never goes over plain HTTP to another
 * machine.
 */
#ifndef FW_HTTP_CLIENT_H
#define FW_HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct fw_http_reply {
    int status; /* HTTP status */
    char *body; /* malloc'd, zero-terminated; the caller frees */
    size_t body_bytes;
    int64_t upload_offset; /* from "Upload-Offset"; -1 absent */
    int retry_after_s;     /* from "Retry-After"; 0 absent */
} fw_http_reply;

typedef struct fw_http_call {
    const char *method; /* GET HEAD PUT POST DELETE */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    const void *body;           /* or */
    const char *body_path;      /* a file sent from body_offset to its end */
    uint64_t body_offset;
    size_t body_bytes;
    size_t reply_max_bytes; /* FW_TOO_BIG over it */
    int timeout_ms;
    uint64_t rate_bytes_per_s; /* 0: no limit */
} fw_http_call;

typedef struct fw_http_client {
    void *self;
    /* FW_OK whenever the server answered (any status); FW_CLOSED, FW_TIMEOUT, FW_IO otherwise. */
    fw_status (*perform)(void *self, const fw_http_call *call, fw_http_reply *reply,
                         fw_error *error);
    void (*free)(void *self);
} fw_http_client;

/* Who the client is and whom it trusts; every field may be NULL. The texts are copied. */
typedef struct fw_http_client_options {
    const char *ca_path;   /* PEM: the only authority trusted for https; NULL: the system's */
    const char *cert_path; /* PEM: the client's certificate (mutual TLS), with key_path */
    const char *key_path;
    const char *token; /* sent as "Authorization: Bearer"; over https or to loopback alone */
} fw_http_client_options;

/* The real one, with a connection kept open. The caller calls client->free(client->self).
 * options may be NULL. FW_NOT_FOUND: a file of the options is not there; FW_INVALID: a certificate
 * without its key, a token with odd characters. */
fw_status fw_http_client_curl_with(const fw_http_client_options *options, fw_http_client *out,
                                   fw_error *error) FW_MUST;
/* The same without options. */
fw_status fw_http_client_curl(fw_http_client *out, fw_error *error) FW_MUST;
void fw_http_reply_clear(fw_http_reply *reply);

#endif
