#include "judge_document.h"

#include <glib.h>

#define MARK_SIZE 9  /* "k" and eight digits */
#define DEPTH_MAX 64 /* open brackets */

/* The text while it is marked. */
struct marking {
    const char *p;
    const char *end;
    GString *out;
    unsigned names;
    int depth;
    bool is_bad; /* certainly no JSON, or too deep */
};

static bool is_number_byte(char c)
{
    return c != '\0' && strchr("0123456789+-.eE", c) != NULL;
}

/* A name has a colon behind it; where that stands elsewhere, it is no JSON. */
static bool is_name(const char *behind, const char *end)
{
    while (behind < end && *behind != '\0' && strchr(" \t\r\n", *behind) != NULL)
        behind++;
    return behind < end && *behind == ':';
}

static void mark_number(struct marking *m)
{
    const char *start = m->p;
    g_autofree char *number = NULL;

    while (m->p < m->end && is_number_byte(*m->p))
        m->p++;
    number = g_strndup(start, (gsize)(m->p - start));
    /* RFC 8259 section 6. */
    if (!g_regex_match_simple("^-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?\\z", number, 0, 0))
        m->is_bad = true;
    m->is_bad |= is_name(m->p, m->end); /* as the string that it becomes, it could be one */
    g_string_append_printf(m->out, "\"n%s\"", number);
}

static void mark_string(struct marking *m)
{
    const char *start = ++m->p;

    while (m->p < m->end && *m->p != '"')
        m->p += *m->p == '\\' && m->p + 1 < m->end ? 2 : 1;
    if (m->p >= m->end) {
        m->is_bad = true;
        return;
    }
    if (is_name(m->p + 1, m->end))
        g_string_append_printf(m->out, "\"k%08u", m->names++);
    else
        g_string_append(m->out, "\"s");
    g_string_append_len(m->out, start, m->p + 1 - start);
    m->p++;
}

static void mark_other(struct marking *m)
{
    char c = *m->p++;

    m->depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    m->is_bad |= c == '\0' || m->depth > DEPTH_MAX;
    g_string_append_c(m->out, c);
}

static void mark(struct marking *m)
{
    while (m->p < m->end && !m->is_bad) {
        if (*m->p == '"')
            mark_string(m);
        else if (*m->p == '-' || g_ascii_isdigit(*m->p))
            mark_number(m);
        else
            mark_other(m);
    }
}

json_t *judge_document(struct slice text, bool *gives_up)
{
    struct marking m = {.p = text.data, .end = text.data + text.size, .out = g_string_new(NULL)};
    json_t *document = NULL;
    json_error_t error;

    *gives_up = false;
    mark(&m);
    if (!m.is_bad) {
        document = json_loadb(m.out->str, m.out->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        /* Its names are C strings. */
        *gives_up = document == NULL && json_error_code(&error) == json_error_null_byte_in_key;
    }
    g_string_free(m.out, TRUE);
    return document;
}

const char *judge_name(const char *marked_key)
{
    return marked_key + MARK_SIZE;
}

static bool is_marked(const json_t *value, char letter)
{
    return json_is_string(value) && json_string_value(value)[0] == letter;
}

bool judge_is_text(const json_t *value)
{
    return is_marked(value, 's');
}

bool judge_is_number(const json_t *value)
{
    return is_marked(value, 'n');
}

struct slice judge_text(const json_t *value)
{
    return slice_of(json_string_value(value) + 1, json_string_length(value) - 1);
}
