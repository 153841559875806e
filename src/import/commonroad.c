/* commonroad.c - CommonRoad XML, 2018b and 2020a, as a "scene": the map once, then who is where, step
 * by step. (Format: commonroad.in.tum.de, "XML format".)
 *
 *   /lanelets  one message each, at time 0      /objects  one each, at time 0
 *   /lights    one each, at time 0 (2020a)      /tracks   one a step: everybody seen in it
 *   /goal      one a planning problem, at time 0
 *
 * Times are steps * timeStepSize since 1970: a scene does not say when it was. An interval's value is
 * its middle. A DOCTYPE is refused: no scene needs one, and entities can grow without bound.
 */
#include <expat.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import/text.h"

enum {
    DEPTH_MAX = 32,
    VALUE_MAX = 64,
    ID_MAX = 32,
    STATES_MAX = 4 << 20,
    OBJECTS_MAX = 1 << 18,
};

typedef struct state {
    uint32_t object; /* index into objects */
    int64_t step;
    double x_m, y_m, yaw_rad, speed_mps, accel_mps2;
} state;

typedef struct object {
    char id[ID_MAX], role[ID_MAX], type[ID_MAX];
    double length_m, width_m;
} object;

typedef enum place { NOWHERE, IN_LANELET, IN_OBJECT, IN_PROBLEM, IN_LIGHT } place;

typedef struct scene {
    XML_Parser parser;
    fw_import_log *log;
    fw_error *error;
    fw_status status;
    uint32_t lanelets, lights, goals, objects_channel, tracks;
    double step_s;
    /* where the parser is */
    char names[DEPTH_MAX][ID_MAX];
    int depth;
    char value[VALUE_MAX]; /* text of the innermost element */
    size_t value_size;
    place place;
    /* what it has read of the thing it is in */
    char id[ID_MAX], color[ID_MAX];
    double x_m, y_m, low, high;
    bool in_state;
    state current;
    object shape;
    fw_import_text text, cycle;
    bool left_done;
    /* what is kept to the end */
    state *states;
    size_t state_count, state_room;
    object *objects;
    size_t object_count, object_room;
} scene;

static void stop(scene *s, fw_status status) {
    s->status = status;
    XML_StopParser(s->parser, XML_FALSE);
}

static void broken(scene *s, const char *what) {
    if (s->status != FW_OK) return;
    stop(s, fw_fail(s->error, FW_CORRUPT, "line %lu: %s",
                    (unsigned long)XML_GetCurrentLineNumber(s->parser), what));
}

static bool inside(const scene *s, const char *name) {
    for (int i = 0; i < s->depth; i++)
        if (strcmp(s->names[i], name) == 0) return true;
    return false;
}

static bool parent_is(const scene *s, const char *name) {
    return s->depth >= 2 && strcmp(s->names[s->depth - 2], name) == 0;
}

static const char *attribute(const char **attributes, const char *name) {
    for (; attributes[0]; attributes += 2)
        if (strcmp(attributes[0], name) == 0) return attributes[1];
    return NULL;
}

/* The element's text as a finite number. */
static double number(scene *s) {
    char *end;
    s->value[s->value_size] = '\0';
    double value = strtod(s->value, &end);
    while (*end == ' ' || *end == '\n' || *end == '\r' || *end == '\t') end++;
    if (end == s->value || *end || !isfinite(value)) broken(s, "a number is expected here");
    return value;
}

static void copy_word(scene *s, char out[ID_MAX]) {
    size_t from = 0, to = s->value_size;
    while (from < to && strchr(" \t\r\n", s->value[from])) from++;
    while (to > from && strchr(" \t\r\n", s->value[to - 1])) to--;
    if (to - from >= ID_MAX) {
        broken(s, "a word is too long");
        return;
    }
    memcpy(out, s->value + from, to - from);
    out[to - from] = '\0';
}

static void send(scene *s, uint32_t channel) {
    if (s->status != FW_OK) return;
    fw_status status = fw_import_text_send(&s->text, s->log, channel, 0, s->error);
    if (status != FW_OK) stop(s, status);
}

/* ---- an element begins ---- */

