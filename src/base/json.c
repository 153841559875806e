#include "base/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* jansson ends the program when its parser's buffer cannot grow. So once memory ran short within a
 * load, it gets what it asks for from a reserve that was taken before, and no more text: it comes to
 * an end within the piece it has. */
enum { PIECE_BYTES = 64, RESERVE_BYTES = 32768, ALIGN = 16 };

typedef struct loading {
    const char *at;
    size_t left;
    uint8_t *reserve; /* (size) */
    size_t size, used;
} loading;

static _Thread_local bool ran_short;
static _Thread_local loading *load_now; /* NULL: no load under way */

static void *take(size_t size) {
    loading *load = load_now;
    void *memory = ran_short && load ? NULL : malloc(size);
    if (memory) return memory;
    ran_short = true;
    if (!load || size > load->size - load->used - ALIGN) return NULL;
    memory = load->reserve + load->used;
    load->used += (size + ALIGN - 1) / ALIGN * ALIGN;
    return memory;
}

static void give(void *memory) {
    const loading *load = load_now;
    uintptr_t at = (uintptr_t)memory, from = load ? (uintptr_t)load->reserve : 0;
    if (load && at >= from && at < from + load->size) return;
    free(memory);
}

static size_t next_piece(void *out, size_t room, void *self) {
    loading *load = self;
    size_t size = load->left < PIECE_BYTES ? load->left : PIECE_BYTES;
    if (size > room) size = room;
    if (ran_short) return 0;
    memcpy(out, load->at, size);
    load->at += size;
    load->left -= size;
    return size;
}

void fw_json_start(void) {
    json_set_alloc_funcs(take, give);
}

void fw_json_watch(void) {
    ran_short = false;
}

bool fw_json_short(void) {
    return ran_short;
}

json_t *fw_json_load(const void *bytes, size_t size_bytes, size_t flags, json_error_t *where) {
    loading load = {.at = bytes, .left = size_bytes, .size = 3 * size_bytes + RESERVE_BYTES};
    bool before = ran_short;
    json_t *json = NULL;
    load.reserve = malloc(load.size);
    ran_short = !load.reserve;
    if (where) *where = (json_error_t){.line = -1, .column = -1};
    if (!ran_short) {
        load_now = &load;
        json = json_load_callback(next_piece, &load, flags, where);
        if (ran_short) {
            json_decref(json);
            json = NULL;
        }
        load_now = NULL;
    }
    free(load.reserve);
    ran_short = ran_short || before;
    return json;
}

json_t *fw_json_load_text(const char *text) {
    return text ? fw_json_load(text, strlen(text), 0, NULL) : NULL;
}
