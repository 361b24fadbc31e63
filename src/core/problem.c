/* A list with a fixed number of places, so that a document of nothing but mistakes cannot make an
 * answer without end, and the escapes of JSON Pointers in URI fragments. */
#include "core/problem.h"

#include <stdarg.h>

/* The items need no clearing: count says which are filled. */
void problems_init(struct problems *p)
{
    *p = (struct problems){.count = 0};
}

/* Accepts NULL; p is empty and usable afterwards. */
void problems_done(struct problems *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->count; i++) {
        g_free(p->items[i].pointer);
        g_free(p->items[i].detail);
    }
    problems_init(p);
}

/* Past the limit nothing is formatted; only total grows, from which callers see that it failed. */
void problems_add(struct problems *p, const char *pointer, const char *format, ...)
{
    va_list args;

    p->total++;
    if (p->count == PROBLEMS_MAX)
        return;
    va_start(args, format);
    p->items[p->count].pointer = g_strdup(pointer);
    p->items[p->count].detail = g_strdup_vprintf(format, args);
    p->count++;
    va_end(args);
}

/* The bytes that may stand in a URI fragment as they are, '~' and '/' aside, which have a meaning
 * in pointers (RFC 3986 section 3.5). */
static bool is_fragment_byte(char c)
{
    return g_ascii_isalnum(c) || (c != '\0' && strchr("-._!$&'()*+,;=:@?", c) != NULL);
}

/* First RFC 6901 (section 3), then the fragment's own escapes (RFC 6901 section 6). Byte by byte:
 * UTF-8 is percent-encoded that way too. */
static void append_escaped(GString *out, char c)
{
    if (c == '~')
        g_string_append(out, "~0");
    else if (c == '/')
        g_string_append(out, "~1");
    else if (is_fragment_byte(c))
        g_string_append_c(out, c);
    else
        g_string_append_printf(out, "%%%02X", (unsigned char)c);
}

/* What follows the beginning of a name that was cut. */
static struct slice cut_mark(struct slice whole, struct slice shown)
{
    return shown.size < whole.size ? SLICE("…") : SLICE("");
}

/* A document may consist of one name, and be refused for each of its parts: the answer would be
 * many times as large. */
char *problem_show(struct slice name)
{
    struct slice shown = slice_cut(name, PROBLEM_NAME_MAX);

    return g_strdup_printf("%.*s%s", SLICE_ARG(shown), cut_mark(name, shown).data);
}

char *problem_pointer(const char *parent, struct slice key)
{
    struct slice shown = slice_cut(key, PROBLEM_NAME_MAX);
    struct slice mark = cut_mark(key, shown);
    GString *out = g_string_new(parent);

    g_string_append_c(out, '/');
    for (size_t i = 0; i < shown.size; i++)
        append_escaped(out, shown.data[i]);
    for (size_t i = 0; i < mark.size; i++)
        append_escaped(out, mark.data[i]);
    return g_string_free(out, FALSE);
}

char *problem_pointer_index(const char *parent, size_t index)
{
    return g_strdup_printf("%s/%" G_GSIZE_FORMAT, parent, index);
}

/* For places that have one line only, such as the error of a dead letter. */
char *problems_text(const struct problems *p)
{
    GString *out = g_string_new(NULL);

    for (size_t i = 0; i < p->count; i++)
        g_string_append_printf(out, "%s%s: %s", i == 0 ? "" : "; ", p->items[i].pointer,
                               p->items[i].detail);
    if (p->total > p->count)
        g_string_append_printf(out, "; and %" G_GSIZE_FORMAT " more", p->total - p->count);
    return g_string_free(out, FALSE);
}
