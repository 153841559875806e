/* net.c - SUMO's net file (net.h). */
#include "worlds/sumo/net.h"

#include <expat.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define LENGTH_MAX_M 1e5 /* of one lane */

/* ---- growing arrays ---- */

static void *room(void *array, uint32_t count, size_t item_bytes) {
    /* Doubles at powers of two: count is the number already there. */
    if (count && (count & (count - 1))) return array;
    void *bigger = realloc(array, (count ? 2 * (size_t)count : 1) * item_bytes);
    FW_ASSERT(bigger);
    return bigger;
}

#define PUSH(array, count, ...)                                                                    \
    do {                                                                                           \
        (array) = room((array), (count), sizeof *(array));                                         \
        (array)[(count)++] = (__VA_ARGS__);                                                        \
    } while (0)

/* ---- what the file says, before names become indices ---- */

typedef struct raw_link {
    char *from, *to, *via, *light;
    uint32_t from_lane, to_lane, light_index;
} raw_link;

typedef struct raw_junction {
    char *inner_lanes;
    char **response, **foes; /* (count), by request index */
    uint32_t count;
} raw_junction;

/* An internal junction: the waiting place before lane `id`. */
typedef struct raw_wait {
    char *id, *inner_lanes, *incoming_lanes;
} raw_wait;

typedef struct reading {
    fw_net *net;
    raw_wait *waits;
    uint32_t wait_count;
    raw_link *links;
    raw_junction *junctions; /* parallel to net->junctions */
    uint32_t link_count;
    XML_Parser parser;
    fw_status status;
    fw_error *error;
    const char *name;
} reading;

static void refuse(reading *r, const char *what, const char *which) {
    if (r->status != FW_OK) return;
    r->status =
        fw_fail(r->error, FW_CORRUPT, "%s line %lu: %s%s%s", r->name,
                XML_GetCurrentLineNumber(r->parser), what, which ? " " : "", which ? which : "");
    XML_StopParser(r->parser, XML_FALSE);
}

static const char *attribute(const char **attributes, const char *name) {
    for (size_t i = 0; attributes[i]; i += 2)
        if (strcmp(attributes[i], name) == 0) return attributes[i + 1];
    return NULL;
}

static double number(const char *text, double otherwise) {
    if (!text) return otherwise;
    char *end;
    const double value = strtod(text, &end);
    return end == text || !isfinite(value) ? otherwise : value;
}

static uint32_t whole(const char *text, uint32_t otherwise) {
    const double value = number(text, -1);
    return value < 0 || value > 1e6 ? otherwise : (uint32_t)value;
}

static char *copy(const char *text) {
    if (!text) return NULL;
    char *own = strdup(text);
    FW_ASSERT(own);
    return own;
}

