/* links: fw_trust */
/* Any bytes as what a repository serves. The first says as what:
 *   "0" to "3"  metadata of that role (role.h): refused with a reason, or read; then checked against its own keys, and
 *               its delegations asked for a path
 *   other       "PATTERN\nPATH": matched; a name: quoted, into nothing but what stands in an address */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "trust/metadata.h"
#include "trust/tuf_inner.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void use_root(const fw_metadata *m) {
    fw_error error = {""};
    FW_ASSERT(!fw_metadata_rotated(m, m, FW_TUF_TIMESTAMP));
    if (fw_metadata_verify_role(m, m, FW_TUF_ROOT, &error) != FW_OK) FW_ASSERT(error.text[0]);
}

static void use_targets(const fw_metadata *m) {
    const json_t *delegations = json_object_get(m->content, "delegations"), *role;
    char hash[FW_HASH_HEX + 1];
    fw_error error = {""};
    size_t i;
    memset(hash, 'a', FW_HASH_HEX);
    hash[FW_HASH_HEX] = '\0';
    json_array_foreach(json_object_get(delegations, "roles"), i, role) {
        (void)fw_tuf_delegates(role, "driving/model.safetensors", hash);
        (void)!fw_metadata_verify(m, json_object_get(delegations, "keys"), role, "role", &error);
    }
}

static void read_metadata(fw_tuf_role type, const uint8_t *bytes, size_t size_bytes) {
    fw_metadata *m = NULL;
    fw_error error = {""};
    if (fw_metadata_read(type, bytes, size_bytes, &m, &error) != FW_OK) {
        FW_ASSERT(error.text[0] && !m);
        return;
    }
    FW_ASSERT(m->version > 0 && m->size_bytes == size_bytes && !memcmp(m->bytes, bytes, size_bytes));
    if (type == FW_TUF_ROOT) use_root(m);
    if (type == FW_TUF_TARGETS) use_targets(m);
    fw_metadata_free(m);
}

static void match(const uint8_t *bytes, size_t size_bytes) {
    char *pattern = malloc(size_bytes + 1), quoted[512];
    memcpy(pattern, bytes, size_bytes);
    pattern[size_bytes] = '\0';
    char *path = strchr(pattern, '\n');
    if (path) *path++ = '\0';
    (void)fw_tuf_match(pattern, path ? path : "");
    FW_ASSERT(!strpbrk(pattern, "*?[") ? fw_tuf_match(pattern, pattern) : true);
    if (fw_tuf_quote(pattern, false, quoted, sizeof quoted, NULL) == FW_OK) FW_ASSERT(!strpbrk(quoted, "/ ?#\"\\"));
    int64_t seconds;
    (void)fw_tuf_time_read(pattern, &seconds);
    free(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    if (size_bytes == 0) return 0;
    if (bytes[0] - '0' >= 0 && bytes[0] - '0' < FW_TUF_ROLES) read_metadata((fw_tuf_role)(bytes[0] - '0'), bytes + 1, size_bytes - 1);
    else match(bytes + 1, size_bytes - 1);
    return 0;
}
