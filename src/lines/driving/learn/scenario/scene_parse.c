/* scene_parse.c - imported scenes read back, trusting nothing (scene.h). */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lines/driving/learn/scenario/scene.h"
#include "mcap/mcap.h"

enum { MESSAGE_MAX = 8 << 20, OBJECTS_MAX = 1 << 16 };

/* A link as the file has it: the other's id. */
typedef struct reference {
    uint32_t kind, from;
    char to[FW_SCENE_ID_MAX];
} reference;

typedef struct by_id {
    const char *id;
    uint32_t index;
} by_id;

typedef struct reading {
    fw_scene *scene;
    size_t lanelet_room, point_room, object_room, state_room, reference_room, reference_count;
    reference *references;
    by_id *objects; /* sorted; made when the first /tracks comes */
    uint32_t links; /* of the lanelet that is being read */
    bool described, labelled;
    fw_error *error;
} reading;

#define CORRUPT(r, ...) fw_fail((r)->error, FW_CORRUPT, "scene: " __VA_ARGS__)

/* One more item in a growing array; count is that before. */
static fw_status grow(reading *r, void *items, size_t *room, size_t count, size_t most, size_t item_bytes,
                      const char *what) {
    void **array = items;
    if (count >= most) return fw_fail(r->error, FW_TOO_BIG, "scene: over %zu %s", most, what);
    if (count < *room) return FW_OK;
    size_t wanted = *room ? 2 * *room : 64;
    void *grown = realloc(*array, wanted * item_bytes);
    if (!grown) return fw_fail(r->error, FW_NO_MEMORY, "scene: no memory for its %s", what);
    *array = grown;
    *room = wanted;
    return FW_OK;
}

/* ---- values out of JSON ---- */

static fw_status get_id(reading *r, const json_t *value, const char *of, char out[FW_SCENE_ID_MAX]) {
    const char *text = json_string_value(value);
    if (!text || strlen(text) >= FW_SCENE_ID_MAX || !text[0]) return CORRUPT(r, "%s has no proper id", of);
    memcpy(out, text, strlen(text) + 1);
    return FW_OK;
}

static fw_status get_place(reading *r, const json_t *value, const char *of, double *out) {
    double number = json_number_value(value);
    if (!json_is_number(value) || !(fabs(number) < FW_SCENE_FAR_M)) return CORRUPT(r, "a place of %s is none", of);
    *out = number;
    return FW_OK;
}

/* A number within (low, high), `missing` where the file has none. */
static fw_status get_number(reading *r, const json_t *value, const char *name, double low, double high,
                            double missing, double *out) {
    if (!value || json_is_null(value)) {
        *out = missing;
        return FW_OK;
    }
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number > low && number < high))
        return CORRUPT(r, "%s is no number between %g and %g", name, low, high);
    *out = number;
    return FW_OK;
}

/* ---- lanelets ---- */

static fw_status read_bound(reading *r, const json_t *rows, const char *id, uint32_t *first, uint32_t *count) {
    fw_scene *s = r->scene;
    size_t size = json_array_size(rows);
    if (size < 2) return CORRUPT(r, "lanelet %s has a bound without two points", id);
    *first = s->point_count;
    for (size_t i = 0; i < size; i++) {
        const json_t *row = json_array_get(rows, i);
        FW_TRY(grow(r, &s->points, &r->point_room, s->point_count, FW_SCENE_POINTS_MAX, sizeof *s->points, "points"));
        fw_scene_point *point = &s->points[s->point_count];
        FW_TRY(get_place(r, json_array_get(row, 0), id, &point->x_m));
        FW_TRY(get_place(r, json_array_get(row, 1), id, &point->y_m));
        s->point_count++;
    }
    *count = (uint32_t)size;
    return FW_OK;
}

