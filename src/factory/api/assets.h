/* assets.h - the dashboard's files, embedded in the program at build time (cmake/embed.cmake). */
#ifndef FW_FACTORY_ASSETS_H
#define FW_FACTORY_ASSETS_H

#include <stddef.h>

typedef struct fw_asset {
    const char *path; /* "/app.js" */
    const char *content_type;
    const char *bytes;
    size_t size_bytes;
} fw_asset;

extern const fw_asset fw_assets[];
extern const size_t fw_asset_count;

/* The asset served at a path, or NULL. */
const fw_asset *fw_asset_find(const char *path);

#endif