static void open_thing(scene *s, place where, const char *name, const char **attributes) {
    const char *id = attribute(attributes, "id");
    s->place = where;
    if (!id || strlen(id) >= ID_MAX) {
        broken(s, "an id is missing or too long");
        return;
    }
    snprintf(s->id, sizeof s->id, "%s", id);
    s->text.size_bytes = 0;
    s->cycle.size_bytes = 0;
    if (where == IN_OBJECT) {
        s->shape = (object){.length_m = NAN, .width_m = NAN};
        snprintf(s->shape.id, sizeof s->shape.id, "%s", id);
        if (strcmp(name, "obstacle") != 0) /* 2020a says it in the name: dynamicObstacle */
            snprintf(s->shape.role, sizeof s->shape.role, "%.*s",
                     (int)strcspn(name, "O"), name);
    } else {
        fw_import_text_raw(&s->text, "{");
        fw_import_text_key(&s->text, "id");
        fw_import_text_string(&s->text, id);
    }
}

static void begin_state(scene *s) {
    s->in_state = true;
    s->current = (state){.x_m = NAN, .y_m = NAN, .yaw_rad = NAN, .speed_mps = NAN,
                         .accel_mps2 = NAN, .step = -1};
}

/* successor, predecessor, adjacent lanelets and references to signs and lights, as they come. */
static void add_reference(scene *s, const char *name, const char **attributes) {
    const char *ref = attribute(attributes, "ref");
    if (!ref || strlen(ref) >= ID_MAX || strlen(name) > 40) return;
    fw_import_text_raw(&s->cycle, "[");
    fw_import_text_string(&s->cycle, name);
    fw_import_text_string(&s->cycle, ref);
    if (attribute(attributes, "drivingDir"))
        fw_import_text_string(&s->cycle, attribute(attributes, "drivingDir"));
    fw_import_text_raw(&s->cycle, "]");
}

static void begin_root(scene *s, const char *name, const char **attributes) {
    const char *step = attribute(attributes, "timeStepSize");
    s->step_s = step ? strtod(step, NULL) : NAN;
    if (strcmp(name, "commonRoad") != 0)
        broken(s, "this is no CommonRoad file");
    else if (!(s->step_s >= 0.001 && s->step_s <= 60))
        broken(s, "timeStepSize must be 0.001 to 60 s");
}

static void begin(void *self, const char *name, const char **attributes) {
    scene *s = self;
    if (s->status != FW_OK) return;
    if (s->depth == DEPTH_MAX) {
        broken(s, "elements lie too deep in each other");
        return;
    }
    snprintf(s->names[s->depth++], ID_MAX, "%s", name);
    s->value_size = 0;
    if (s->depth == 1) {
        begin_root(s, name, attributes);
    } else if (s->depth == 2) {
        s->place = NOWHERE;
        if (strcmp(name, "lanelet") == 0) open_thing(s, IN_LANELET, name, attributes);
        if (strcmp(name, "trafficLight") == 0) open_thing(s, IN_LIGHT, name, attributes);
        if (strcmp(name, "planningProblem") == 0) open_thing(s, IN_PROBLEM, name, attributes);
        if (strcmp(name, "obstacle") == 0 || strcmp(name, "dynamicObstacle") == 0 ||
            strcmp(name, "staticObstacle") == 0)
            open_thing(s, IN_OBJECT, name, attributes);
    } else if (s->place == IN_LANELET) {
        if (strcmp(name, "leftBound") == 0 || strcmp(name, "rightBound") == 0) {
            fw_import_text_key(&s->text, name[0] == 'l' ? "left" : "right");
            fw_import_text_raw(&s->text, "[");
        } else if (!inside(s, "leftBound") && !inside(s, "rightBound")) {
            add_reference(s, name, attributes);
        }
    } else if (strcmp(name, "initialState") == 0 || strcmp(name, "state") == 0 ||
               strcmp(name, "goalState") == 0) {
        begin_state(s);
    }
}

static void characters(void *self, const char *text, int size) {
    scene *s = self;
    size_t room = VALUE_MAX - 1 - s->value_size;
    size_t used = (size_t)size < room ? (size_t)size : room;
    memcpy(s->value + s->value_size, text, used);
    s->value_size += used;
}

/* ---- an element ends ---- */

static void *grow(scene *s, void *items, size_t *room, size_t count, size_t item_bytes) {
    if (count < *room) return items;
    size_t wanted = *room ? 2 * *room : 256;
    void *grown = realloc(items, wanted * item_bytes);
    if (grown)
        *room = wanted;
    else
        stop(s, fw_fail(s->error, FW_NO_MEMORY, "import: no memory"));
    return grown ? grown : items;
}

