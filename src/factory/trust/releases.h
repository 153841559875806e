/* releases.h - releases that wait for the image repository's targets key, and the signing of them.
 *
 *   release --key is here--> published
 *           --elsewhere----> DIR/trust/waiting/SHA256.json --flywheel trust sign --keys FOLDER--> published
 */
#ifndef FW_FACTORY_TRUST_RELEASES_H
#define FW_FACTORY_TRUST_RELEASES_H

#include "factory/trust/trust.h"

typedef struct fw_waiting {
    char path[256]; /* "<line>/<sha256>.safetensors" */
    fw_hash model;
    uint64_t length_bytes;
    const json_t *custom; /* borrowed; may be NULL */
} fw_waiting;

/* Calls each with every waiting release and its file. */
fw_status fw_trust_each_waiting(fw_trust *trust, fw_status (*each)(void *self, const fw_waiting *release,
                                                                  const char *file, fw_error *error),
                                void *self, fw_error *error) FW_MUST;
/* Publishes them with the keys of that folder, and signs anew what expires soon. */
fw_status fw_trust_sign_waiting(fw_trust *trust, const char *keys, int64_t *count, fw_error *error) FW_MUST;

#endif