static bool has_word(const char *list, const char *word) {
    const size_t size = strlen(word);
    for (const char *at = list; at && (at = strstr(at, word)); at += size)
        if ((at == list || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0')) return true;
    return false;
}

/* ---- elements ---- */

static void read_edge(reading *r, const char **a) {
    const char *id = attribute(a, "id"), *function = attribute(a, "function");
    if (!id) {
        refuse(r, "an edge without id", NULL);
        return;
    }
    fw_net *net = r->net;
    fw_names_put(&net->edge_names, fw_text_of(id), net->edge_count);
    PUSH(net->edges, net->edge_count,
         (fw_net_edge){.lane_first = net->lane_count,
                       .internal = function && strcmp(function, "internal") == 0});
}

/* Appends "x,y x,y ..." to the points; returns how many. */
static uint32_t read_shape(fw_net *net, const char *shape) {
    uint32_t count = 0;
    double d = 0;
    while (shape && *shape) {
        char *end;
        const double x = strtod(shape, &end);
        if (end == shape || *end != ',') break;
        const char *second = end + 1;
        const double y = strtod(second, &end);
        if (end == second || !isfinite(x) || !isfinite(y)) break;
        while (*end && *end != ' ') end++; /* a third coordinate */
        while (*end == ' ') end++;
        shape = end;
        if (count) {
            const fw_net_point *last = &net->points[net->point_count - 1];
            d += hypot(x - last->x_m, y - last->y_m);
        }
        PUSH(net->points, net->point_count, (fw_net_point){x, y, d});
        count++;
    }
    return count;
}

static bool open_to_passengers(const char *allow, const char *disallow) {
    if (allow && *allow) return has_word(allow, "passenger") || has_word(allow, "all");
    return !(has_word(disallow, "passenger") || has_word(disallow, "all"));
}

static void read_lane(reading *r, const char **a) {
    fw_net *net = r->net;
    const char *id = attribute(a, "id");
    if (!id || !net->edge_count) {
        refuse(r, "a lane without id or edge", NULL);
        return;
    }
    fw_net_lane lane = {
        .edge = net->edge_count - 1,
        .index = net->edges[net->edge_count - 1].lane_count++,
        .speed_mps = number(attribute(a, "speed"), 13.89),
        .width_m = number(attribute(a, "width"), 3.2),
        .passenger = open_to_passengers(attribute(a, "allow"), attribute(a, "disallow")),
        .point_first = net->point_count,
        .inside_link = FW_NET_NONE,
    };
    lane.point_count = read_shape(net, attribute(a, "shape"));
    if (lane.point_count < 2) {
        refuse(r, "a lane needs two shape points:", id);
        return;
    }
    lane.shape_m = fmax(net->points[net->point_count - 1].d_m, 0.01);
    lane.length_m = fmin(fmax(number(attribute(a, "length"), lane.shape_m), 0.01), LENGTH_MAX_M);
    fw_names_put(&net->lane_names, fw_text_of(id), net->lane_count);
    PUSH(net->lanes, net->lane_count, lane);
}

static void box_of_shape(fw_net *net, const char **a, fw_net_junction *junction) {
    const uint32_t keep = net->point_count;
    const uint32_t count = read_shape(net, attribute(a, "shape"));
    const double x = number(attribute(a, "x"), 0), y = number(attribute(a, "y"), 0);
    junction->x_low_m = junction->x_high_m = x;
    junction->y_low_m = junction->y_high_m = y;
    for (uint32_t i = keep; i < keep + count; i++) {
        junction->x_low_m = fmin(junction->x_low_m, net->points[i].x_m);
        junction->x_high_m = fmax(junction->x_high_m, net->points[i].x_m);
        junction->y_low_m = fmin(junction->y_low_m, net->points[i].y_m);
        junction->y_high_m = fmax(junction->y_high_m, net->points[i].y_m);
    }
}

static void read_junction(reading *r, const char **a) {
    fw_net *net = r->net;
    const char *id = attribute(a, "id"), *type = attribute(a, "type");
    if (!id) {
        refuse(r, "a junction without id", NULL);
        return;
    }
    fw_net_junction junction = {0};
    box_of_shape(net, a, &junction);
    raw_junction raw = {0};
    if (type && strcmp(type, "internal") == 0) {
        PUSH(r->waits, r->wait_count,
             (raw_wait){copy(id), copy(attribute(a, "intLanes")), copy(attribute(a, "incLanes"))});
    } else {
        raw.inner_lanes = copy(attribute(a, "intLanes"));
        fw_names_put(&net->junction_names, fw_text_of(id), net->junction_count);
    }
    r->junctions = room(r->junctions, net->junction_count, sizeof *r->junctions);
    r->junctions[net->junction_count] = raw;
    PUSH(net->junctions, net->junction_count, junction);
}

static void read_request(reading *r, const char **a) {
    if (!r->net->junction_count) return;
    raw_junction *junction = &r->junctions[r->net->junction_count - 1];
    const char *response = attribute(a, "response"), *foes = attribute(a, "foes");
    if (!response || !foes || whole(attribute(a, "index"), UINT32_MAX) != junction->count ||
        junction->count >= FW_NET_REQUESTS_MAX) {
        refuse(r, "a request out of order or without response and foes", NULL);
        return;
    }
    uint32_t count = junction->count;
    PUSH(junction->response, count, copy(response));
    count = junction->count;
    PUSH(junction->foes, count, copy(foes));
    junction->count = count;
}

static void read_connection(reading *r, const char **a) {
    raw_link link = {
        .from = copy(attribute(a, "from")),
        .to = copy(attribute(a, "to")),
        .via = copy(attribute(a, "via")),
        .light = copy(attribute(a, "tl")),
        .from_lane = whole(attribute(a, "fromLane"), UINT32_MAX),
        .to_lane = whole(attribute(a, "toLane"), UINT32_MAX),
        .light_index = whole(attribute(a, "linkIndex"), UINT32_MAX),
    };
    PUSH(r->links, r->link_count, link);
    if (!link.from || !link.to) refuse(r, "a connection without from or to", NULL);
}

static void XMLCALL element(void *user, const char *name, const char **attributes) {
    reading *r = user;
    if (r->status != FW_OK) return;
    if (strcmp(name, "edge") == 0) read_edge(r, attributes);
    if (strcmp(name, "lane") == 0) read_lane(r, attributes);
    if (strcmp(name, "junction") == 0) read_junction(r, attributes);
    if (strcmp(name, "request") == 0) read_request(r, attributes);
    if (strcmp(name, "connection") == 0) read_connection(r, attributes);
}

/* ---- names become indices ---- */

static uint32_t lane_of(const fw_net *net, const char *edge_id, uint32_t index) {
    const uint32_t edge = fw_names_find(&net->edge_names, fw_text_of(edge_id));
    if (edge == FW_NAME_NONE || index >= net->edges[edge].lane_count) return FW_NET_NONE;
    return net->edges[edge].lane_first + index;
}

static uint32_t light_of(fw_net *net, const char *id) {
    if (!id) return FW_NET_NONE;
    uint32_t light = fw_names_find(&net->light_names, fw_text_of(id));
    if (light != FW_NAME_NONE) return light;
    light = net->light_count;
    fw_names_put(&net->light_names, fw_text_of(id), light);
    PUSH(net->light_ids, net->light_count, copy(id));
    return light;
}

static fw_status join_links(reading *r) {
    fw_net *net = r->net;
    /* What follows an internal lane inside the junction: the via of its own connection. */
    uint32_t *next = malloc((net->lane_count + 1) * sizeof *next);
    FW_ASSERT(next);
    memset(next, 0xff, (net->lane_count + 1) * sizeof *next);
    for (uint32_t i = 0; i < r->link_count; i++) {
        const raw_link *raw = &r->links[i];
        const uint32_t from = lane_of(net, raw->from, raw->from_lane);
        if (from != FW_NET_NONE && raw->via && net->edges[net->lanes[from].edge].internal)
            next[from] = fw_names_find(&net->lane_names, fw_text_of(raw->via));
    }
    fw_status status = FW_OK;
    for (uint32_t i = 0; i < r->link_count && status == FW_OK; i++) {
        const raw_link *raw = &r->links[i];
        const uint32_t from = lane_of(net, raw->from, raw->from_lane);
        const uint32_t to = lane_of(net, raw->to, raw->to_lane);
        if (from == FW_NET_NONE || to == FW_NET_NONE) {
            status = fw_fail(r->error, FW_CORRUPT,
                             "%s: connection from lane %u of %s to lane %u of"
                             " %s: no such lane",
                             r->name, raw->from_lane, raw->from, raw->to_lane, raw->to);
            break;
        }
        if (net->edges[net->lanes[from].edge].internal) continue;
        const uint32_t via =
            raw->via ? fw_names_find(&net->lane_names, fw_text_of(raw->via)) : FW_NET_NONE;
        PUSH(net->links, net->link_count,
             (fw_net_link){.from_lane = from,
                           .to_lane = to,
                           .via = via,
                           .via2 = via == FW_NET_NONE ? FW_NET_NONE : next[via],
                           .junction = FW_NET_NONE,
                           .light = light_of(net, raw->light),
                           .light_index = raw->light_index});
    }
    free(next);
    return status;
}

/* Lists each lane's links. */
static void index_links(fw_net *net) {
    net->lane_links = calloc(net->link_count + 1, sizeof *net->lane_links);
    FW_ASSERT(net->lane_links);
    uint32_t at = 0;
    for (uint32_t i = 0; i < net->link_count; i++) {
        const fw_net_link *link = &net->links[i];
        net->lanes[link->from_lane].link_count++;
        if (link->via != FW_NET_NONE) net->lanes[link->via].inside_link = i;
        if (link->via2 != FW_NET_NONE) net->lanes[link->via2].inside_link = i;
    }
    for (uint32_t i = 0; i < net->lane_count; i++) {
        net->lanes[i].link_first = at;
        at += net->lanes[i].link_count;
        net->lanes[i].link_count = 0;
    }
    for (uint32_t i = 0; i < net->link_count; i++) {
        fw_net_lane *lane = &net->lanes[net->links[i].from_lane];
        net->lane_links[lane->link_first + lane->link_count++] = i;
    }
}

static void read_bits(const char *bits, uint8_t *row, uint32_t count) {
    const size_t size = strlen(bits);
    for (uint32_t i = 0; i < count; i++) row[i] = i < size && bits[size - 1 - i] == '1';
}

/* The next word of a list of lanes, as a lane; FW_NET_NONE at an unknown one. */
static uint32_t next_lane(const fw_net *net, const char **at) {
    const size_t size = strcspn(*at, " ");
    const uint32_t lane = fw_names_find(&net->lane_names, (fw_text){*at, size});
    *at += size + ((*at)[size] == ' ');
    return lane == FW_NAME_NONE ? FW_NET_NONE : lane;
}

static void join_junction(fw_net *net, uint32_t which, const raw_junction *raw,
                          const uint32_t *link_by_last_lane) {
    fw_net_junction *junction = &net->junctions[which];
    const uint32_t n = raw->inner_lanes ? raw->count : 0;
    if (!n) return;
    junction->count = n;
    junction->links = malloc(n * sizeof *junction->links);
    junction->response = calloc(n, n);
    junction->foes = calloc(n, n);
    junction->waits = calloc(n, n);
    FW_ASSERT(junction->links && junction->response && junction->foes && junction->waits);
    const char *at = raw->inner_lanes;
    for (uint32_t i = 0; i < n; i++) {
        read_bits(raw->response[i], &junction->response[i * n], n);
        read_bits(raw->foes[i], &junction->foes[i * n], n);
        const uint32_t lane = next_lane(net, &at);
        const uint32_t link = lane == FW_NET_NONE ? FW_NET_NONE : link_by_last_lane[lane];
        junction->links[i] = link;
        if (link == FW_NET_NONE) continue;
        net->links[link].junction = which;
        net->links[link].index = i;
    }
}

static void join_junctions(reading *r) {
    fw_net *net = r->net;
    uint32_t *by_last = malloc((net->lane_count + 1) * sizeof *by_last);
    FW_ASSERT(by_last);
    memset(by_last, 0xff, (net->lane_count + 1) * sizeof *by_last);
    for (uint32_t i = 0; i < net->link_count; i++) {
        const fw_net_link *link = &net->links[i];
        const uint32_t last = link->via2 != FW_NET_NONE ? link->via2 : link->via;
        if (last != FW_NET_NONE) by_last[last] = i;
    }
    for (uint32_t i = 0; i < net->junction_count; i++)
        join_junction(net, i, &r->junctions[i], by_last);
    free(by_last);
}

static void add_wait(fw_net *net, uint32_t link, uint32_t foe) {
    if (foe == FW_NET_NONE || !fw_net_links_meet(net, link, foe)) return;
    fw_net_junction *j = &net->junctions[net->links[link].junction];
    j->waits[net->links[link].index * j->count + net->links[foe].index] = 1;
}

/* Whom the links with a waiting place yield to there. */
static void join_waits(reading *r) {
    fw_net *net = r->net;
    for (uint32_t i = 0; i < r->wait_count; i++) {
        const raw_wait *w = &r->waits[i];
        const uint32_t own = fw_names_find(&net->lane_names, fw_text_of(w->id));
        const uint32_t link = own == FW_NAME_NONE ? FW_NET_NONE : net->lanes[own].inside_link;
        if (link == FW_NET_NONE || net->links[link].junction == FW_NET_NONE) continue;
        for (const char *at = w->inner_lanes ? w->inner_lanes : ""; *at;) {
            const uint32_t lane = next_lane(net, &at);
            if (lane != FW_NET_NONE) add_wait(net, link, net->lanes[lane].inside_link);
        }
        const char *at = w->incoming_lanes ? w->incoming_lanes : "";
        if (*at) (void)next_lane(net, &at); /* the first is its own */
        while (*at) {
            const uint32_t lane = next_lane(net, &at);
            if (lane == FW_NET_NONE) continue;
            for (uint32_t k = 0; k < net->lanes[lane].link_count; k++)
                add_wait(net, link, net->lane_links[net->lanes[lane].link_first + k]);
        }
    }
}

static void free_reading(reading *r) {
    for (uint32_t i = 0; i < r->wait_count; i++) {
        free(r->waits[i].id);
        free(r->waits[i].inner_lanes);
        free(r->waits[i].incoming_lanes);
    }
    free(r->waits);
    for (uint32_t i = 0; i < r->link_count; i++) {
        free(r->links[i].from);
        free(r->links[i].to);
        free(r->links[i].via);
        free(r->links[i].light);
    }
    free(r->links);
    for (uint32_t i = 0; i < r->net->junction_count; i++) {
        raw_junction *junction = &r->junctions[i];
        for (uint32_t j = 0; j < junction->count; j++) {
            free(junction->response[j]);
            free(junction->foes[j]);
        }
        free(junction->response);
        free(junction->foes);
        free(junction->inner_lanes);
    }
    free(r->junctions);
}

fw_status fw_net_parse(const char *xml, size_t size_bytes, const char *name, fw_net **out,
                       fw_error *error) {
    if (size_bytes > FW_NET_FILE_MAX)
        return fw_fail(error, FW_TOO_BIG, "%s: over %d bytes", name, FW_NET_FILE_MAX);
    fw_net *net = calloc(1, sizeof *net);
    XML_Parser parser = XML_ParserCreate(NULL);
    FW_ASSERT(net && parser);
    reading r = {.net = net, .parser = parser, .status = FW_OK, .error = error, .name = name};
    XML_SetUserData(parser, &r);
    XML_SetStartElementHandler(parser, element);
    if (XML_Parse(parser, xml, (int)size_bytes, 1) == XML_STATUS_ERROR && r.status == FW_OK)
        r.status =
            fw_fail(error, FW_CORRUPT, "%s line %lu: %s", name, XML_GetCurrentLineNumber(parser),
                    XML_ErrorString(XML_GetErrorCode(parser)));
    XML_ParserFree(parser);
    if (r.status == FW_OK) r.status = join_links(&r);
    if (r.status == FW_OK) {
        index_links(net);
        join_junctions(&r);
        join_waits(&r);
    }
    free_reading(&r);
    if (r.status != FW_OK)
        fw_net_free(net);
    else
        *out = net;
    return r.status;
}

fw_status fw_net_load(const char *path, fw_net **out, fw_error *error) {
    char *bytes;
    size_t size;
    FW_TRY(fw_file_read(path, FW_NET_FILE_MAX, &bytes, &size, error));
    const fw_status status = fw_net_parse(bytes, size, path, out, error);
    free(bytes);
    return status;
}

void fw_net_free(fw_net *net) {
    if (!net) return;
    for (uint32_t i = 0; i < net->junction_count; i++) {
        free(net->junctions[i].links);
        free(net->junctions[i].response);
        free(net->junctions[i].foes);
        free(net->junctions[i].waits);
    }
    for (uint32_t i = 0; i < net->light_count; i++) free(net->light_ids[i]);
    free(net->light_ids);
    free(net->lanes);
    free(net->edges);
    free(net->links);
    free(net->junctions);
    free(net->points);
    free(net->lane_links);
    fw_names_free(&net->lane_names);
    fw_names_free(&net->edge_names);
    fw_names_free(&net->junction_names);
    fw_names_free(&net->light_names);
    free(net);
}

/* ---- geometry and right of way ---- */

void fw_net_lane_at(const fw_net *net, uint32_t lane, double share, double *x_m, double *y_m) {
    const fw_net_lane *l = &net->lanes[lane];
    const fw_net_point *p = &net->points[l->point_first];
    const double d = fmin(fmax(share, 0), 1) * l->shape_m;
    uint32_t i = 1;
    while (i + 1 < l->point_count && p[i].d_m < d) i++;
    const double gap = p[i].d_m - p[i - 1].d_m;
    const double t = gap > 0 ? fmin(1, (d - p[i - 1].d_m) / gap) : 0;
    *x_m = p[i - 1].x_m + t * (p[i].x_m - p[i - 1].x_m);
    *y_m = p[i - 1].y_m + t * (p[i].y_m - p[i - 1].y_m);
}

double fw_net_lane_distance(const fw_net *net, uint32_t lane, double x_m, double y_m) {
    const fw_net_lane *l = &net->lanes[lane];
    const fw_net_point *p = &net->points[l->point_first];
    double best = INFINITY;
    for (uint32_t i = 1; i < l->point_count; i++) {
        const double dx = p[i].x_m - p[i - 1].x_m, dy = p[i].y_m - p[i - 1].y_m;
        const double square = dx * dx + dy * dy;
        double t =
            square > 0 ? ((x_m - p[i - 1].x_m) * dx + (y_m - p[i - 1].y_m) * dy) / square : 0;
        t = fmin(fmax(t, 0), 1);
        best = fmin(best, hypot(x_m - p[i - 1].x_m - t * dx, y_m - p[i - 1].y_m - t * dy));
    }
    return best;
}

static const fw_net_junction *shared(const fw_net *net, uint32_t a, uint32_t b) {
    const uint32_t junction = net->links[a].junction;
    if (junction == FW_NET_NONE || junction != net->links[b].junction) return NULL;
    return &net->junctions[junction];
}

bool fw_net_links_meet(const fw_net *net, uint32_t a, uint32_t b) {
    const fw_net_junction *j = shared(net, a, b);
    return j && j->foes[net->links[a].index * j->count + net->links[b].index];
}

bool fw_net_link_yields(const fw_net *net, uint32_t a, uint32_t b) {
    const fw_net_junction *j = shared(net, a, b);
    return j && j->response[net->links[a].index * j->count + net->links[b].index];
}

bool fw_net_link_waits(const fw_net *net, uint32_t a, uint32_t b) {
    const fw_net_junction *j = shared(net, a, b);
    return j && j->waits[net->links[a].index * j->count + net->links[b].index];
}

double fw_net_link_wait_m(const fw_net *net, uint32_t link) {
    const fw_net_link *l = &net->links[link];
    return l->via2 == FW_NET_NONE ? 0 : net->lanes[l->via].length_m;
}
