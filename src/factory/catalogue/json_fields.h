/* json_fields.h - the numbers and texts at the top level of a JSON object, without building it.
 *
 *   {"tick": 4, "model": "ab..", "users": [[1,2],[3,4]]}  -->  tick 4, model "ab.."; users passed over
 *
 * For looking through every message of a recording at the speed of reading: one pass over the bytes,
 * nothing allocated, no recursion. It is no validator: false says that the text is certainly no JSON
 * object, true that its shape holds up at the top level. Texts with escapes are passed over.
 */
#ifndef FW_FACTORY_JSON_FIELDS_H
#define FW_FACTORY_JSON_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct fw_json_field {
    const char *name; /* (name_bytes) not terminated, as the next */
    size_t name_bytes;
    bool is_number;
    double number;
    const char *text; /* when no number */
    size_t text_bytes;
} fw_json_field;

typedef void (*fw_json_field_visit)(void *self, const fw_json_field *field);

bool fw_json_fields(const void *bytes, size_t size_bytes, fw_json_field_visit visit, void *self);

#endif
