/* api_erase.h - handlers of erasure and retention (api.h; docs/formats/http.md). */
#ifndef FW_FACTORY_API_ERASE_H
#define FW_FACTORY_API_ERASE_H

#include "factory/api/api.h"
#include "factory/custody/erase.h"

/* What an erasure in this factory works on. */
fw_eraser fw_factory_eraser(fw_factory *factory);

void fw_api_erase_post(const fw_api_call *c);
void fw_api_erasures_get(const fw_api_call *c);
void fw_api_retention_get(const fw_api_call *c);
void fw_api_retention_post(const fw_api_call *c);

#endif
