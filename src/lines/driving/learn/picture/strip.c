#include "lines/driving/learn/picture/strip.h"

#include <math.h>
#include <stdlib.h>

#include "lines/driving/learn/picture/drawing.h"

enum { PANEL_WIDE = 240, PANEL_HIGH = 160, LABEL_WIDE = 150, HEAD_HIGH = 46, GAP = 6 };
static const double scale = 4; /* pixels a metre */

static const fw_sim_box *own_box(const fw_trace *t, uint32_t frame) {
    return &t->boxes[t->frames[frame].box_first];
}

static void boxes(FILE *out, const fw_trace *t, uint32_t at, bool last) {
    const fw_trace_frame *f = &t->frames[at];
    const char *mine = last && fw_trace_failed(&t->drive) ? FW_DRAWING_BAD : FW_DRAWING_GOOD;
    for (uint32_t i = f->box_count; i-- > 0;) { /* the own car last, on top */
        const fw_sim_box *b = &t->boxes[f->box_first + i];
        fprintf(out, "<g transform=\"translate(%.2f %.2f) rotate(%.2f)\">", (double)b->x_m, (double)b->y_m,
                (double)b->yaw_rad * 180 / M_PI);
        if (i == 0) fw_drawing_plan(out, f, mine);
        fw_drawing_car(out, b->length_m, b->width_m, i == 0 ? mine : FW_DRAWING_OTHER);
        fprintf(out, "</g>\n");
    }
}

static void panel(FILE *out, const fw_scenario *s, const fw_trace *t, uint32_t at, int x, int y) {
    bool last = at + 1 == t->frame_count;
    const fw_sim_box *own = own_box(t, at);
    const fw_drawing_window w = {own->x_m, own->y_m, (float)(PANEL_WIDE / 2 / scale), (float)(PANEL_HIGH / 2 / scale)};
    fprintf(out, "<svg x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"><rect width=\"100%%\" height=\"100%%\" "
                 "fill=\"#fbfcfd\"/>\n<g transform=\"translate(%d %d) scale(%g %g) translate(%.2f %.2f)\">\n",
            x, y, PANEL_WIDE, PANEL_HIGH, PANEL_WIDE / 2, PANEL_HIGH / 2, scale, -scale, -(double)own->x_m,
            -(double)own->y_m);
    fw_drawing_map(out, s, s->tracks[t->track].route, &w);
    boxes(out, t, at, last);
    fprintf(out, "</g>\n<rect width=\"100%%\" height=\"100%%\" fill=\"none\" stroke=\"%s\" stroke-width=\"%d\"/>\n",
            last && fw_trace_failed(&t->drive) ? FW_DRAWING_BAD : "#d5dae1", last ? 4 : 1);
    fprintf(out, "<text x=\"8\" y=\"%d\" class=\"small\">%.1f m/s%s</text></svg>\n", PANEL_HIGH - 8,
            (double)t->frames[at].speed_mps, t->frames[at].veto ? ", guard" : "");
}

static void label(FILE *out, const fw_trace *t, int y) {
    fprintf(out, "<text x=\"8\" y=\"%d\" class=\"name\">", y + 24);
    fw_drawing_text(out, t->driver);
    fprintf(out, "</text><text x=\"8\" y=\"%d\" class=\"small\" fill=\"%s\">%s</text><text x=\"8\" y=\"%d\" "
                 "class=\"small\">after %.1f s</text>\n", y + 44,
            fw_trace_failed(&t->drive) ? FW_DRAWING_BAD : FW_DRAWING_GOOD, fw_trace_end_words(&t->drive), y + 62,
            (double)t->drive.ticks * (double)FW_DRIVE_TICK_S);
}

/* The first four moments end with the drive that ends first, the last two go on to the longest one's end. */
static uint32_t moment(uint32_t m, uint32_t shortest, uint32_t longest) {
    enum { BEFORE = 4 };
    if (shortest == longest) return (longest - 1) * m / (FW_STRIP_MOMENTS - 1);
    if (m < BEFORE) return (shortest - 1) * m / (BEFORE - 1);
    return shortest - 1 + (longest - shortest) * (m - BEFORE + 1) / (FW_STRIP_MOMENTS - BEFORE);
}

static void write_strip(FILE *out, const fw_scenario *s, const fw_trace *traces, uint32_t count, uint32_t shortest,
                        uint32_t longest) {
    int wide = LABEL_WIDE + FW_STRIP_MOMENTS * (PANEL_WIDE + GAP), high = HEAD_HIGH + (int)count * (PANEL_HIGH + GAP);
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
                 "font-family=\"sans-serif\">\n<style>.name{font-size:15px;font-weight:600}.small{font-size:13px}"
                 "</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n<text x=\"8\" y=\"20\" "
                 "class=\"small\">", wide, high, wide, high);
    fw_drawing_text(out, s->tags.site);
    fprintf(out, " %.12s, car %u from %.1f s</text>\n", s->source.hex, s->tracks[traces[0].track].id,
            (double)traces[0].first_tick * (double)FW_DRIVE_TICK_S);
    for (uint32_t m = 0; m < FW_STRIP_MOMENTS; m++) {
        uint32_t at = moment(m, shortest, longest);
        int x = LABEL_WIDE + (int)m * (PANEL_WIDE + GAP);
        fprintf(out, "<text x=\"%d\" y=\"%d\" class=\"small\">%.1f s</text>\n", x, HEAD_HIGH - 8,
                (double)at * (double)FW_DRIVE_TICK_S);
        for (uint32_t i = 0; i < count; i++)
            if (traces[i].frame_count > 0)
                panel(out, s, &traces[i], at < traces[i].frame_count ? at : traces[i].frame_count - 1, x,
                      HEAD_HIGH + (int)i * (PANEL_HIGH + GAP));
    }
    for (uint32_t i = 0; i < count; i++)
        if (traces[i].frame_count > 0) label(out, &traces[i], HEAD_HIGH + (int)i * (PANEL_HIGH + GAP));
    fprintf(out, "</svg>\n");
}

fw_status fw_strip_svg(const fw_scenario *s, const fw_trace *traces, uint32_t count, char **out, size_t *size_bytes,
                       fw_error *error) {
    uint32_t shortest = UINT32_MAX, longest = 0;
    char *text = NULL;
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t frames = traces[i].frame_count;
        longest = frames > longest ? frames : longest;
        shortest = frames > 0 && frames < shortest ? frames : shortest;
    }
    if (longest == 0 || count > FW_STRIP_TRACES_MAX)
        return fw_fail(error, FW_INVALID, "a strip needs 1 to %d drives with at least one moment", FW_STRIP_TRACES_MAX);
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return fw_fail(error, FW_NO_MEMORY, "no memory for a picture");
    write_strip(stream, s, traces, count, shortest, longest);
    bool bad = ferror(stream) != 0;
    if (fclose(stream) != 0 || bad) {
        free(text);
        return fw_fail(error, FW_NO_MEMORY, "no memory for a picture");
    }
    *out = text;
    *size_bytes = size;
    return FW_OK;
}
