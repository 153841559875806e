/* A FileDescriptorSet becomes tables: messages are a worklist, so that nesting costs no recursion.
 * The names stay where the arena put them; the descriptor's bytes are not needed afterwards. */
#include "payload/protobuf.h"

#include <stdlib.h>
#include <string.h>

#include "payload/wire.h"

static fw_status corrupt(fw_error *error, const char *where, const char *why) {
    return fw_fail(error, FW_CORRUPT, "protobuf schema: %.200s: %s", where, why);
}

static fw_status full(fw_error *error) {
    return fw_fail(error, FW_TOO_BIG, "protobuf schema: too many fields and names, or no memory");
}

/* Room for one more item of a table. */
static bool grow(fw_pb_schema *s, void **array, size_t *room, size_t count, size_t item_bytes) {
    return s->items++ < s->items_max && fw_payload_grow(array, room, count, item_bytes, UINT32_MAX);
}

/* "scope.name", or "name" without a scope. */
static char *join(fw_pb_schema *s, const char *scope, const fw_wire_item *name) {
    size_t scope_bytes = strlen(scope), dot = scope_bytes > 0;
    char *full_name = fw_payload_arena_take(&s->arena, scope_bytes + dot + name->size_bytes + 1);
    if (full_name == NULL) return NULL;
    memcpy(full_name, scope, scope_bytes);
    if (dot) full_name[scope_bytes] = '.';
    if (name->size_bytes > 0) memcpy(full_name + scope_bytes + dot, name->at, name->size_bytes);
    return full_name;
}

/* The last item `number` of a LEN field; an empty one when it is not there. */
static fw_wire_item find_bytes(const uint8_t *at, size_t size, uint32_t number) {
    fw_wire wire = {at, at + size};
    fw_wire_item item, found = {.at = at};
    for (bool done; fw_wire_next(&wire, &item, &done) == NULL && !done;)
        if (item.number == number && item.type == FW_WIRE_LEN) found = item;
    return found;
}

static fw_status add_message(fw_pb_schema *s, const char *scope, const fw_wire_item *descriptor,
                             fw_error *error) {
    fw_wire_item name = find_bytes(descriptor->at, descriptor->size_bytes, 1);
    char *full_name = join(s, scope, &name);
    if (full_name == NULL ||
        !grow(s, (void **)&s->messages, &s->message_room, s->message_count, sizeof *s->messages))
        return full(error);
    s->messages[s->message_count++] = (fw_pb_message){.name = full_name,
                                                      .descriptor = descriptor->at,
                                                      .descriptor_bytes = descriptor->size_bytes};
    return FW_OK;
}

static fw_status add_enum(fw_pb_schema *s, const char *scope, const fw_wire_item *descriptor,
                          fw_error *error) {
    fw_wire_item name = find_bytes(descriptor->at, descriptor->size_bytes, 1);
    char *full_name = join(s, scope, &name);
    if (full_name == NULL ||
        !grow(s, (void **)&s->enums, &s->enum_room, s->enum_count, sizeof *s->enums))
        return full(error);
    s->enums[s->enum_count++] = (fw_pb_enum){.name = full_name,
                                             .descriptor = descriptor->at,
                                             .descriptor_bytes = descriptor->size_bytes};
    return FW_OK;
}

/* FileDescriptorProto: package = 2, message_type = 4, enum_type = 5. */
static fw_status add_file(fw_pb_schema *s, const fw_wire_item *file, fw_error *error) {
    fw_wire_item package = find_bytes(file->at, file->size_bytes, 2), item;
    char *scope = join(s, "", &package);
    if (scope == NULL) return full(error);
    fw_wire wire = {file->at, file->at + file->size_bytes};
    for (bool done;;) {
        const char *why = fw_wire_next(&wire, &item, &done);
        if (why != NULL) return corrupt(error, "FileDescriptorProto", why);
        if (done) return FW_OK;
        if (item.type != FW_WIRE_LEN) continue;
        if (item.number == 4) FW_TRY(add_message(s, scope, &item, error));
        if (item.number == 5) FW_TRY(add_enum(s, scope, &item, error));
    }
}

