/* Compact JSON into a GString. The writer knows one thing, whether a comma is due; that brackets
 * close in order and that names stand only in objects is the caller's to get right, and the tests
 * of each answer read it back. Whatever bytes go in as text, the output is valid UTF-8.
 * Deliberately missing: indentation, escaping of non-ASCII, and errors (memory is the only limit).
 */
#include "common/json.h"

#include <math.h>
#include <string.h>

#include "common/json_plain.h"
#include "common/rfc3339.h"

void json_writer_init(struct json_writer *w, GString *out)
{
    *w = (struct json_writer){.out = out};
}

/* Before a value or a name: the comma, when something stands before it. Behind a name nothing is
 * due, since json_key_slice takes needs_comma back. */
static void begin_item(struct json_writer *w)
{
    if (w->needs_comma)
        g_string_append_c(w->out, ',');
    w->needs_comma = true;
}

/* The first item inside needs no comma. */
static void open_bracket(struct json_writer *w, char bracket)
{
    begin_item(w);
    g_string_append_c(w->out, bracket);
    w->needs_comma = false;
}

/* The bracket as a whole was an item of the one around it. */
static void close_bracket(struct json_writer *w, char bracket)
{
    g_string_append_c(w->out, bracket);
    w->needs_comma = true;
}

void json_open_object(struct json_writer *w)
{
    open_bracket(w, '{');
}

void json_close_object(struct json_writer *w)
{
    close_bracket(w, '}');
}

void json_open_array(struct json_writer *w)
{
    open_bracket(w, '[');
}

void json_close_array(struct json_writer *w)
{
    close_bracket(w, ']');
}

/* Writes the ASCII byte that may not stand in a string as it is: in its short form, or as \u00XX.
 */
static void append_escape(GString *out, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *found = c != '\0' ? strchr(from, c) : NULL;

    if (found == NULL) {
        g_string_append_printf(out, "\\u%04x", (unsigned)c);
        return;
    }
    g_string_append_c(out, '\\');
    g_string_append_c(out, to[found - from]);
}

/* A text in quotes. Only what must be escaped is (RFC 8259 section 7): the quote, the backslash and
 * the control characters. Bytes that are no UTF-8 are replaced, so that one odd id in a stored
 * message cannot make a whole answer unreadable. */
static void append_text(GString *out, struct slice text)
{
    const char *p = text.size > 0 ? text.data : "";
    const char *end = p + text.size;

    g_string_append_c(out, '"');
    while (p < end) {
        const char *special = json_scan_plain(p, end);
        size_t size;

        g_string_append_len(out, p, special - p);
        p = special;
        if (p == end)
            break;
        size = json_scan_utf8(p, end);
        if (size == 0)
            g_string_append(out, "\xEF\xBF\xBD"); /* U+FFFD for each byte that fits nowhere */
        else if (size == 1)
            append_escape(out, (unsigned char)*p);
        else
            g_string_append_len(out, p, (gssize)size);
        p += MAX(size, 1);
    }
    g_string_append_c(out, '"');
}

/* The value that follows is part of the same item: no comma between them. */
void json_key_slice(struct json_writer *w, struct slice key)
{
    begin_item(w);
    append_text(w->out, key);
    g_string_append_c(w->out, ':');
    w->needs_comma = false;
}

void json_key(struct json_writer *w, const char *key)
{
    json_key_slice(w, slice_text(key));
}

void json_add_text(struct json_writer *w, struct slice text)
{
    begin_item(w);
    append_text(w->out, text);
}

void json_add_integer(struct json_writer *w, int64_t value)
{
    begin_item(w);
    g_string_append_printf(w->out, "%" G_GINT64_FORMAT, (gint64)value);
}

/* JSON has no infinities and no NaN: null is what other writers send for them. */
void json_add_number(struct json_writer *w, double value)
{
    static const char *const formats[] = {"%.15g", "%.16g", "%.17g"};
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    if (!isfinite(value)) {
        json_add_null(w);
        return;
    }
    /* 17 digits always read back exactly, most numbers need fewer. */
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        double back;

        g_ascii_formatd(text, sizeof(text), formats[i], value);
        back = g_ascii_strtod(text, NULL);
        if (memcmp(&back, &value, sizeof(back)) == 0)
            break;
    }
    begin_item(w);
    g_string_append(w->out, text);
}

void json_add_bool(struct json_writer *w, bool value)
{
    begin_item(w);
    g_string_append(w->out, value ? "true" : "false");
}

void json_add_null(struct json_writer *w)
{
    begin_item(w);
    g_string_append(w->out, "null");
}

/* Trusts its caller: the bytes came from a checked document or from another writer. */
void json_add_raw(struct json_writer *w, struct slice json)
{
    begin_item(w);
    if (json.size > 0)
        g_string_append_len(w->out, json.data, (gssize)json.size);
}

/* A bracket of the tree with everything in it. */
static void add_children(struct json_writer *w, const struct json_value *value)
{
    bool is_object = value->type == JSON_OBJECT;

    open_bracket(w, is_object ? '{' : '[');
    for (const struct json_value *v = value->first; v != NULL; v = v->next) {
        if (is_object)
            json_key_slice(w, v->key);
        json_add_value(w, v);
    }
    close_bracket(w, is_object ? '}' : ']');
}

/* Recursion is bounded: trees are at most JSON_DEPTH_MAX deep. Numbers are written as they were
 * read, so nothing is rounded on the way through. */
void json_add_value(struct json_writer *w, const struct json_value *value)
{
    switch (value->type) {
    case JSON_NULL:
        json_add_null(w);
        break;
    case JSON_FALSE:
    case JSON_TRUE:
        json_add_bool(w, value->type == JSON_TRUE);
        break;
    case JSON_NUMBER:
        json_add_raw(w, value->text);
        break;
    case JSON_TEXT:
        json_add_text(w, value->text);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        add_children(w, value);
        break;
    }
}

void json_put_text(struct json_writer *w, const char *key, struct slice text)
{
    json_key(w, key);
    json_add_text(w, text);
}

/* A member that may be missing is written as null: readers of the API find every name in place. */
void json_put_string(struct json_writer *w, const char *key, const char *text)
{
    json_key(w, key);
    if (text != NULL)
        json_add_text(w, slice_text(text));
    else
        json_add_null(w);
}

void json_put_integer(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, key);
    json_add_integer(w, value);
}

void json_put_number(struct json_writer *w, const char *key, double value)
{
    json_key(w, key);
    json_add_number(w, value);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_add_bool(w, value);
}

/* 0 stands for "not yet" in all our structs; nothing of ours happened in 1970. */
void json_put_time(struct json_writer *w, const char *key, int64_t at_us)
{
    char text[RFC3339_SIZE];

    json_key(w, key);
    if (at_us == 0)
        json_add_null(w);
    else
        json_add_text(w, slice_of(text, rfc3339_format(at_us, text)));
}

void json_put_raw(struct json_writer *w, const char *key, struct slice json)
{
    json_key(w, key);
    if (json.size == 0)
        json_add_null(w);
    else
        json_add_raw(w, json);
}
