#include "lines/driving/learn/picture/animation.h"

#include <math.h>
#include <stdlib.h>

#include "lines/driving/learn/picture/drawing.h"

enum { PANEL = 420, HEAD_HIGH = 56, GAP = 10, TRACES_MAX = 8, REST_FRAMES = 15 };
static const double scale = 6; /* pixels a metre */

/* All panels run over the same time: `frames` ticks and a rest. */
typedef struct stage {
    FILE *out;
    const fw_scenario *scenario;
    uint32_t frames;
} stage;

static uint32_t frame_at(const fw_trace *t, uint32_t tick) {
    return tick < t->frame_count ? tick : t->frame_count - 1;
}

/* One animated attribute: the text of each tick comes from `say`. */
typedef void say(FILE *out, const fw_trace *trace, uint32_t frame, uint32_t track);

static void animate(const stage *st, const char *head, const fw_trace *t, uint32_t track, say *value) {
    fprintf(st->out, "<%s dur=\"%.1fs\" repeatCount=\"indefinite\" values=\"", head,
            (double)st->frames * (double)FW_DRIVE_TICK_S);
    for (uint32_t k = 0; k < st->frames; k++) {
        if (k > 0) fputc(';', st->out);
        value(st->out, t, frame_at(t, k), track);
    }
    fprintf(st->out, "\"/>\n");
}

static const fw_sim_box *box_of(const fw_trace *t, uint32_t frame, uint32_t track) {
    const fw_trace_frame *f = &t->frames[frame];
    for (uint32_t i = 0; i < f->box_count; i++)
        if (t->boxes[f->box_first + i].track == track) return &t->boxes[f->box_first + i];
    return NULL;
}

/* Where it is, or is next, or was last: a box that is away is hidden, and must not fly. */
static const fw_sim_box *box_near(const fw_trace *t, uint32_t frame, uint32_t track) {
    for (uint32_t k = frame; k < t->frame_count; k++)
        if (box_of(t, k, track)) return box_of(t, k, track);
    for (uint32_t k = frame; k-- > 0;)
        if (box_of(t, k, track)) return box_of(t, k, track);
    return &t->boxes[0];
}

static void say_place(FILE *out, const fw_trace *t, uint32_t frame, uint32_t track) {
    const fw_sim_box *b = box_near(t, frame, track);
    fprintf(out, "%.2f %.2f", (double)b->x_m, (double)b->y_m);
}
static void say_turn(FILE *out, const fw_trace *t, uint32_t frame, uint32_t track) {
    fprintf(out, "%.1f", (double)box_near(t, frame, track)->yaw_rad * 180 / M_PI);
}
static void say_there(FILE *out, const fw_trace *t, uint32_t frame, uint32_t track) {
    fputs(box_of(t, frame, track) ? "visible" : "hidden", out);
}
static void say_camera(FILE *out, const fw_trace *t, uint32_t frame, uint32_t track) {
    const fw_sim_box *b = box_near(t, frame, track);
    fprintf(out, "%.2f %.2f", -(double)b->x_m, -(double)b->y_m);
}
static void say_failed(FILE *out, const fw_trace *t, uint32_t frame, uint32_t track) {
    (void)track;
    fputs(frame + 1 == t->frame_count && fw_trace_failed(&t->drive) ? "visible" : "hidden", out);
}

static void car(const stage *st, const fw_trace *t, const fw_sim_box *box) {
    fprintf(st->out, "<g>");
    animate(st, "animateTransform attributeName=\"transform\" type=\"translate\"", t, box->track, say_place);
    animate(st, "animate attributeName=\"visibility\" calcMode=\"discrete\"", t, box->track, say_there);
    fprintf(st->out, "<g>");
    animate(st, "animateTransform attributeName=\"transform\" type=\"rotate\" calcMode=\"discrete\"", t, box->track,
            say_turn);
    fw_drawing_car(st->out, box->length_m, box->width_m, box->track == t->track ? FW_DRAWING_GOOD : FW_DRAWING_OTHER);
    fprintf(st->out, "</g></g>\n");
}