static void keep_state(scene *s) {
    s->states = grow(s, s->states, &s->state_room, s->state_count, sizeof *s->states);
    if (s->status != FW_OK) return;
    if (s->state_count == STATES_MAX) {
        stop(s, fw_fail(s->error, FW_TOO_BIG, "more than %d states in a scene", STATES_MAX));
        return;
    }
    if (s->current.step < 0 || !isfinite(s->current.x_m)) {
        broken(s, "a state without its time or its place");
        return;
    }
    s->current.object = (uint32_t)s->object_count;
    s->states[s->state_count++] = s->current;
}

static void keep_object(scene *s) {
    s->objects = grow(s, s->objects, &s->object_room, s->object_count, sizeof *s->objects);
    if (s->status != FW_OK) return;
    if (s->object_count == OBJECTS_MAX)
        stop(s, fw_fail(s->error, FW_TOO_BIG, "more than %d objects in a scene", OBJECTS_MAX));
    else
        s->objects[s->object_count++] = s->shape;
}

/* A value that is given exactly, or as an interval, of the element around it. */
static void take_quantity(scene *s, double value) {
    const char *of = s->depth >= 2 ? s->names[s->depth - 2] : "";
    if (strcmp(of, "orientation") == 0) s->current.yaw_rad = value;
    if (strcmp(of, "velocity") == 0) s->current.speed_mps = value;
    if (strcmp(of, "acceleration") == 0) s->current.accel_mps2 = value;
    if (strcmp(of, "time") != 0) return;
    if (!(value >= 0 && value < 1e9))
        broken(s, "a time step must be 0 or more");
    else
        s->current.step = (int64_t)value;
}

static void end_in_state(scene *s, const char *name) {
    if (strcmp(name, "x") == 0) s->current.x_m = number(s);
    if (strcmp(name, "y") == 0) s->current.y_m = number(s);
    if (strcmp(name, "exact") == 0) take_quantity(s, number(s));
    if (strcmp(name, "intervalStart") == 0) s->low = number(s);
    if (strcmp(name, "intervalEnd") == 0) take_quantity(s, (s->low + number(s)) / 2);
}

static void end_in_object(scene *s, const char *name) {
    bool box = parent_is(s, "rectangle") && inside(s, "shape");
    if (s->in_state) {
        end_in_state(s, name);
    } else if (box && strcmp(name, "length") == 0) {
        s->shape.length_m = number(s);
    } else if (box && strcmp(name, "width") == 0) {
        s->shape.width_m = number(s);
    } else if (parent_is(s, "circle") && strcmp(name, "radius") == 0) {
        s->shape.length_m = s->shape.width_m = 2 * number(s);
    } else if (s->depth == 3 && strcmp(name, "role") == 0) {
        copy_word(s, s->shape.role);
    } else if (s->depth == 3 && strcmp(name, "type") == 0) {
        copy_word(s, s->shape.type);
    }
    if (strcmp(name, "initialState") == 0 || strcmp(name, "state") == 0) {
        keep_state(s);
        s->in_state = false;
    }
    if (s->depth == 2 && s->status == FW_OK) keep_object(s);
}

static void end_in_lanelet(scene *s, const char *name) {
    if (strcmp(name, "x") == 0) s->x_m = number(s);
    if (strcmp(name, "y") == 0) s->y_m = number(s);
    if (strcmp(name, "point") == 0 && (inside(s, "leftBound") || inside(s, "rightBound"))) {
        fw_import_text_raw(&s->text, "[");
        fw_import_text_number(&s->text, s->x_m);
        fw_import_text_number(&s->text, s->y_m);
        fw_import_text_raw(&s->text, "]");
    }
    if (strcmp(name, "leftBound") == 0 || strcmp(name, "rightBound") == 0)
        fw_import_text_raw(&s->text, "]");
    if (s->depth == 3 && strcmp(name, "speedLimit") == 0) {
        fw_import_text_key(&s->text, "speed_limit_mps");
        fw_import_text_number(&s->text, number(s));
    }
    if (s->depth != 2) return;
    fw_import_text_key(&s->text, "links");
    fw_import_text_raw(&s->text, "[");
    if (s->cycle.size_bytes > 0) fw_import_text_raw(&s->text, s->cycle.bytes);
    fw_import_text_raw(&s->text, "]");
    fw_import_text_raw(&s->text, "}");
    s->text.failed |= s->cycle.failed;
    send(s, s->lanelets);
}