/* ------------------------------------------------------------------------ fields ----- */

/* The JSON name protoc would give: lowerCamelCase. */
static size_t camel(const char *name, char *out) {
    size_t used = 0;
    bool up = false;
    for (; *name; name++) {
        if (*name == '_') {
            up = true;
            continue;
        }
        out[used++] = up && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
        up = false;
    }
    return used;
}

static bool set_key(fw_pb_schema *s, fw_pb_field *f, const fw_wire_item *json_name) {
    size_t size = strlen(f->name);
    char *plain = NULL;
    if (json_name->size_bytes == 0) {
        plain = malloc(size + 1);
        if (plain == NULL) return false;
        size = camel(f->name, plain);
    }
    fw_payload_text text = {.max_bytes = s->arena.max_bytes};
    if (plain != NULL)
        fw_payload_put_string(&text, plain, size);
    else
        fw_payload_put_string(&text, json_name->at, json_name->size_bytes);
    fw_payload_put_char(&text, ':');
    free(plain);
    if (fw_payload_text_status(&text) == FW_OK) {
        f->key = fw_payload_arena_copy(&s->arena, text.bytes, text.size_bytes);
        f->key_bytes = (uint32_t)text.size_bytes;
    }
    free(text.bytes);
    return f->key != NULL;
}

/* FieldDescriptorProto: name = 1, number = 3, label = 4 (3: repeated), type = 5, type_name = 6,
 * oneof_index = 9, json_name = 10. */
static fw_status add_field(fw_pb_schema *s, const fw_pb_message *m, const fw_wire_item *descriptor,
                           fw_error *error) {
    fw_pb_field f = {.oneof = -1};
    fw_wire_item item, json_name = {0};
    fw_wire wire = {descriptor->at, descriptor->at + descriptor->size_bytes};
    bool room = true;
    for (bool done;;) {
        const char *why = fw_wire_next(&wire, &item, &done);
        if (why != NULL) return corrupt(error, m->name, why);
        if (done) break;
        bool is_text = item.type == FW_WIRE_LEN, is_number = item.type == FW_WIRE_VARINT;
        if (item.number == 1 && is_text)
            room = room && (f.name = fw_payload_arena_copy(&s->arena, item.at, item.size_bytes));
        if (item.number == 6 && is_text)
            room =
                room && (f.type_name = fw_payload_arena_copy(&s->arena, item.at, item.size_bytes));
        if (item.number == 10 && is_text) json_name = item;
        if (item.number == 3 && is_number) f.number = (uint32_t)item.value;
        if (item.number == 4 && is_number) f.is_repeated = item.value == 3;
        if (item.number == 5 && is_number)
            f.type = item.value <= FW_PB_SINT64 ? (uint8_t)item.value : 255;
        if (item.number == 9 && is_number && item.value < INT32_MAX) f.oneof = (int32_t)item.value;
    }
    if (room && f.name == NULL) return corrupt(error, m->name, "a field without a name");
    if (!room || !set_key(s, &f, &json_name) ||
        !grow(s, (void **)&s->fields, &s->field_room, s->field_count, sizeof *s->fields))
        return full(error);
    s->fields[s->field_count++] = f;
    return FW_OK;
}

/* The first field of each oneof names the group; others are their own. */
static bool set_groups(fw_pb_schema *s, const fw_pb_message *m) {
    fw_pb_field *fields = s->fields + m->first_field;
    uint32_t oneofs = 0;
    for (uint32_t i = 0; i < m->field_count; i++) {
        fields[i].group = i;
        if (fields[i].oneof >= 0 && (uint32_t)fields[i].oneof < m->field_count)
            oneofs = m->field_count;
    }
    if (oneofs == 0) return true;
    uint32_t *first = malloc(oneofs * sizeof *first);
    if (first == NULL) return false;
    memset(first, 0xff, oneofs * sizeof *first);
    for (uint32_t i = 0; i < m->field_count; i++) {
        if (fields[i].oneof < 0 || (uint32_t)fields[i].oneof >= oneofs) continue;
        uint32_t *group = first + fields[i].oneof;
        if (*group == UINT32_MAX) *group = i;
        fields[i].group = *group;
    }
    free(first);
    return true;
}

