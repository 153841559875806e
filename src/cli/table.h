/* table.h - columns for people: as wide as what stands in them, numbers to the right.
 *
 *   fw_table t = {.columns = 3, .titles = {"node", "operator", "MFLOP"}, .right = {[2] = true}};
 *   fw_table_cell(&t, "%s", name); ...                 row by row, cell by cell
 *   fw_table_print(&t, stdout); fw_table_clear(&t);
 *
 * A cell that is too long is cut in its middle. Without memory cells are lost, and the table says so.
 */
#ifndef FW_CLI_TABLE_H
#define FW_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { FW_TABLE_COLUMNS_MAX = 12, FW_TABLE_CELL_MAX = 40 };

typedef struct fw_table {
    size_t columns;
    const char *titles[FW_TABLE_COLUMNS_MAX];
    bool right[FW_TABLE_COLUMNS_MAX];
    char (*cells)[FW_TABLE_CELL_MAX]; /* (count), owned */
    size_t count, room;
    bool lost;
} fw_table;

void fw_table_cell(fw_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fw_table_print(const fw_table *table, FILE *out);
void fw_table_clear(fw_table *table);

/* "14.5 KiB", "3.71 MFLOP": three digits and a unit, in text that the next calls may overwrite (8). */
const char *fw_cli_bytes(double bytes);
const char *fw_cli_scaled(double number, const char *unit);

#endif