static void end_in_light(scene *s, const char *name) {
    if (strcmp(name, "color") == 0) copy_word(s, s->color);
    if (strcmp(name, "duration") == 0) {
        fw_import_text_raw(&s->cycle, "[");
        fw_import_text_string(&s->cycle, s->color);
        fw_import_text_number(&s->cycle, number(s) * s->step_s);
        fw_import_text_raw(&s->cycle, "]");
    }
    if (strcmp(name, "timeOffset") == 0) {
        fw_import_text_key(&s->text, "offset_s");
        fw_import_text_number(&s->text, number(s) * s->step_s);
    }
    if (s->depth != 2) return;
    fw_import_text_key(&s->text, "cycle");
    fw_import_text_raw(&s->text, "[");
    if (s->cycle.size_bytes > 0) fw_import_text_raw(&s->text, s->cycle.bytes);
    fw_import_text_raw(&s->text, "]");
    fw_import_text_raw(&s->text, "}");
    s->text.failed |= s->cycle.failed;
    send(s, s->lights);
}

static void put_state(scene *s, const state *at) {
    fw_import_text_key(&s->text, "x_m");
    fw_import_text_number(&s->text, at->x_m);
    fw_import_text_key(&s->text, "y_m");
    fw_import_text_number(&s->text, at->y_m);
    fw_import_text_key(&s->text, "yaw_rad");
    fw_import_text_number(&s->text, at->yaw_rad);
    fw_import_text_key(&s->text, "speed_mps");
    fw_import_text_number(&s->text, at->speed_mps);
}

static void end_in_problem(scene *s, const char *name) {
    if (s->in_state) end_in_state(s, name);
    bool start = strcmp(name, "initialState") == 0, goal = strcmp(name, "goalState") == 0;
    if (start || goal) {
        fw_import_text_key(&s->text, start ? "start" : "goal");
        fw_import_text_raw(&s->text, "{");
        fw_import_text_key(&s->text, "step");
        fw_import_text_number(&s->text, (double)s->current.step);
        put_state(s, &s->current);
        fw_import_text_raw(&s->text, "}");
        s->in_state = false;
    }
    if (s->depth != 2) return;
    fw_import_text_raw(&s->text, "}");
    send(s, s->goals);
}

static void end(void *self, const char *name) {
    scene *s = self;
    if (s->status != FW_OK) return;
    switch (s->place) {
    case IN_LANELET: end_in_lanelet(s, name); break;
    case IN_OBJECT: end_in_object(s, name); break;
    case IN_PROBLEM: end_in_problem(s, name); break;
    case IN_LIGHT: end_in_light(s, name); break;
    default: break;
    }
    if (s->depth == 2) {
        s->place = NOWHERE;
        s->in_state = false;
    }
    s->depth--;
    s->value_size = 0;
}

static void doctype(void *self, const char *name, const char *system, const char *public,
                    int internal) {
    (void)name, (void)system, (void)public, (void)internal;
    broken(self, "a DOCTYPE is not taken");
}

/* ---- the file ---- */

static fw_status parse(scene *s, const char *bytes, size_t size) {
    s->parser = XML_ParserCreate(NULL);
    if (!s->parser) return fw_fail(s->error, FW_NO_MEMORY, "import: no memory");
    XML_SetUserData(s->parser, s);
    XML_SetElementHandler(s->parser, begin, end);
    XML_SetCharacterDataHandler(s->parser, characters);
    XML_SetStartDoctypeDeclHandler(s->parser, doctype);
    FW_ASSERT(size <= INT32_MAX);
    bool fine = XML_Parse(s->parser, bytes, (int)size, 1) == XML_STATUS_OK;
    if (!fine && s->status == FW_OK)
        s->status = fw_fail(s->error, FW_CORRUPT, "line %lu: %s",
                            (unsigned long)XML_GetCurrentLineNumber(s->parser),
                            XML_ErrorString(XML_GetErrorCode(s->parser)));
    XML_ParserFree(s->parser);
    return s->status;
}

