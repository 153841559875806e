/* experiment_draw.c - a report as a picture: clean shares by generation, one line an arm; see experiment.h */
#include <string.h>

#include "cli/experiment.h"

enum { WIDTH = 380, HEIGHT = 260, LEFT = 50, TOP = 40, PLOT_W = 300, PLOT_H = 170 };

typedef struct curve {
    const char *arm, *colour;
} curve;
static const curve curves[] = {{"frozen", "#888888"}, {"random", "#c06000"}, {"loop", "#1060c0"}};
enum { CURVES = sizeof curves / sizeof curves[0] };

static double generation_of(const json_t *row) {
    return json_number_value(json_object_get(row, "generation"));
}

static bool of_arm(const json_t *row, const char *arm) {
    const char *name = json_string_value(json_object_get(row, "arm"));
    return name && (strcmp(name, arm) == 0 || strcmp(name, "first") == 0);
}

static void draw_curve(const json_t *rows, const char *figure, const curve *c, double last, int x0, FILE *out) {
    json_t *row = NULL;
    size_t i = 0;
    fprintf(out, "<polyline fill='none' stroke='%s' stroke-width='2' points='", c->colour);
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        const json_t *value = json_object_get(row, figure);
        if (!of_arm(row, c->arm) || !json_is_number(value)) continue;
        double at = last > 1 ? (generation_of(row) - 1) / (last - 1) : 0;
        fprintf(out, "%.1f,%.1f ", x0 + at * PLOT_W, TOP + (1 - json_number_value(value)) * PLOT_H);
    }
    fputs("'/>\n", out);
}

static void draw_panel(const json_t *rows, const char *figure, const char *title, double last, int panel,
                       FILE *out) {
    const int x0 = LEFT + panel * WIDTH;
    fprintf(out, "<text x='%d' y='%d' font-weight='bold'>%s</text>\n", x0, TOP - 16, title);
    for (int i = 0; i <= 4; i++) {
        int y = TOP + PLOT_H * i / 4;
        fprintf(out, "<line x1='%d' y1='%d' x2='%d' y2='%d' stroke='#dddddd'/><text x='%d' y='%d' "
                "text-anchor='end'>%.2f</text>\n", x0, y, x0 + PLOT_W, y, x0 - 6, y + 4, 1 - i * 0.25);
    }
    for (int g = 1; g <= (int)last; g++)
        fprintf(out, "<text x='%.1f' y='%d' text-anchor='middle'>%d</text>\n",
                x0 + (last > 1 ? (g - 1) / (last - 1) : 0) * PLOT_W, TOP + PLOT_H + 18, g);
    for (int i = 0; i < CURVES; i++) {
        draw_curve(rows, figure, &curves[i], last, x0, out);
        fprintf(out, "<text x='%d' y='%d' fill='%s'>%s</text>\n", x0 + 70 * i, TOP + PLOT_H + 40,
                curves[i].colour, curves[i].arm);
    }
}

void fw_experiment_draw(const json_t *report, FILE *out) {
    const json_t *rows = json_object_get(report, "rows");
    double last = json_number_value(json_object_get(json_object_get(report, "settings"), "generations"));
    fprintf(out, "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='sans-serif' "
            "font-size='12'>\n<rect width='100%%' height='100%%' fill='white'/>\n", 2 * WIDTH, HEIGHT);
    draw_panel(rows, "clean", "clean share, sealed, by generation", last, 0, out);
    draw_panel(rows, "living_clean", "clean share, living phase", last, 1, out);
    fputs("</svg>\n", out);
}