/* [kind, id] or, of one beside, [kind, id, driving direction]; kinds that we do not know are passed over. */
static fw_status read_link(reading *r, const json_t *row) {
    static const char *const kinds[] = {"successor", "predecessor", "adjacentLeft", "adjacentRight"};
    const char *kind = json_string_value(json_array_get(row, 0)), *to = json_string_value(json_array_get(row, 1));
    const char *direction = json_string_value(json_array_get(row, 2));
    uint32_t k = 0;
    if (!kind || !to) return CORRUPT(r, "a link is no pair of texts");
    while (k < 4 && strcmp(kinds[k], kind) != 0) k++;
    bool beside = k == FW_SCENE_LEFT || k == FW_SCENE_RIGHT;
    if (k == 4 || strlen(to) >= FW_SCENE_ID_MAX || (beside && (!direction || strcmp(direction, "same") != 0)))
        return FW_OK;
    if (r->links++ == FW_SCENE_LINKS_MAX)
        return fw_fail(r->error, FW_TOO_BIG, "scene: over %d links of a lanelet", FW_SCENE_LINKS_MAX);
    FW_TRY(grow(r, &r->references, &r->reference_room, r->reference_count,
                (size_t)FW_SCENE_LANELETS_MAX * FW_SCENE_LINKS_MAX, sizeof *r->references, "links"));
    reference *made = &r->references[r->reference_count++];
    *made = (reference){.kind = k, .from = r->scene->lanelet_count};
    memcpy(made->to, to, strlen(to) + 1);
    return FW_OK;
}

static fw_status read_lanelet(reading *r, const json_t *json) {
    fw_scene *s = r->scene;
    fw_scene_lanelet lanelet = {.link_count = 0};
    const json_t *links = json_object_get(json, "links");
    FW_TRY(get_id(r, json_object_get(json, "id"), "a lanelet", lanelet.id));
    FW_TRY(read_bound(r, json_object_get(json, "left"), lanelet.id, &lanelet.left_first, &lanelet.left_count));
    FW_TRY(read_bound(r, json_object_get(json, "right"), lanelet.id, &lanelet.right_first, &lanelet.right_count));
    FW_TRY(get_number(r, json_object_get(json, "speed_limit_mps"), "speed_limit_mps", 0, 100, 0, &lanelet.limit_mps));
    FW_TRY(grow(r, &s->lanelets, &r->lanelet_room, s->lanelet_count, FW_SCENE_LANELETS_MAX, sizeof *s->lanelets,
                "lanelets"));
    r->links = 0;
    for (size_t i = 0; i < json_array_size(links); i++) FW_TRY(read_link(r, json_array_get(links, i)));
    s->lanelets[s->lanelet_count++] = lanelet;
    return FW_OK;
}

/* ---- objects and where they were ---- */

static bool drives(const char *role, const char *type) {
    static const char *const types[] = {"car", "truck", "bus", "taxi", "priorityVehicle"};
    if (role && strcmp(role, "static") == 0) return false;
    for (size_t i = 0; type && i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i], type) == 0) return true;
    return false;
}

static fw_status read_object(reading *r, const json_t *json) {
    fw_scene *s = r->scene;
    fw_scene_object object = {.state_count = 0};
    const char *role = json_string_value(json_object_get(json, "role"));
    if (r->objects) return CORRUPT(r, "an object after the tracks began");
    FW_TRY(get_id(r, json_object_get(json, "id"), "an object", object.id));
    FW_TRY(get_number(r, json_object_get(json, "length_m"), "length_m", 0.05, 60, 1, &object.length_m));
    FW_TRY(get_number(r, json_object_get(json, "width_m"), "width_m", 0.05, 20, 1, &object.width_m));
    object.vehicle = drives(role, json_string_value(json_object_get(json, "type")));
    object.still = role && strcmp(role, "static") == 0;
    FW_TRY(grow(r, &s->objects, &r->object_room, s->object_count, OBJECTS_MAX, sizeof *s->objects, "objects"));
    s->objects[s->object_count++] = object;
    return FW_OK;
}

static int compare_ids(const void *a, const void *b) {
    return strcmp(((const by_id *)a)->id, ((const by_id *)b)->id);
}

static uint32_t find_id(const by_id *sorted, uint32_t count, const char *id) {
    const by_id key = {.id = id};
    const by_id *found = count > 0 ? bsearch(&key, sorted, count, sizeof *sorted, compare_ids) : NULL;
    return found ? found->index : FW_SCENARIO_NONE;
}

static fw_status check_twice(reading *r, const by_id *sorted, uint32_t count, const char *what) {
    for (uint32_t i = 1; i < count; i++)
        if (strcmp(sorted[i].id, sorted[i - 1].id) == 0) return CORRUPT(r, "two %s with the id %s", what, sorted[i].id);
    return FW_OK;
}

