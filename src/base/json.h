/* json.h - jansson without guessing whether a text was wrong or memory was short.
 *
 * jansson tells neither: a parser that ran out of memory says "no JSON", and one whose buffer could not
 * grow leaves bytes of a number or a text out. Here its allocations are watched, by thread:
 *
 *   fw_json_watch()  ...  fw_json_load(...)  ...  fw_json_short() -> answer 503, not 400
 *
 * Invariant: what fw_json_load gives is exactly what the text says.
 */
#ifndef FW_BASE_JSON_H
#define FW_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Once, before the program's first value of jansson; again does no harm. */
void fw_json_start(void);
/* Forgets what failed in this thread so far. */
void fw_json_watch(void);
/* Did an allocation of jansson fail in this thread since? */
bool fw_json_short(void);

/* As json_loadb; NULL also when memory ran short, which fw_json_short then says. where may be NULL. */
json_t *fw_json_load(const void *bytes, size_t size_bytes, size_t flags, json_error_t *where);
/* The same of a text that ends with 0; NULL gives NULL. */
json_t *fw_json_load_text(const char *text);

#endif
