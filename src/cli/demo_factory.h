/* demo_factory.h - the conductor as a client of the factory's HTTP API (ARCHITECTURE.md).
 *
 * Every call answers FW_BUSY while the factory is away (starting, killed), so that the conductor
 * can restart it and ask again; an answer of 4xx or 5xx is FW_INVALID with the factory's reason.
 */
#ifndef FW_CLI_DEMO_FACTORY_H
#define FW_CLI_DEMO_FACTORY_H

#include <jansson.h>
#include <stdint.h>

#include "base/hash.h"
#include "http/client.h"

typedef struct fw_demo_factory {
    fw_http_client http;
    char base_url[128]; /* "http://127.0.0.1:8080" */
} fw_demo_factory;

/* The caller owns *out. */
fw_status fw_demo_factory_get(fw_demo_factory *factory, const char *path, json_t **out,
                              fw_error *error) FW_MUST;
/* `body` is released. *out may be NULL when nobody wants the answer. *http_status may be NULL. */
fw_status fw_demo_factory_post(fw_demo_factory *factory, const char *path, json_t *body,
                               json_t **out, int *http_status, fw_error *error) FW_MUST;
/* Uploads a model file and registers it with its card (released); champion: the fleet's target. */
fw_status fw_demo_factory_model(fw_demo_factory *factory, const void *bytes, size_t size_bytes,
                                json_t *card, bool champion, fw_hash *hash,
                                fw_error *error) FW_MUST;
/* Downloads an object and checks its hash; kept if the file is there and right already. */
fw_status fw_demo_factory_fetch(fw_demo_factory *factory, const char *hash, const char *path,
                                fw_error *error) FW_MUST;

#endif