static fw_status sort_objects(reading *r) {
    const fw_scene *s = r->scene;
    if (r->objects) return FW_OK;
    r->objects = calloc((size_t)s->object_count + 1, sizeof *r->objects);
    if (!r->objects) return fw_fail(r->error, FW_NO_MEMORY, "scene: no memory for its objects");
    for (uint32_t i = 0; i < s->object_count; i++) r->objects[i] = (by_id){s->objects[i].id, i};
    qsort(r->objects, s->object_count, sizeof *r->objects, compare_ids);
    return check_twice(r, r->objects, s->object_count, "objects");
}

static fw_status read_state(reading *r, const json_t *row, uint32_t step) {
    fw_scene *s = r->scene;
    fw_scene_state state = {.step = step};
    const char *id = json_string_value(json_array_get(row, 0));
    state.object = id ? find_id(r->objects, s->object_count, id) : FW_SCENARIO_NONE;
    if (state.object == FW_SCENARIO_NONE) return CORRUPT(r, "step %u has a state of no object", step);
    FW_TRY(get_place(r, json_array_get(row, 1), id, &state.x_m));
    FW_TRY(get_place(r, json_array_get(row, 2), id, &state.y_m));
    FW_TRY(get_number(r, json_array_get(row, 3), "a yaw", -1000, 1000, NAN, &state.yaw_rad));
    FW_TRY(get_number(r, json_array_get(row, 4), "a speed", -100, 100, NAN, &state.speed_mps));
    FW_TRY(grow(r, &s->states, &r->state_room, s->state_count, FW_SCENE_STATES_MAX, sizeof *s->states, "states"));
    s->states[s->state_count++] = state;
    return FW_OK;
}

static fw_status read_tracks(reading *r, const json_t *json, uint64_t time_ns) {
    const json_t *rows = json_object_get(json, "objects"), *step = json_object_get(json, "step");
    const uint64_t tick_ns = 100000000;
    double number = json_number_value(step);
    if (!json_is_number(step) || !(number >= 0) || number != floor(number)) return CORRUPT(r, "a step is no number");
    if (number >= FW_SCENE_STEPS_MAX)
        return fw_fail(r->error, FW_TOO_BIG, "scene: over %d steps", FW_SCENE_STEPS_MAX);
    if (time_ns != (uint64_t)number * tick_ns)
        return fw_fail(r->error, FW_UNSUPPORTED, "scene: its steps are not 0.1 s long");
    FW_TRY(sort_objects(r));
    for (size_t i = 0; i < json_array_size(rows); i++)
        FW_TRY(read_state(r, json_array_get(rows, i), (uint32_t)number));
    if ((uint32_t)number + 1 > r->scene->steps) r->scene->steps = (uint32_t)number + 1;
    return FW_OK;
}

/* ---- records ---- */

/* Goals and lights are passed over, and what a later version may have. */
static fw_status read_message(reading *r, const fw_mcap_message *message) {
    fw_mcap_text topic = message->channel->topic;
    bool lanelet = fw_mcap_text_is(topic, "/lanelets"), object = fw_mcap_text_is(topic, "/objects");
    if (!lanelet && !object && !fw_mcap_text_is(topic, "/tracks")) return FW_OK;
    if (!fw_mcap_text_is(message->channel->message_encoding, "json")) return CORRUPT(r, "a channel is not in json");
    if (message->size_bytes > MESSAGE_MAX)
        return fw_fail(r->error, FW_TOO_BIG, "scene: a message over %d bytes", MESSAGE_MAX);
    json_error_t why;
    json_t *json = json_loadb((const char *)message->data, (size_t)message->size_bytes, JSON_REJECT_DUPLICATES, &why);
    if (!json) return CORRUPT(r, "a message is no JSON: %s", why.text);
    fw_status status = lanelet  ? read_lanelet(r, json)
                       : object ? read_object(r, json)
                                : read_tracks(r, json, message->log_time_ns);
    json_decref(json);
    return status;
}

