/* Tables and JSON for people's eyes.
 *
 * All cells are kept until the last row is there: widths are counted in characters (not bytes), and
 * the widest cell of a column decides. Wide characters of East Asian scripts count as one, so such
 * columns may be ragged.
 */
#include "cli/table.h"

#define TABLE_TIME_SIZE 19 /* "2026-11-21T10:00:00" */

/* columns are borrowed until done. */
void table_init(struct table *t, const struct table_column *columns, size_t count)
{
    *t = (struct table){
        .columns = columns, .column_count = count, .cells = g_ptr_array_new_with_free_func(g_free)};
}

void table_done(struct table *t)
{
    g_clear_pointer(&t->cells, g_ptr_array_unref);
}

/* Escape sequences in an event's id could otherwise rewrite the terminal's title or screen. Bytes
 * that are no UTF-8 become the replacement character. */
char *table_safe_text(struct slice text)
{
    g_autofree char *valid =
        g_utf8_make_valid(text.data != NULL ? text.data : "", (gssize)text.size);
    GString *safe = g_string_sized_new(text.size);

    for (char *p = valid; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        /* One '?' for each: the width stays what it was. */
        g_string_append_unichar(safe, g_unichar_iscntrl(c) ? '?' : c);
    }
    return g_string_free(safe, FALSE);
}

/* Cuts fractions of a second in place; a time in another form stays as it is. */
static char *table_time(char *text)
{
    if (strlen(text) > TABLE_TIME_SIZE && g_str_has_suffix(text, "Z")) {
        text[TABLE_TIME_SIZE] = 'Z';
        text[TABLE_TIME_SIZE + 1] = '\0';
    }
    return text;
}

/* Anything but a text shows as its JSON. Cut cells end in "…", which counts as one character of the
 * width. */
char *table_cell(const struct json_value *value, enum table_format format, int width_max)
{
    char *text;
    char *rest;

    if (value == NULL || value->type == JSON_NULL)
        return g_strdup("-");
    text = table_safe_text(value->type == JSON_TEXT ? value->text : value->source);
    if (format == TABLE_TIME)
        return table_time(text);
    /* Characters are counted, so a cut never falls into the middle of one. */
    if (width_max == 0 || g_utf8_strlen(text, -1) <= width_max)
        return text;
    rest = g_utf8_substring(text, 0, width_max - 1);
    g_free(text);
    text = g_strconcat(rest, "…", NULL);
    g_free(rest);
    return text;
}

/* A member that is missing is a "-": rows always have all columns. The texts are copied. */
void table_add(struct table *t, const struct json_value *object)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const struct table_column *column = &t->columns[i];
        const struct json_value *value = json_get(object, slice_text(column->field));

        g_ptr_array_add(t->cells, table_cell(value, column->format, column->width_max));
    }
}

/* columns are never 0, or nothing could be counted. */
size_t table_row_count(const struct table *t)
{
    return t->cells->len / t->column_count;
}

/* Row 0 is the first one that was added, not the titles. */
static const char *table_get(const struct table *t, size_t row, size_t column)
{
    return g_ptr_array_index(t->cells, (guint)(row * t->column_count + column));
}

/* Of the widest cell or the title, in characters. */
static glong table_width(const struct table *t, size_t column)
{
    glong width = g_utf8_strlen(t->columns[column].title, -1);

    for (size_t row = 0; row < table_row_count(t); row++)
        width = MAX(width, g_utf8_strlen(table_get(t, row, column), -1));
    return width;
}

/* The last cell of a line is not padded: no line ends with spaces. */
static void table_append_cell(GString *out, const char *text, glong width, bool is_last)
{
    g_string_append(out, text);
    if (!is_last)
        g_string_append_printf(out, "%*s", (int)(width - g_utf8_strlen(text, -1)) + 2, "");
}

/* The titles are printed like a row. The last column decides no width: it is never padded. */
void table_print(const struct table *t, const char *indent, GString *out)
{
    size_t rows = table_row_count(t);
    g_autofree glong *widths = g_new0(glong, t->column_count);

    if (rows == 0)
        return;
    for (size_t i = 0; i < t->column_count; i++)
        widths[i] = table_width(t, i);
    for (size_t row = 0; row <= rows; row++) { /* row 0 is the titles */
        g_string_append(out, indent);
        for (size_t i = 0; i < t->column_count; i++)
            table_append_cell(out, row == 0 ? t->columns[i].title : table_get(t, row - 1, i),
                              widths[i], i + 1 == t->column_count);
        g_string_append_c(out, '\n');
    }
}

/* JSON escapes the control characters of ASCII only; what a terminal may obey beyond them becomes a
 * '?', as in a cell. */
static void table_append_safe(GString *out, struct slice json)
{
    g_autofree char *safe = table_safe_text(json);

    g_string_append(out, safe);
}

/* Escaped again: key is the decoded name. */
static void table_append_key(GString *out, struct slice key)
{
    g_autoptr(GString) json = g_string_new(NULL);
    struct json_writer w;

    json_writer_init(&w, json);
    json_add_text(&w, key);
    table_append_safe(out, slice_of(json->str, json->len));
    g_string_append(out, ": ");
}

/* Scalars go out as the text they came in, so no number changes its look. As deep as the parser
 * allows. */
void table_append_json(GString *out, const struct json_value *value, int depth)
{
    bool is_object = value->type == JSON_OBJECT;

    if (!is_object && value->type != JSON_ARRAY) {
        table_append_safe(out, value->source);
        return;
    }
    if (value->count == 0) {
        g_string_append(out, is_object ? "{}" : "[]");
        return;
    }
    g_string_append(out, is_object ? "{" : "[");
    for (const struct json_value *child = value->first; child != NULL; child = child->next) {
        g_string_append_printf(out, "\n%*s", (depth + 1) * 2, "");
        if (is_object)
            table_append_key(out, child->key);
        table_append_json(out, child, depth + 1);
        if (child->next != NULL)
            g_string_append_c(out, ',');
    }
    g_string_append_printf(out, "\n%*s%s", depth * 2, "", is_object ? "}" : "]");
}
