#include "payload/cdr.h"

#include <stdlib.h>
#include <string.h>

fw_status fw_cdr_fail(const fw_cdr_schema *s, fw_status status, uint32_t line, const char *what,
                      const char *why) {
    static const char *const names[] = {"ros1msg", "ros2msg", "idl"};
    return fw_fail(s->error, status, "%s: line %u: %.120s%s%s", names[s->language], line, what,
                   *what ? ": " : "", why);
}

static fw_status full(const fw_cdr_schema *s) {
    return fw_fail(s->error, FW_TOO_BIG, "payload: a schema with too many names, or no memory");
}

static bool grow(fw_cdr_schema *s, void **array, size_t *room, size_t count, size_t item_bytes) {
    return s->items++ < s->items_max && fw_payload_grow(array, room, count, item_bytes, UINT32_MAX);
}

fw_status fw_cdr_add_type(fw_cdr_schema *s, fw_cdr_type type, uint32_t *position) {
    if (!grow(s, (void **)&s->types, &s->type_room, s->type_count, sizeof type)) return full(s);
    *position = (uint32_t)s->type_count;
    s->types[s->type_count++] = type;
    return FW_OK;
}

fw_status fw_cdr_copy(fw_cdr_schema *s, const char *text, size_t size_bytes, const char **out) {
    *out = fw_payload_arena_copy(&s->arena, text, size_bytes);
    return *out ? FW_OK : full(s);
}

fw_status fw_cdr_add_field(fw_cdr_schema *s, const char *name, size_t name_bytes, uint32_t type) {
    fw_cdr_field f = {.type = type};
    FW_TRY(fw_cdr_copy(s, name, name_bytes, &f.name));
    char *key = fw_payload_arena_take(&s->arena, name_bytes + 4);
    if (key == NULL || !grow(s, (void **)&s->fields, &s->field_room, s->field_count, sizeof f))
        return full(s);
    key[0] = '"'; /* names are letters, digits and _: no escapes */
    memcpy(key + 1, name, name_bytes);
    memcpy(key + 1 + name_bytes, "\":", 2);
    f.key = key;
    f.key_bytes = (uint32_t)name_bytes + 3;
    s->fields[s->field_count++] = f;
    return FW_OK;
}

fw_status fw_cdr_add_value(fw_cdr_schema *s, const char *name, size_t name_bytes, int64_t number,
                           uint32_t order) {
    fw_cdr_value v = {.number = number, .order = order};
    FW_TRY(fw_cdr_copy(s, name, name_bytes, &v.name));
    if (!grow(s, (void **)&s->values, &s->value_room, s->value_count, sizeof v)) return full(s);
    s->values[s->value_count++] = v;
    return FW_OK;
}

fw_status fw_cdr_add_symbol(fw_cdr_schema *s, const char *name, uint32_t type, int64_t value) {
    fw_cdr_symbol symbol = {.type = type, .value = value, .order = (uint32_t)s->symbol_count};
    FW_TRY(fw_cdr_copy(s, name, strlen(name), &symbol.name));
    if (!grow(s, (void **)&s->symbols, &s->symbol_room, s->symbol_count, sizeof symbol))
        return full(s);
    s->symbols[s->symbol_count++] = symbol;
    return FW_OK;
}

