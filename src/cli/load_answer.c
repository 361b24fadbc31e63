/* The head of an answer, line by line.
 *
 * Every answer of a run passes here, so nothing is copied and a line is looked at only when its
 * first letter and length fit one of the four names.
 */
#include "cli/load_answer.h"

#include <string.h>

#include <glib.h>

#include "common/slice.h"

#define STATUS_LINE_MIN 12 /* "HTTP/1.1 200" */

/* Digits only, up to 15 of them: more is no size of this world. */
static bool answer_number(struct slice text, uint64_t *value)
{
    *value = 0;
    if (text.size == 0 || text.size > 15)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!g_ascii_isdigit(text.data[i]))
            return false;
        *value = *value * 10 + (uint64_t)(text.data[i] - '0');
    }
    return true;
}

/* Twice the same name: the last one counts, as no server sends that. */
static bool answer_take_length(struct load_answer *answer, struct slice value)
{
    return answer_number(value, &answer->body_size);
}

/* A date (also valid) is taken for none: the caller's own pause applies. */
static bool answer_take_retry(struct load_answer *answer, struct slice value)
{
    uint64_t seconds;

    if (answer_number(value, &seconds) && seconds <= 86400)
        answer->retry_after_ms = (int64_t)seconds * 1000;
    return true;
}

/* Lists such as "close, upgrade" are not looked into: no server sends them here. */
static bool answer_take_connection(struct load_answer *answer, struct slice value)
{
    if (value.size == 5 && g_ascii_strncasecmp(value.data, "close", 5) == 0)
        answer->is_last = true;
    return true;
}

/* The end of such a body cannot be found here. */
static bool answer_take_encoding(struct load_answer *answer, struct slice value)
{
    (void)answer;
    (void)value;
    return false;
}

static const struct {
    const char *name;
    size_t size;
    bool (*take)(struct load_answer *answer, struct slice value);
} ANSWER_FIELDS[] = {
    {"content-length", 14, answer_take_length},
    {"retry-after", 11, answer_take_retry},
    {"connection", 10, answer_take_connection},
    {"transfer-encoding", 17, answer_take_encoding},
};

/* One header line without its end. false: the answer cannot be followed. */
static bool answer_take_line(struct load_answer *answer, struct slice line)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ANSWER_FIELDS); i++) {
        size_t size = ANSWER_FIELDS[i].size;
        struct slice value;

        if (line.size <= size || line.data[size] != ':' ||
            g_ascii_strncasecmp(line.data, ANSWER_FIELDS[i].name, size) != 0)
            continue;
        value = slice_of(line.data + size + 1, line.size - size - 1);
        while (value.size > 0 && (value.data[0] == ' ' || value.data[0] == '\t'))
            value = slice_of(value.data + 1, value.size - 1);
        while (value.size > 0 && g_ascii_isspace(value.data[value.size - 1]))
            value.size--;
        return ANSWER_FIELDS[i].take(answer, value);
    }
    return true;
}

/* "HTTP/1.1 202 Accepted". HTTP/1.0 closes unless it says otherwise, which nobody does. */
static bool answer_take_status(struct load_answer *answer, struct slice line)
{
    uint64_t status;

    if (line.size < STATUS_LINE_MIN || memcmp(line.data, "HTTP/1.", 7) != 0 ||
        line.data[8] != ' ' || !answer_number(slice_of(line.data + 9, 3), &status))
        return false;
    answer->status = (int)status;
    answer->is_last = line.data[7] == '0';
    return status >= 200 && status <= 599; /* nobody asked for a 100 */
}

/* One pass over the head to find its end, one over the lines. */
enum load_answer_result load_answer_read(const char *data, size_t size, struct load_answer *answer,
                                         size_t *head_size)
{
    const char *end = memmem(data, MIN(size, LOAD_ANSWER_HEAD_MAX), "\r\n\r\n", 4);
    const char *line = data;

    if (end == NULL)
        return size >= LOAD_ANSWER_HEAD_MAX ? LOAD_ANSWER_BAD : LOAD_ANSWER_INCOMPLETE;
    *answer = (struct load_answer){.retry_after_ms = -1};
    while (line < end) {
        const char *line_end = memchr(line, '\r', (size_t)(end + 1 - line));
        struct slice text = slice_of(line, (size_t)(line_end - line));

        if (line == data ? !answer_take_status(answer, text) : !answer_take_line(answer, text))
            return LOAD_ANSWER_BAD;
        line = line_end + 2;
    }
    if (answer->status == 204 || answer->status == 304)
        answer->body_size = 0; /* RFC 9110 section 6.4.1: never a body */
    *head_size = (size_t)(end + 4 - data);
    return answer->status != 0 ? LOAD_ANSWER_READY : LOAD_ANSWER_BAD;
}
