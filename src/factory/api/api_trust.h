/* api_trust.h - signed metadata, units' keys and version reports over HTTP (factory/trust/trust.h).
 *
 *   GET  /v1/tuf/image/{file}            files of the image repository
 *   GET  /v1/tuf/director/{unit}/{file}  what one unit is to run, signed at that moment
 *   POST /v1/units/{id}/key              a unit's public key; GET: it, its assignment, its last good version report
 *   POST /v1/units/{id}/report           "versions" in, "nonce" out (api.c calls fw_api_trust_report)
 */
#ifndef FW_FACTORY_API_TRUST_H
#define FW_FACTORY_API_TRUST_H

#include "factory/api/api.h"

void fw_api_trust_image(const fw_api_call *c);
void fw_api_trust_director(const fw_api_call *c);
void fw_api_trust_key_post(const fw_api_call *c);
void fw_api_trust_key_get(const fw_api_call *c);
/* Takes the "versions" of a report that was good otherwise, and gives the nonce for the next one. A version report
 * that is refused is in the log and at GET /v1/units/{id}/key; the rest of the report counts all the same. */
void fw_api_trust_report(const fw_api_call *c, char nonce[33]);

#endif
