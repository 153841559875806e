#include "cli/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void fw_table_cell(fw_table *t, const char *format, ...) {
    char text[256];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (t->count == t->room) {
        size_t room = 2 * t->room + 64;
        void *grown = realloc(t->cells, room * sizeof *t->cells);
        if (!grown) {
            t->lost = true;
            return;
        }
        t->cells = grown;
        t->room = room;
    }
    size_t size = strlen(text), half = FW_TABLE_CELL_MAX / 2 - 2;
    if (size < FW_TABLE_CELL_MAX)
        memcpy(t->cells[t->count++], text, size + 1);
    else
        snprintf(t->cells[t->count++], FW_TABLE_CELL_MAX, "%.*s..%s", (int)half, text,
                 text + size - half);
}

static void print_row(const fw_table *t, const size_t *widths, size_t first, FILE *out) {
    for (size_t c = 0; c < t->columns; c++) {
        const char *text = first == SIZE_MAX ? t->titles[c] : t->cells[first + c];
        const char *gap = c == 0 ? "" : "  ";
        if (t->right[c]) fprintf(out, "%s%*s", gap, (int)widths[c], text);
        else if (c + 1 == t->columns) fprintf(out, "%s%s", gap, text);
        else fprintf(out, "%s%-*s", gap, (int)widths[c], text);
    }
    fputc('\n', out);
}

void fw_table_print(const fw_table *t, FILE *out) {
    size_t widths[FW_TABLE_COLUMNS_MAX];
    for (size_t c = 0; c < t->columns; c++) widths[c] = strlen(t->titles[c]);
    for (size_t i = 0; i < t->count; i++) {
        size_t size = strlen(t->cells[i]);
        if (size > widths[i % t->columns]) widths[i % t->columns] = size;
    }
    print_row(t, widths, SIZE_MAX, out);
    for (size_t i = 0; i + t->columns <= t->count; i += t->columns) print_row(t, widths, i, out);
    if (t->lost) fputs("(no memory for the rest)\n", out);
}

void fw_table_clear(fw_table *t) {
    free(t->cells);
    *t = (fw_table){0};
}

/* ---- numbers ---- */

static char *next_text(void) {
    static _Thread_local char texts[8][32];
    static _Thread_local unsigned at;
    return texts[at++ % 8];
}

/* Three digits; whole numbers below a thousand as they are. */
static const char *three(double number, const char *space, const char *prefix, const char *unit) {
    char *text = next_text();
    int digits = number >= 100 ? 0 : number >= 10 ? 1 : 2;
    if (number == (double)(long)number) digits = 0;
    snprintf(text, 32, "%.*f%s%s%s", digits, number, space, prefix, unit);
    return text;
}

const char *fw_cli_bytes(double bytes) {
    static const char *const prefixes[] = {"", "Ki", "Mi", "Gi", "Ti"};
    size_t i = 0;
    for (; bytes >= 1024 && i < 4; i++) bytes /= 1024;
    return three(bytes, " ", prefixes[i], "B");
}

const char *fw_cli_scaled(double number, const char *unit) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T"};
    size_t i = 0;
    for (; number >= 1000 && i < 4; i++) number /= 1000;
    return three(number, " ", prefixes[i], unit);
}
