/* api_receipts.h - the calls of receipts (receipts/receipts.h, api.h). */
#ifndef FW_FACTORY_API_RECEIPTS_H
#define FW_FACTORY_API_RECEIPTS_H

#include "factory/api/api.h"

void fw_api_receipts_list(const fw_api_call *c);
void fw_api_receipts_get(const fw_api_call *c);
void fw_api_receipts_replay(const fw_api_call *c);
/* The release key's public half, which receipts and statements are checked with. */
void fw_api_receipts_key(const fw_api_call *c);

#endif