static int compare_numbers(const void *a, const void *b, void *fields) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const fw_pb_field *f = fields;
    if (f[x].number != f[y].number) return f[x].number < f[y].number ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool sort_fields(fw_pb_schema *s, fw_pb_message *m) {
    m->by_number = fw_payload_arena_take(&s->arena, (size_t)m->field_count * sizeof(uint32_t));
    if (m->by_number == NULL) return false;
    for (uint32_t i = 0; i < m->field_count; i++) m->by_number[i] = i;
    if (m->field_count > 1)
        qsort_r(m->by_number, m->field_count, sizeof(uint32_t), compare_numbers,
                s->fields + m->first_field);
    return true;
}

/* MessageOptions: map_entry = 7. */
static bool is_map_entry(const fw_wire_item *options) {
    fw_wire wire = {options->at, options->at + options->size_bytes};
    fw_wire_item item;
    bool is = false;
    for (bool done; fw_wire_next(&wire, &item, &done) == NULL && !done;)
        if (item.number == 7 && item.type == FW_WIRE_VARINT) is = item.value != 0;
    return is;
}

/* DescriptorProto: field = 2, nested_type = 3, enum_type = 4, options = 7. */
static fw_status read_message(fw_pb_schema *s, size_t position, fw_error *error) {
    fw_pb_message m = s->messages[position];
    fw_wire wire = {m.descriptor, m.descriptor + m.descriptor_bytes};
    fw_wire_item item;
    m.first_field = (uint32_t)s->field_count;
    if (strcmp(m.name, "google.protobuf.Timestamp") == 0) m.special = FW_PB_TIMESTAMP;
    if (strcmp(m.name, "google.protobuf.Duration") == 0) m.special = FW_PB_DURATION;
    for (bool done;;) {
        const char *why = fw_wire_next(&wire, &item, &done);
        if (why != NULL) return corrupt(error, m.name, why);
        if (done) break;
        if (item.type != FW_WIRE_LEN) continue;
        if (item.number == 2) FW_TRY(add_field(s, &m, &item, error));
        if (item.number == 3) FW_TRY(add_message(s, m.name, &item, error));
        if (item.number == 4) FW_TRY(add_enum(s, m.name, &item, error));
        if (item.number == 7 && is_map_entry(&item)) m.special = FW_PB_MAP_ENTRY;
    }
    m.field_count = (uint32_t)(s->field_count - m.first_field);
    if (!sort_fields(s, &m) || !set_groups(s, &m)) return full(error);
    s->messages[position] = m;
    return FW_OK;
}

static int compare_values(const void *a, const void *b) {
    const fw_pb_value *x = a, *y = b;
    if (x->number != y->number) return x->number < y->number ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* EnumDescriptorProto: value = 2; EnumValueDescriptorProto: name = 1, number = 2. */
static fw_status read_enum(fw_pb_schema *s, fw_pb_enum *e, fw_error *error) {
    fw_wire wire = {e->descriptor, e->descriptor + e->descriptor_bytes};
    fw_wire_item item, part;
    e->first_value = (uint32_t)s->value_count;
    e->is_null = strcmp(e->name, "google.protobuf.NullValue") == 0;
    for (bool done;;) {
        const char *why = fw_wire_next(&wire, &item, &done);
        if (why != NULL) return corrupt(error, e->name, why);
        if (done) break;
        if (item.number != 2 || item.type != FW_WIRE_LEN) continue;
        fw_wire_item name = find_bytes(item.at, item.size_bytes, 1);
        fw_pb_value v = {.order = e->value_count++};
        fw_wire inner = {item.at, item.at + item.size_bytes};
        for (bool end; fw_wire_next(&inner, &part, &end) == NULL && !end;)
            if (part.number == 2 && part.type == FW_WIRE_VARINT)
                v.number = (int32_t)(uint32_t)part.value;
        v.name = fw_payload_arena_copy(&s->arena, name.at, name.size_bytes);
        if (v.name == NULL ||
            !grow(s, (void **)&s->values, &s->value_room, s->value_count, sizeof *s->values))
            return full(error);
        s->values[s->value_count++] = v;
    }
    if (e->value_count > 1)
        qsort(s->values + e->first_value, e->value_count, sizeof *s->values, compare_values);
    return FW_OK;
}

/* ------------------------------------------------------------------------- names ----- */

typedef struct symbol {
    const char *name;
    uint32_t target;
    bool is_enum;
} symbol;

static int compare_symbols(const void *a, const void *b) {
    const symbol *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    if (order != 0) return order;
    if (x->is_enum != y->is_enum) return x->is_enum ? 1 : -1;
    return x->target < y->target ? -1 : x->target > y->target;
}

/* The first symbol of a name. */
static const symbol *find_symbol(const symbol *symbols, size_t count, const char *name,
                                 size_t size) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strncmp(symbols[middle].name, name, size);
        if (order == 0 && symbols[middle].name[size] != '\0') order = 1;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool is = low < count && strncmp(symbols[low].name, name, size) == 0 &&
              symbols[low].name[size] == '\0';
    return is ? symbols + low : NULL;
}