static fw_status add_channels(scene *s) {
    static const fw_import_field lanelet[] = {
        {"id", "", FW_IMPORT_TEXT}, {"left", "points x, y in m", FW_IMPORT_ANY},
        {"right", "points x, y in m", FW_IMPORT_ANY}, {"speed_limit_mps", "m/s", FW_IMPORT_NUMBER},
        {"links", "kind, id of the other, driving direction", FW_IMPORT_ANY}};
    static const fw_import_field light[] = {{"id", "", FW_IMPORT_TEXT},
                                            {"cycle", "colour, seconds", FW_IMPORT_ANY},
                                            {"offset_s", "s", FW_IMPORT_NUMBER}};
    static const fw_import_field goal[] = {
        {"id", "", FW_IMPORT_TEXT}, {"start", "state", FW_IMPORT_ANY},
        {"goal", "state", FW_IMPORT_ANY}};
    static const fw_import_field thing[] = {
        {"id", "", FW_IMPORT_TEXT}, {"role", "", FW_IMPORT_TEXT}, {"type", "", FW_IMPORT_TEXT},
        {"length_m", "m", FW_IMPORT_NUMBER}, {"width_m", "m", FW_IMPORT_NUMBER}};
    static const fw_import_field track[] = {
        {"step", "", FW_IMPORT_NUMBER},
        {"objects", "rows: id, x m, y m, yaw rad, speed m/s, acceleration m/s2", FW_IMPORT_ANY}};
    fw_import_log_form(s->log, "scene");
    FW_TRY(fw_import_log_channel(s->log, "/lanelets", "commonroad.Lanelet", lanelet, 5,
                                 &s->lanelets, s->error));
    FW_TRY(fw_import_log_channel(s->log, "/lights", "commonroad.Light", light, 3, &s->lights,
                                 s->error));
    FW_TRY(fw_import_log_channel(s->log, "/goal", "commonroad.Goal", goal, 3, &s->goals,
                                 s->error));
    FW_TRY(fw_import_log_channel(s->log, "/objects", "commonroad.Object", thing, 5,
                                 &s->objects_channel, s->error));
    return fw_import_log_channel(s->log, "/tracks", "commonroad.Tracks", track, 2, &s->tracks,
                                 s->error);
}

static fw_status send_objects(scene *s) {
    for (size_t i = 0; i < s->object_count; i++) {
        const object *o = &s->objects[i];
        fw_import_text *t = &s->text;
        fw_import_text_raw(t, "{");
        fw_import_text_key(t, "id");
        fw_import_text_string(t, o->id);
        fw_import_text_key(t, "role");
        fw_import_text_string(t, o->role);
        fw_import_text_key(t, "type");
        fw_import_text_string(t, o->type);
        fw_import_text_key(t, "length_m");
        fw_import_text_number(t, o->length_m);
        fw_import_text_key(t, "width_m");
        fw_import_text_number(t, o->width_m);
        fw_import_text_raw(t, "}");
        FW_TRY(fw_import_text_send(t, s->log, s->objects_channel, 0, s->error));
    }
    return FW_OK;
}

static int by_step(const void *a, const void *b) {
    const state *x = a, *y = b;
    if (x->step != y->step) return x->step < y->step ? -1 : 1;
    return x->object < y->object ? -1 : x->object > y->object;
}

static void put_row(scene *s, const state *at) {
    fw_import_text *t = &s->text;
    fw_import_text_raw(t, "[");
    fw_import_text_string(t, s->objects[at->object].id);
    fw_import_text_number(t, at->x_m);
    fw_import_text_number(t, at->y_m);
    fw_import_text_number(t, at->yaw_rad);
    fw_import_text_number(t, at->speed_mps);
    fw_import_text_number(t, at->accel_mps2);
    fw_import_text_raw(t, "]");
}

static fw_status send_tracks(scene *s) {
    if (s->state_count > 0) qsort(s->states, s->state_count, sizeof *s->states, by_step);
    for (size_t i = 0; i < s->state_count;) {
        int64_t step = s->states[i].step;
        fw_import_text_raw(&s->text, "{");
        fw_import_text_key(&s->text, "step");
        fw_import_text_number(&s->text, (double)step);
        fw_import_text_key(&s->text, "objects");
        fw_import_text_raw(&s->text, "[");
        for (; i < s->state_count && s->states[i].step == step; i++) put_row(s, &s->states[i]);
        fw_import_text_raw(&s->text, "]");
        fw_import_text_raw(&s->text, "}");
        int64_t time_ns = (int64_t)llround((double)step * s->step_s * 1e9);
        FW_TRY(fw_import_text_send(&s->text, s->log, s->tracks, time_ns, s->error));
    }
    return FW_OK;
}

fw_status fw_import_commonroad(const fw_import_request *request, fw_import_log *log,
                               fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    scene *s = calloc(1, sizeof *s);
    if (!s) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
    s->log = log;
    s->error = error;
    fw_status status = fw_import_read(log, request->source, &bytes, &size, error);
    if (status == FW_OK) status = add_channels(s);
    if (status == FW_OK) status = parse(s, bytes, size);
    s->text.size_bytes = 0;
    if (status == FW_OK) status = send_objects(s);
    if (status == FW_OK) status = send_tracks(s);
    fw_import_text_clear(&s->text);
    fw_import_text_clear(&s->cycle);
    free(s->states);
    free(s->objects);
    free(s);
    free(bytes);
    return status;
}
