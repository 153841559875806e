#include "mcap/idmap.h"

#include <stdlib.h>

void *fw_mcap_idmap_get(const fw_mcap_idmap *map, uint16_t id) {
    void **page = map->pages[id >> 8];
    return page == NULL ? NULL : page[id & 255];
}

bool fw_mcap_idmap_put(fw_mcap_idmap *map, uint16_t id, void *value) {
    void ***page = &map->pages[id >> 8];
    if (*page == NULL) *page = calloc(256, sizeof(void *));
    if (*page == NULL) return false;
    (*page)[id & 255] = value;
    return true;
}

void fw_mcap_idmap_free(fw_mcap_idmap *map) {
    for (int p = 0; p < 256; p++) {
        if (map->pages[p] == NULL) continue;
        for (int i = 0; i < 256; i++) free(map->pages[p][i]);
        free(map->pages[p]);
        map->pages[p] = NULL;
    }
}