/* ".pkg.Type" is absolute; "Type" is looked for in the message and outwards. */
static const symbol *resolve_name(const symbol *symbols, size_t count, const char *scope,
                                  const char *name) {
    if (name[0] == '.') return find_symbol(symbols, count, name + 1, strlen(name + 1));
    size_t name_bytes = strlen(name), scope_bytes = strlen(scope);
    char joined[512];
    const symbol *found = NULL;
    if (scope_bytes + name_bytes + 2 > sizeof joined) return NULL;
    while (found == NULL && scope_bytes > 0) {
        memcpy(joined, scope, scope_bytes);
        joined[scope_bytes] = '.';
        memcpy(joined + scope_bytes + 1, name, name_bytes);
        found = find_symbol(symbols, count, joined, scope_bytes + 1 + name_bytes);
        while (scope_bytes > 0 && scope[--scope_bytes] != '.') {
        }
    }
    return found ? found : find_symbol(symbols, count, name, name_bytes);
}

static fw_status resolve_field(fw_pb_schema *s, const symbol *symbols, size_t count,
                               const fw_pb_message *m, fw_pb_field *f, fw_error *error) {
    if (f->type == FW_PB_MESSAGE || f->type == FW_PB_GROUP || f->type == FW_PB_ENUM ||
        f->type == 0) {
        const symbol *found =
            f->type_name ? resolve_name(symbols, count, m->name, f->type_name) : NULL;
        if (found == NULL || (f->type != 0 && found->is_enum != (f->type == FW_PB_ENUM)))
            return fw_fail(error, FW_CORRUPT, "protobuf schema: %.100s.%.60s: no type %.100s",
                           m->name, f->name, f->type_name ? f->type_name : "is given");
        if (f->type == 0) f->type = found->is_enum ? FW_PB_ENUM : FW_PB_MESSAGE;
        f->target = found->target;
    } else if (f->type > FW_PB_SINT64) {
        return fw_fail(error, FW_CORRUPT, "protobuf schema: %.100s.%.60s: a type that is none",
                       m->name, f->name);
    }
    f->is_map = f->is_repeated && f->type == FW_PB_MESSAGE &&
                s->messages[f->target].special == FW_PB_MAP_ENTRY;
    return FW_OK;
}

/* A map's entry has a key (1), which is no float, bytes or message, and a value (2). */
static fw_status check_map_entry(const fw_pb_schema *s, const fw_pb_message *m, fw_error *error) {
    const fw_pb_field *key = fw_pb_field_of(s, m, 1), *value = fw_pb_field_of(s, m, 2);
    bool ok = key != NULL && value != NULL && !key->is_repeated && !value->is_repeated &&
              key->type != FW_PB_DOUBLE && key->type != FW_PB_FLOAT && key->type != FW_PB_BYTES &&
              key->type != FW_PB_MESSAGE && key->type != FW_PB_GROUP && key->type != FW_PB_ENUM;
    return ok ? FW_OK : corrupt(error, m->name, "a map's entry without a key and a value");
}