/* Each car once, in the order in which it is first seen; the own one last, on top. */
static void cars(const stage *st, const fw_trace *t) {
    bool drawn[FW_SCENARIO_TRACKS_MAX] = {false};
    drawn[t->track] = true;
    for (uint32_t i = 0; i < t->box_count; i++) {
        if (drawn[t->boxes[i].track]) continue;
        drawn[t->boxes[i].track] = true;
        car(st, t, &t->boxes[i]);
    }
    car(st, t, &t->boxes[0]);
}

static fw_drawing_window all_of(const fw_trace *t) {
    float low_x = 1e9f, low_y = 1e9f, high_x = -1e9f, high_y = -1e9f, reach = (float)(PANEL / 2 / scale);
    for (uint32_t k = 0; k < t->frame_count; k++) {
        const fw_sim_box *b = &t->boxes[t->frames[k].box_first];
        low_x = fminf(low_x, b->x_m), high_x = fmaxf(high_x, b->x_m);
        low_y = fminf(low_y, b->y_m), high_y = fmaxf(high_y, b->y_m);
    }
    return (fw_drawing_window){0.5f * (low_x + high_x), 0.5f * (low_y + high_y), 0.5f * (high_x - low_x) + reach,
                               0.5f * (high_y - low_y) + reach};
}

static void panel(const stage *st, const fw_trace *t, int x) {
    fw_drawing_window window = all_of(t);
    fprintf(st->out, "<text x=\"%d\" y=\"22\" font-size=\"16\" font-weight=\"600\">", x);
    fw_drawing_text(st->out, t->driver);
    fprintf(st->out, "</text><text x=\"%d\" y=\"42\" font-size=\"13\">%s after %.1f s</text>\n", x,
            fw_trace_end_words(&t->drive), (double)t->drive.ticks * (double)FW_DRIVE_TICK_S);
    fprintf(st->out, "<svg x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"><rect width=\"100%%\" height=\"100%%\" "
                     "fill=\"#fbfcfd\"/><g transform=\"translate(%d %d) scale(%g %g)\"><g>\n",
            x, HEAD_HIGH, PANEL, PANEL, PANEL / 2, PANEL / 2, scale, -scale);
    animate(st, "animateTransform attributeName=\"transform\" type=\"translate\"", t, t->track, say_camera);
    fw_drawing_map(st->out, st->scenario, st->scenario->tracks[t->track].route, &window);
    cars(st, t);
    fprintf(st->out, "</g></g><rect width=\"100%%\" height=\"100%%\" fill=\"none\" stroke=\"#d5dae1\"/>"
                     "<rect width=\"100%%\" height=\"100%%\" fill=\"none\" stroke=\"" FW_DRAWING_BAD
                     "\" stroke-width=\"10\">");
    animate(st, "animate attributeName=\"visibility\" calcMode=\"discrete\"", t, t->track, say_failed);
    fprintf(st->out, "</rect></svg>\n");
}

static void write_all(const stage *st, const fw_trace *traces, uint32_t count) {
    int wide = GAP + (int)count * (PANEL + GAP), high = HEAD_HIGH + PANEL + GAP, x = GAP;
    fprintf(st->out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
                     "font-family=\"sans-serif\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            wide, high, wide, high);
    for (uint32_t i = 0; i < count; i++, x += PANEL + GAP)
        if (traces[i].frame_count > 0) panel(st, &traces[i], x);
    fprintf(st->out, "</svg>\n");
}

fw_status fw_animation_svg(const fw_scenario *scenario, const fw_trace *traces, uint32_t count, char **out,
                           size_t *size_bytes, fw_error *error) {
    stage st = {.scenario = scenario};
    char *text = NULL;
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        st.frames = traces[i].frame_count > st.frames ? traces[i].frame_count : st.frames;
    if (st.frames < 2 || count > TRACES_MAX)
        return fw_fail(error, FW_INVALID, "an animation needs 1 to %d drives with at least two moments", TRACES_MAX);
    st.frames += REST_FRAMES;
    st.out = open_memstream(&text, &size);
    if (!st.out) return fw_fail(error, FW_NO_MEMORY, "no memory for a picture");
    write_all(&st, traces, count);
    bool bad = ferror(st.out) != 0;
    if (fclose(st.out) != 0 || bad) {
        free(text);
        return fw_fail(error, FW_NO_MEMORY, "no memory for a picture");
    }
    *out = text;
    *size_bytes = size;
    return FW_OK;
}
