/* known.h - private: the schemas and channels that a file has given so far, by id.
 *
 * Each is copied once, counted against a limit, and stays at its address until the end, so that
 * messages may point to it. The same id must always mean the same thing.
 */
#ifndef FW_MCAP_KNOWN_H
#define FW_MCAP_KNOWN_H

#include "mcap/idmap.h"
#include "mcap/mcap.h"

typedef struct fw_mcap_known_channel {
    fw_mcap_channel channel; /* first: handed out by address */
    const fw_mcap_schema *schema;
    uint32_t mark; /* the user's: a serial number */
    bool chosen;   /* the user's: of a query */
} fw_mcap_known_channel;

typedef struct fw_mcap_known {
    fw_mcap_idmap schemas, channels;
    uint64_t text_used, text_max_bytes; /* of all copies; the limit */
    uint32_t schema_count, channel_count;
    uint16_t *schema_ids, *channel_ids; /* (schema_count), (channel_count), in order of arrival */
} fw_mcap_known;

/* Remembers a copy, or checks that it is the same as before: FW_CORRUPT. `offset` is for messages.
 * FW_TOO_BIG over text_max_bytes. A schema with id 0 may not come here. */
fw_status fw_mcap_known_add_schema(fw_mcap_known *known, const fw_mcap_schema *schema,
                                   uint64_t offset, fw_error *error) FW_MUST;
/* Its schema must be known: FW_CORRUPT. */
fw_status fw_mcap_known_add_channel(fw_mcap_known *known, const fw_mcap_channel *channel,
                                    uint64_t offset, fw_error *error) FW_MUST;
/* NULL when not known. */
static inline fw_mcap_known_channel *fw_mcap_known_find(const fw_mcap_known *known, uint16_t id) {
    void **page = known->channels.pages[id >> 8];
    return page == NULL ? NULL : page[id & 255];
}
const fw_mcap_schema *fw_mcap_known_schema(const fw_mcap_known *known, uint16_t id);
void fw_mcap_known_free(fw_mcap_known *known);

#endif