static fw_status read_metadata(reading *r, const fw_mcap_metadata *metadata) {
    fw_scene *s = r->scene;
    fw_mcap_text text;
    if (fw_mcap_text_is(metadata->name, "flywheel")) {
        if (!fw_mcap_map_find(metadata->map, "form", &text) || !fw_mcap_text_is(text, "scene"))
            return CORRUPT(r, "the file does not say that it is one");
        if (!fw_mcap_map_find(metadata->map, "version", &text) || !fw_mcap_text_is(text, "1"))
            return fw_fail(r->error, FW_UNSUPPORTED, "scene: of a version this program cannot read");
        if (fw_mcap_map_find(metadata->map, "source", &text) && !fw_mcap_text_copy(text, s->name, sizeof s->name))
            return CORRUPT(r, "its source's name is too long");
        r->described = true;
    }
    if (fw_mcap_text_is(metadata->name, "labels")) {
        if (fw_mcap_map_find(metadata->map, "site", &text) &&
            !fw_mcap_text_copy(text, s->tags.site, sizeof s->tags.site))
            return CORRUPT(r, "its site's name is over %zu bytes", sizeof s->tags.site - 1);
        if (fw_mcap_map_find(metadata->map, "group", &text) &&
            !fw_mcap_text_copy(text, s->tags.group, sizeof s->tags.group))
            return CORRUPT(r, "its group's name is over %zu bytes", sizeof s->tags.group - 1);
    }
    return FW_OK;
}

static fw_status read_records(reading *r, fw_mcap_reader *mcap) {
    for (;;) {
        fw_mcap_record record;
        fw_status status = fw_mcap_reader_next(mcap, &record, r->error);
        if (status == FW_END) break;
        FW_TRY(status);
        if (record.opcode == FW_MCAP_MESSAGE)
            FW_TRY(read_message(r, &record.of.message));
        else if (record.opcode == FW_MCAP_METADATA)
            FW_TRY(read_metadata(r, &record.of.metadata));
    }
    return r->described ? FW_OK : CORRUPT(r, "no metadata record \"flywheel\"");
}

/* ---- what needs the whole file ---- */

/* References become links, in order of the lanelet (as they were read); those to nowhere are left out: maps are
 * often cut out of larger ones. */
static fw_status resolve(reading *r) {
    fw_scene *s = r->scene;
    by_id *ids = calloc((size_t)s->lanelet_count + 1, sizeof *ids);
    s->links = calloc(r->reference_count + 1, sizeof *s->links);
    fw_status status = ids && s->links ? FW_OK : fw_fail(r->error, FW_NO_MEMORY, "scene: no memory for its links");
    for (uint32_t i = 0; status == FW_OK && i < s->lanelet_count; i++) ids[i] = (by_id){s->lanelets[i].id, i};
    if (status == FW_OK) {
        qsort(ids, s->lanelet_count, sizeof *ids, compare_ids);
        status = check_twice(r, ids, s->lanelet_count, "lanelets");
    }
    for (size_t i = 0; status == FW_OK && i < r->reference_count; i++) {
        const reference *from = &r->references[i];
        fw_scene_lanelet *lanelet = &s->lanelets[from->from];
        uint32_t to = find_id(ids, s->lanelet_count, from->to);
        if (to == FW_SCENARIO_NONE || to == from->from) continue;
        if (lanelet->link_count++ == 0) lanelet->link_first = s->link_count;
        s->links[s->link_count++] = (fw_scene_link){from->kind, to};
    }
    free(ids);
    return status;
}

static int by_object_and_step(const void *a, const void *b) {
    const fw_scene_state *x = a, *y = b;
    if (x->object != y->object) return x->object < y->object ? -1 : 1;
    return x->step < y->step ? -1 : x->step > y->step;
}

#define SPEED_MAX_MPS 150.0

static bool jumps(const fw_scene_state *from, const fw_scene_state *to) {
    double time_s = 0.1 * (double)(to->step - from->step);
    return hypot(to->x_m - from->x_m, to->y_m - from->y_m) > SPEED_MAX_MPS * time_s;
}

