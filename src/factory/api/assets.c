#include "factory/api/assets.h"

#include <string.h>

const fw_asset *fw_asset_find(const char *path) {
    for (size_t i = 0; i < fw_asset_count; i++)
        if (strcmp(fw_assets[i].path, path) == 0) return &fw_assets[i];
    return NULL;
}