static fw_status resolve(fw_pb_schema *s, fw_mcap_text root, fw_error *error) {
    size_t count = s->message_count + s->enum_count;
    symbol *symbols = calloc(count + 1, sizeof *symbols);
    if (symbols == NULL) return full(error);
    for (size_t i = 0; i < s->message_count; i++)
        symbols[i] = (symbol){s->messages[i].name, (uint32_t)i, false};
    for (size_t i = 0; i < s->enum_count; i++)
        symbols[s->message_count + i] = (symbol){s->enums[i].name, (uint32_t)i, true};
    qsort(symbols, count, sizeof *symbols, compare_symbols);
    fw_status status = FW_OK;
    for (size_t i = 0; i < s->message_count && status == FW_OK; i++) {
        fw_pb_message *m = s->messages + i;
        for (uint32_t k = 0; k < m->field_count && status == FW_OK; k++)
            status = resolve_field(s, symbols, count, m, s->fields + m->first_field + k, error);
        if (status == FW_OK && m->special == FW_PB_MAP_ENTRY) status = check_map_entry(s, m, error);
    }
    bool is_zero_free = memchr(root.bytes, 0, root.size_bytes) == NULL;
    const symbol *found =
        is_zero_free ? find_symbol(symbols, count, root.bytes, root.size_bytes) : NULL;
    if (status == FW_OK && (found == NULL || found->is_enum))
        status = fw_fail(error, FW_CORRUPT, "protobuf schema: no message %.*s in it",
                         (int)(root.size_bytes < 200 ? root.size_bytes : 200), root.bytes);
    if (status == FW_OK) s->root = found->target;
    free(symbols);
    return status;
}

/* ------------------------------------------------------------------------ public ----- */

const fw_pb_field *fw_pb_field_of(const fw_pb_schema *s, const fw_pb_message *m, uint32_t number) {
    uint32_t low = 0, high = m->field_count;
    const fw_pb_field *fields = s->fields + m->first_field;
    if (number - 1 < high && fields[m->by_number[number - 1]].number == number &&
        (number == 1 || fields[m->by_number[number - 2]].number < number))
        return fields + m->by_number[number - 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (fields[m->by_number[middle]].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    bool is = low < m->field_count && fields[m->by_number[low]].number == number;
    return is ? fields + m->by_number[low] : NULL;
}

const char *fw_pb_value_name(const fw_pb_schema *s, const fw_pb_enum *e, int32_t number) {
    uint32_t low = 0, high = e->value_count;
    const fw_pb_value *values = s->values + e->first_value;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (values[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < e->value_count && values[low].number == number ? values[low].name : NULL;
}

/* FileDescriptorSet: file = 1. */
static fw_status read_set(fw_pb_schema *s, const uint8_t *set, size_t size_bytes, fw_error *error) {
    fw_wire wire = {set, set + size_bytes};
    fw_wire_item item;
    for (bool done;;) {
        const char *why = fw_wire_next(&wire, &item, &done);
        if (why != NULL) return corrupt(error, "FileDescriptorSet", why);
        if (done) break;
        if (item.number == 1 && item.type == FW_WIRE_LEN) FW_TRY(add_file(s, &item, error));
    }
    for (size_t i = 0; i < s->message_count; i++) FW_TRY(read_message(s, i, error));
    for (size_t i = 0; i < s->enum_count; i++) FW_TRY(read_enum(s, s->enums + i, error));
    return FW_OK;
}

fw_status fw_pb_schema_open(fw_pb_schema *schema, const fw_payload_limits *limits,
                            fw_mcap_text root, const uint8_t *set, size_t size_bytes,
                            fw_error *error) {
    *schema = (fw_pb_schema){.items_max = limits->fields_max};
    schema->arena.max_bytes = limits->schema_max_bytes;
    static const uint8_t nothing[1];
    fw_status status = read_set(schema, set ? set : nothing, size_bytes, error);
    return status == FW_OK ? resolve(schema, root, error) : status;
}

void fw_pb_schema_close(fw_pb_schema *s) {
    free(s->messages);
    free(s->fields);
    free(s->enums);
    free(s->values);
    fw_payload_arena_free(&s->arena);
}
