/* names.h - a table from text to a small number: SUMO's ids become indices once, at the door.
 *
 * Open addressing, FNV-1a. Texts are copied. Invariant: an index is found under the text it was
 * put with, until it is taken out.
 */
#ifndef FW_WORLDS_SUMO_NAMES_H
#define FW_WORLDS_SUMO_NAMES_H

#include <stddef.h>
#include <stdint.h>

/* A text inside somebody's buffer, not terminated. */
typedef struct fw_text {
    const char *at;
    size_t size;
} fw_text;

typedef struct fw_name {
    char *text;           /* owned; NULL: empty or taken out */
    uint32_t index, used; /* used: a probe goes on here */
} fw_name;

typedef struct fw_names {
    fw_name *slots; /* (capacity), a power of two */
    uint32_t capacity, filled, live;
} fw_names;

#define FW_NAME_NONE UINT32_MAX

static inline fw_text fw_text_of(const char *text) {
    fw_text t = {text, 0};
    while (text[t.size]) t.size++;
    return t;
}

/* Puts or overwrites. Memory exhaustion stops the program (bounded tables). */
void fw_names_put(fw_names *names, fw_text text, uint32_t index);
/* FW_NAME_NONE where absent. */
uint32_t fw_names_find(const fw_names *names, fw_text text);
void fw_names_remove(fw_names *names, fw_text text);
void fw_names_free(fw_names *names);

#endif
