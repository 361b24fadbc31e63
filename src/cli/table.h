/* table: aligned columns of plain text for people, one row a line.
 *
 *   ID         STATUS  VERSION
 *   vip-order  active  3
 *
 * Cells come from outside: control characters are made harmless before they reach a terminal.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <glib.h>

#include "common/json.h"
#include "common/slice.h"

enum table_format {
    TABLE_TEXT, /* a string as it is, anything else as its JSON; absent and null as "-" */
    TABLE_TIME, /* an RFC 3339 time, cut to the second */
};

/* One column: where its cells come from and how they look. */
struct table_column {
    const char *title; /* in the first line */
    const char *field; /* name of the member that is shown */
    enum table_format format;
    int width_max; /* characters, longer cells are cut; 0 = no limit */
};

/* Collects rows; nothing is printed before table_print, which knows the widths. */
struct table {
    const struct table_column *columns;
    size_t column_count;
    GPtrArray *cells; /* char *, row by row */
};

/* columns are borrowed until done; count >= 1. */
void table_init(struct table *t, const struct table_column *columns, size_t count);
void table_done(struct table *t);

/* Adds a row with the members of a JSON object. */
void table_add(struct table *t, const struct json_value *object);

size_t table_row_count(const struct table *t);

/* Appends titles and rows, each line behind the indent. Without rows: nothing. */
void table_print(const struct table *t, const char *indent, GString *out);

/* The text of one value as a cell. value may be NULL. Owned by caller. */
char *table_cell(const struct json_value *value, enum table_format format, int width_max);

/* A copy that is safe for a terminal: valid UTF-8, no control characters. Owned by caller. */
char *table_safe_text(struct slice text);

/* Appends a value as indented JSON that is safe for a terminal, without a newline at the end.
 * depth: of the first line. */
void table_append_json(GString *out, const struct json_value *value, int depth);

#endif
