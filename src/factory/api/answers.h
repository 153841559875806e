/* answers.h - what a failure looks like over HTTP: one table for the whole API. */
#ifndef FW_FACTORY_ANSWERS_H
#define FW_FACTORY_ANSWERS_H

#include "http/server.h"

/* 400 404 409 410 413 422 500 503 507 */
int fw_answer_status(fw_status status);
/* {"error": text}; Retry-After with 409 and 503 (1 s) and 507 (15 s). */
void fw_answer_failure(fw_http_response *response, fw_status status, const fw_error *error);
void fw_answer_retry(fw_http_response *response, int http_status, int retry_s, const char *text);

#endif