static int compare_values(const void *a, const void *b) {
    const fw_cdr_value *x = a, *y = b;
    if (x->number != y->number) return x->number < y->number ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

void fw_cdr_sort_values(fw_cdr_schema *s, const fw_cdr_type *type) {
    if (type->count > 1)
        qsort(s->values + type->first, type->count, sizeof *s->values, compare_values);
}

/* ----------------------------------------------------------------------- resolve ----- */

static int compare_symbols(const void *a, const void *b) {
    const fw_cdr_symbol *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : x->order < y->order ? -1 : x->order > y->order;
}

static const fw_cdr_symbol *find(const fw_cdr_schema *s, const char *name) {
    size_t low = 0, high = s->symbol_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(s->symbols[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->symbol_count && strcmp(s->symbols[low].name, name) == 0 ? s->symbols + low
                                                                            : NULL;
}

/* IDL: in the scope and outwards; ROS: the front end has written the full name. */
static const fw_cdr_symbol *look_up(const fw_cdr_schema *s, const char *scope, const char *name) {
    char joined[512];
    if (strncmp(name, "::", 2) == 0) return find(s, name + 2);
    size_t scope_bytes = scope ? strlen(scope) : 0, name_bytes = strlen(name);
    if (scope_bytes + name_bytes + 3 > sizeof joined) return NULL;
    while (scope_bytes > 0) {
        memcpy(joined, scope, scope_bytes);
        memcpy(joined + scope_bytes, "::", 2);
        memcpy(joined + scope_bytes + 2, name, name_bytes + 1);
        const fw_cdr_symbol *found = find(s, joined);
        if (found != NULL) return found;
        while (scope_bytes > 0 && scope[--scope_bytes] != ':') {
        }
        if (scope_bytes > 0) scope_bytes--; /* both colons */
    }
    return find(s, name);
}

static fw_status resolve_type(fw_cdr_schema *s, fw_cdr_type *t) {
    if (t->kind == FW_CDR_NAME) {
        const fw_cdr_symbol *found = look_up(s, t->scope, t->name);
        if (found == NULL || found->type == UINT32_MAX)
            return fw_cdr_fail(s, FW_CORRUPT, t->line, t->name, "nobody defines this type");
        t->element = found->type;
    }
    if (t->bound_name != NULL) {
        const fw_cdr_symbol *found = look_up(s, t->scope, t->bound_name);
        if (found == NULL || found->type != UINT32_MAX)
            return fw_cdr_fail(s, FW_CORRUPT, t->line, t->bound_name, "nobody defines this number");
        if (found->value < 0 || found->value > UINT32_MAX)
            return fw_cdr_fail(s, FW_CORRUPT, t->line, t->bound_name, "no size");
        t->bound = (uint32_t)found->value;
    }
    return FW_OK;
}

/* The type at the end of a chain of names, which is shortened on the way. UINT32_MAX: a circle. */
static uint32_t end_of(fw_cdr_schema *s, uint32_t type) {
    uint32_t end = type;
    for (size_t steps = 0; s->types[end].kind == FW_CDR_NAME; steps++) {
        if (steps > s->type_count) return UINT32_MAX;
        end = s->types[end].element;
    }
    while (s->types[type].kind == FW_CDR_NAME) {
        uint32_t next = s->types[type].element;
        s->types[type].element = end;
        type = next;
    }
    return end;
}

static fw_status resolve_chain(fw_cdr_schema *s, uint32_t *type, uint32_t line, const char *name) {
    uint32_t end = end_of(s, *type);
    if (end == UINT32_MAX) return fw_cdr_fail(s, FW_CORRUPT, line, name, "defined by itself");
    *type = end;
    return FW_OK;
}

fw_status fw_cdr_resolve(fw_cdr_schema *s, const char *root) {
    if (s->symbol_count > 1)
        qsort(s->symbols, s->symbol_count, sizeof *s->symbols, compare_symbols);
    for (size_t i = 0; i < s->type_count; i++) FW_TRY(resolve_type(s, s->types + i));
    for (size_t i = 0; i < s->type_count; i++) {
        fw_cdr_type *t = s->types + i;
        if (t->kind == FW_CDR_ARRAY || t->kind == FW_CDR_SEQUENCE)
            FW_TRY(resolve_chain(s, &t->element, t->line, "an array's item"));
    }
    for (size_t i = 0; i < s->field_count; i++)
        FW_TRY(resolve_chain(s, &s->fields[i].type, 0, s->fields[i].name));
    const fw_cdr_symbol *found = find(s, root);
    if (found == NULL || found->type == UINT32_MAX)
        return fw_cdr_fail(s, FW_CORRUPT, 0, root, "the schema's own type is not defined in it");
    s->root = found->type;
    return resolve_chain(s, &s->root, 0, root);
}
