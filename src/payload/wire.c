#include "payload/wire.h"

enum { GROUPS_MAX = 64, NUMBER_MAX = (1 << 29) - 1 };

bool fw_wire_varint(fw_wire *wire, uint64_t *value) {
    uint64_t v = 0;
    const uint8_t *at = wire->at;
    for (unsigned shift = 0; shift < 70 && at < wire->end; shift += 7) {
        uint8_t byte = *at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80) continue;
        wire->at = at;
        *value = v;
        return true;
    }
    return false;
}

bool fw_wire_fixed(fw_wire *wire, unsigned size_bytes, uint64_t *value) {
    uint64_t v = 0;
    if ((size_t)(wire->end - wire->at) < size_bytes) return false;
    for (unsigned i = 0; i < size_bytes; i++) v |= (uint64_t)wire->at[i] << (8 * i);
    wire->at += size_bytes;
    *value = v;
    return true;
}

static const char *read_tag(fw_wire *wire, fw_wire_item *item) {
    uint64_t tag;
    if (!fw_wire_varint(wire, &tag)) return "a broken tag";
    if (tag >> 3 == 0 || tag >> 3 > NUMBER_MAX) return "a field number that is none";
    if ((tag & 7) > FW_WIRE_I32) return "a wire type that is none";
    item->number = (uint32_t)(tag >> 3);
    item->type = (fw_wire_type)(tag & 7);
    return NULL;
}

/* Everything but groups. */
static const char *read_plain(fw_wire *wire, fw_wire_item *item) {
    if (item->type == FW_WIRE_VARINT)
        return fw_wire_varint(wire, &item->value) ? NULL : "a broken varint";
    if (item->type != FW_WIRE_LEN) {
        unsigned size = item->type == FW_WIRE_I64 ? 8 : 4;
        return fw_wire_fixed(wire, size, &item->value) ? NULL : "a number that is cut off";
    }
    uint64_t size;
    if (!fw_wire_varint(wire, &size) || size > (uint64_t)(wire->end - wire->at))
        return "a length beyond the end";
    item->at = wire->at;
    item->size_bytes = (size_t)size;
    wire->at += size;
    return NULL;
}

/* Passes over a group; groups in it are counted on a small stack. */
static const char *read_group(fw_wire *wire, fw_wire_item *group) {
    uint32_t open[GROUPS_MAX];
    unsigned depth = 1;
    open[0] = group->number;
    group->at = wire->at;
    while (true) {
        const uint8_t *before = wire->at;
        fw_wire_item item = {0};
        const char *why = wire->at == wire->end ? "a group without an end" : read_tag(wire, &item);
        if (why != NULL) return why;
        if (item.type == FW_WIRE_GROUP) {
            if (depth == GROUPS_MAX) return "groups nested too deeply";
            open[depth++] = item.number;
        } else if (item.type == FW_WIRE_GROUP_END) {
            if (item.number != open[--depth]) return "the end of another group";
            group->size_bytes = (size_t)(before - group->at);
            if (depth == 0) return NULL;
        } else if ((why = read_plain(wire, &item)) != NULL) {
            return why;
        }
    }
}

const char *fw_wire_next(fw_wire *wire, fw_wire_item *item, bool *done) {
    *item = (fw_wire_item){0};
    *done = wire->at == wire->end;
    if (*done) return NULL;
    const char *why = read_tag(wire, item);
    if (why != NULL) return why;
    if (item->type == FW_WIRE_GROUP) return read_group(wire, item);
    if (item->type == FW_WIRE_GROUP_END) return "the end of a group that was not begun";
    return read_plain(wire, item);
}
