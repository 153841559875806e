/* idmap.h - private: u16 id -> pointer, in 256 pages of 256, allocated as ids come.
 *
 * A hostile file can make 256 pages at most: 512 KiB.
 */
#ifndef FW_MCAP_IDMAP_H
#define FW_MCAP_IDMAP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct fw_mcap_idmap {
    void **pages[256]; /* each (256), or NULL */
} fw_mcap_idmap;

/* NULL when absent. */
void *fw_mcap_idmap_get(const fw_mcap_idmap *map, uint16_t id);
/* False: out of memory. The map owns a malloc'd value from here on. */
bool fw_mcap_idmap_put(fw_mcap_idmap *map, uint16_t id, void *value);
/* Frees every value and page. */
void fw_mcap_idmap_free(fw_mcap_idmap *map);

#endif