static fw_status order_states(reading *r) {
    fw_scene *s = r->scene;
    if (s->state_count > 0) qsort(s->states, s->state_count, sizeof *s->states, by_object_and_step);
    for (uint32_t i = 0; i < s->state_count; i++) {
        fw_scene_object *object = &s->objects[s->states[i].object];
        if (i > 0 && by_object_and_step(&s->states[i - 1], &s->states[i]) == 0)
            return CORRUPT(r, "object %s is twice in step %u", object->id, s->states[i].step);
        if (object->state_count++ == 0) object->state_first = i;
        else if (jumps(&s->states[i - 1], &s->states[i]))
            return CORRUPT(r, "object %s is over %.0f m/s fast at step %u", object->id, SPEED_MAX_MPS, s->states[i].step);
    }
    return FW_OK;
}

/* A scene whose importer was told no group is a group of its own. */
static void name_group(fw_scene *s) {
    if (s->tags.group[0]) return;
    snprintf(s->tags.group, sizeof s->tags.group, "%.*s", (int)sizeof s->tags.group - 1,
             s->name[0] ? s->name : s->source.hex);
}

static fw_status read_all(reading *r, const void *bytes, size_t size_bytes) {
    static const fw_mcap_limits limits = {.record_max_bytes = 64 << 20, .chunk_max_bytes = 64 << 20,
                                          .text_max_bytes = 1 << 20, .messages_max = 1 << 18};
    fw_mcap_reader *mcap = NULL;
    FW_TRY(fw_mcap_reader_open_bytes(&limits, bytes, size_bytes, &mcap, r->error));
    fw_status status = read_records(r, mcap);
    fw_mcap_reader_close(mcap);
    FW_TRY(status);
    FW_TRY(resolve(r));
    FW_TRY(order_states(r));
    r->scene->source = fw_hash_bytes(bytes, size_bytes);
    name_group(r->scene);
    return FW_OK;
}

fw_status fw_scene_parse(const void *bytes, size_t size_bytes, fw_scene **out, fw_error *error) {
    fw_error unheard;
    reading r = {.error = error ? error : &unheard, .scene = calloc(1, sizeof(fw_scene))};
    if (!r.scene) return fw_fail(error, FW_NO_MEMORY, "scene: no memory");
    fw_status status = read_all(&r, bytes, size_bytes);
    free(r.references);
    free(r.objects);
    if (status == FW_OK)
        *out = r.scene;
    else
        fw_scene_free(r.scene);
    return status;
}

void fw_scene_free(fw_scene *scene) {
    if (!scene) return;
    free(scene->lanelets);
    free(scene->points);
    free(scene->links);
    free(scene->objects);
    free(scene->states);
    free(scene);
}

enum { LINE_MAX_BYTES = 128 };

static int compare_lines(const void *a, const void *b) { return strcmp(a, b); }

fw_status fw_scene_traffic(const fw_scene *scene, fw_hash *out, fw_error *error) {
    char(*lines)[LINE_MAX_BYTES] = calloc((size_t)scene->object_count + 1, sizeof *lines);
    if (!lines) return fw_fail(error, FW_NO_MEMORY, "scene: no memory");
    for (uint32_t i = 0; i < scene->object_count; i++) {
        const fw_scene_object *object = &scene->objects[i];
        const fw_scene_state *first = scene->states + object->state_first;
        if (object->state_count == 0) continue;
        snprintf(lines[i], sizeof lines[i], "%.4f %.4f %u %u %.4f %.4f", object->length_m, object->width_m, first->step,
                 object->state_count, first->speed_mps, first[object->state_count - 1].speed_mps);
    }
    qsort(lines, scene->object_count, sizeof *lines, compare_lines);
    *out = fw_hash_bytes(lines, scene->object_count * sizeof *lines);
    free(lines);
    return FW_OK;
}

bool fw_scene_is(const void *bytes, size_t size_bytes) {
    fw_mcap_indexed *mcap = NULL;
    fw_mcap_metadata metadata;
    fw_mcap_text form;
    fw_error unheard;
    bool is = false;
    if (fw_mcap_indexed_open_bytes(NULL, bytes, size_bytes, &mcap, &unheard) != FW_OK) return false;
    for (size_t i = 0; fw_mcap_indexed_metadata(mcap, i, &metadata, &unheard) == FW_OK; i++)
        is |= fw_mcap_text_is(metadata.name, "flywheel") && fw_mcap_map_find(metadata.map, "form", &form) &&
              fw_mcap_text_is(form, "scene");
    fw_mcap_indexed_close(mcap);
    return is;
}
