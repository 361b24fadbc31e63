/* The envelope's fields are one table (EVENT_FIELDS); another field is another row. Texts are not
 * copied: the event borrows from the parsed text, and is written only when nothing was wrong. */
#include "core/event.h"

#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "common/rfc3339.h"
#include "core/unknown_field.h"

/* How an event is checked: one pass over the members that the flattener has found. Each is looked
 * up in the table of fields, its type compared, and its reader called; a bit per field tells which
 * ones came, for repetitions and for required ones that did not. All problems are collected, so a
 * sender corrects an event once. A good event costs no allocation: pointers and texts are made for
 * problems only. */

/* What the checks of one event share. */
struct event_decoder {
    struct event *out;   /* filled field by field; a copy, not the caller's */
    int64_t arrived_us;  /* microseconds UTC since 1970 */
    const char *pointer; /* of the event */
    struct problems *problems;
};

struct event_field;

/* Reads a member of the right type into the event, or adds a problem. */
typedef void event_field_read(const struct event_decoder *d, const struct event_field *field,
                              const struct flat_member *member);

/* One row of the table of fields. */
struct event_field {
    struct slice name;
    enum json_type type; /* the only one accepted; null is no way to leave a field out */
    bool is_required;    /* the others may be left out */
    size_t offset;       /* of the slice in struct event */
    size_t size_min;     /* bytes */
    size_t size_max;
    event_field_read *read;
};

/* Adds a problem at the field of the event. The pointer is only made here, on the way that no good
 * event takes. */
static void event_problem(const struct event_decoder *d, const struct event_field *field,
                          const char *detail)
{
    g_autofree char *pointer = problem_pointer(d->pointer, field->name);

    problems_add(d->problems, pointer, "%s", detail);
}

/* Visible ASCII without the space is what any header, log line and shell takes unquoted. */
bool event_correlation_is_valid(struct slice correlation)
{
    if (correlation.size == 0 || correlation.size > EVENT_CORRELATION_MAX)
        return false;
    for (size_t i = 0; i < correlation.size; i++)
        if (!g_ascii_isgraph(correlation.data[i]))
            return false;
    return true;
}

/* Reads a text of limited size into the member at field->offset. Ids and names end in text columns
 * and shell tools, which a NUL would cut short. */
static void event_read_text(const struct event_decoder *d, const struct event_field *field,
                            const struct flat_member *member)
{
    struct slice text = member->text;
    g_autofree char *detail = NULL;

    if (text.size < field->size_min || text.size > field->size_max)
        detail = g_strdup_printf("must have %zu to %zu bytes, not %zu", field->size_min,
                                 field->size_max, text.size);
    else if (text.size > 0 && memchr(text.data, '\0', text.size) != NULL)
        detail = g_strdup("must not contain the character U+0000");
    if (detail != NULL)
        event_problem(d, field, detail);
    else
        G_STRUCT_MEMBER(struct slice, d->out, field->offset) = text;
}

/* Correlation ids travel in HTTP headers and log lines, so they are narrower than other ids. */
static void event_read_correlation(const struct event_decoder *d, const struct event_field *field,
                                   const struct flat_member *member)
{
    if (event_correlation_is_valid(member->text))
        d->out->correlation_id = member->text;
    else
        event_problem(d, field,
                      "must have 1 to 128 visible ASCII characters (no space); correct it or leave "
                      "the field out");
}

/* An event may be old (it was kept back, or is replayed), but a time far ahead is a wrong clock,
 * and would open every time window before its time. */
static void event_read_timestamp(const struct event_decoder *d, const struct event_field *field,
                                 const struct flat_member *member)
{
    int64_t at_us;

    if (!rfc3339_parse(member->text, &at_us)) {
        event_problem(d, field,
                      "must be an RFC 3339 date and time with an offset, such as "
                      "\"2026-11-21T10:00:00.123Z\"");
    } else if (at_us > d->arrived_us + EVENT_FUTURE_MAX_US) {
        event_problem(d, field,
                      "lies more than 24 hours in the future; check the sender's clock and offset");
    } else {
        d->out->at_us = at_us;
        d->out->has_timestamp = true;
    }
}

/* The payload's shape is the sender's business: any object. Its text is kept as it came. */
static void event_read_payload(const struct event_decoder *d, const struct event_field *field,
                               const struct flat_member *member)
{
    (void)field;
    d->out->payload = member->source;
}

/* The name is a literal, so that it is also NUL-terminated. */
#define EVENT_NAME(literal)                                                                        \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* Source: docs/message_schema.md. The size limits of text fields are also the columns' and the
 * queue's. */
static const struct event_field EVENT_FIELDS[] = {
    {.name = EVENT_NAME("event_id"),
     .type = JSON_TEXT,
     .is_required = true,
     .offset = offsetof(struct event, event_id),
     .size_min = 1,
     .size_max = EVENT_ID_MAX,
     .read = event_read_text},
    {.name = EVENT_NAME("event_type"),
     .type = JSON_TEXT,
     .is_required = true,
     .offset = offsetof(struct event, event_type),
     .size_min = 1,
     .size_max = EVENT_TYPE_MAX,
     .read = event_read_text},
    {.name = EVENT_NAME("customer_id"),
     .type = JSON_TEXT,
     .offset = offsetof(struct event, customer_id),
     .size_min = 1,
     .size_max = EVENT_CUSTOMER_MAX,
     .read = event_read_text},
    {.name = EVENT_NAME("timestamp"), .type = JSON_TEXT, .read = event_read_timestamp},
    {.name = EVENT_NAME("source"),
     .type = JSON_TEXT,
     .offset = offsetof(struct event, source),
     .size_max = EVENT_SOURCE_MAX,
     .read = event_read_text},
    {.name = EVENT_NAME("payload"), .type = JSON_OBJECT, .read = event_read_payload},
    {.name = EVENT_NAME("correlation_id"), .type = JSON_TEXT, .read = event_read_correlation},
};

#define EVENT_FIELD_COUNT G_N_ELEMENTS(EVENT_FIELDS)

/* An unknown name is a problem, not something to skip: a mistyped "customer_id" would otherwise
 * make an event of nobody. */
static void event_add_unknown(const struct event_decoder *d, struct slice key)
{
    const char *names[EVENT_FIELD_COUNT];

    for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
        names[i] = EVENT_FIELDS[i].name.data;
    unknown_field_add(d->problems, d->pointer, key, names, EVENT_FIELD_COUNT);
}

/* The field's place in the table, EVENT_FIELD_COUNT when there is none. Seven names: a search
 * through them is quicker than hashing. */
static size_t event_find_field(struct slice key)
{
    size_t i = 0;

    while (i < EVENT_FIELD_COUNT && !slice_equal(key, EVENT_FIELDS[i].name))
        i++;
    return i;
}

/* null is what serialisers write for "nothing", so the way out is named. */
static void event_add_wrong_type(const struct event_decoder *d, const struct event_field *field,
                                 enum json_type type)
{
    bool may_go = type == JSON_NULL && !field->is_required;
    g_autofree char *detail =
        g_strdup_printf("must be %s, not %s%s", json_type_name(field->type), json_type_name(type),
                        may_go ? "; leave the field out when there is no value" : "");

    event_problem(d, field, detail);
}

/* Reads one member; *seen has a bit for every field that came before. A field given twice is
 * refused rather than decided: readers of JSON differ on which one counts. */
static void event_decode_member(const struct event_decoder *d, const struct flat_member *member,
                                unsigned *seen)
{
    size_t i = event_find_field(member->key);
    const struct event_field *field = &EVENT_FIELDS[i];

    if (i == EVENT_FIELD_COUNT) {
        event_add_unknown(d, member->key);
        return;
    }
    if (*seen & (1u << i))
        event_problem(d, field, "stands here more than once; keep one");
    else if (member->type != field->type)
        event_add_wrong_type(d, field, member->type);
    else
        field->read(d, field, member);
    *seen |= 1u << i;
}

/* A problem for each required field without a bit in seen. */
static void event_add_missing(const struct event_decoder *d, unsigned seen)
{
    for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
        if (EVENT_FIELDS[i].is_required && !(seen & (1u << i)))
            event_problem(d, &EVENT_FIELDS[i], "is required");
}

/* White space as JSON defines it (RFC 8259 section 2). */
static bool event_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The digest is of what is left, so the same event means the same alone in a body, in an array or
 * on a line. */
struct slice event_trim(struct slice text)
{
    while (text.size > 0 && event_is_space(text.data[0]))
        text = slice_of(text.data + 1, text.size - 1);
    while (text.size > 0 && event_is_space(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* Payload and time have defaults; everything else that is not given stays empty. */
bool event_decode(const struct flat *flat, struct slice body, int64_t arrived_us,
                  const char *pointer, struct event *out, struct problems *problems)
{
    struct event event = {.at_us = arrived_us, .payload = SLICE("{}"), .body = event_trim(body)};
    struct event_decoder d = {&event, arrived_us, pointer, problems};
    size_t before = problems->total;
    unsigned seen = 0;

    if (flat->type != JSON_OBJECT) {
        problems_add(problems, pointer, "must be an object, not %s", json_type_name(flat->type));
        return false;
    }
    for (size_t i = 0; i < flat->member_count; i++)
        event_decode_member(&d, &flat->members[i], &seen);
    event_add_missing(&d, seen);
    if (problems->total != before)
        return false;
    event.digest = hash128(event.body); /* of the bytes: another spelling is another body */
    *out = event;
    return true;
}

/* Compared as numbers: the texts may belong to different objects. */
static bool stands_in(struct slice whole, struct slice part)
{
    uintptr_t start = (uintptr_t)whole.data;
    uintptr_t at = (uintptr_t)part.data;

    return at >= start && at - start <= whole.size;
}

/* Only texts with escapes live elsewhere, so the usual event copies nothing. */
void event_keep(struct event *e, struct arena *a)
{
    struct slice *texts[] = {&e->event_id, &e->event_type, &e->customer_id, &e->source,
                             &e->correlation_id};

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        if (texts[i]->size > 0 && !stands_in(e->body, *texts[i]))
            *texts[i] = arena_copy(a, *texts[i]);
}

/* Ids are unique within their source only. 64 bits: whoever acts on an equal fingerprint compares
 * the ids themselves. */
uint64_t event_fingerprint(struct slice source, struct slice event_id)
{
    return hash64_pair(source, event_id);
}

/* The digest of source, NUL, id: neither contains a NUL, so no two pairs give the same bytes. The
 * limits of both fields give the buffer its size; a decoded event cannot pass them. */
static struct hash_digest event_pair_digest(const struct event *e)
{
    char pair[EVENT_SOURCE_MAX + 1 + EVENT_ID_MAX];
    size_t size = e->source.size;

    g_assert(e->source.size <= EVENT_SOURCE_MAX && e->event_id.size <= EVENT_ID_MAX);
    if (size > 0)
        memcpy(pair, e->source.data, size);
    pair[size++] = '\0';
    if (e->event_id.size > 0)
        memcpy(pair + size, e->event_id.data, e->event_id.size);
    return hash128(slice_of(pair, size + e->event_id.size));
}

/* The digest gives 32 hexadecimal digits, the length of a trace id. */
void event_correlation(const struct event *e, struct slice trace_id,
                       char out[EVENT_CORRELATION_BUFFER])
{
    static const char DIGITS[] = "0123456789abcdef";
    struct hash_digest digest;

    if (trace_id.size > 0) {
        g_assert(trace_id.size <= EVENT_CORRELATION_MAX);
        memcpy(out, trace_id.data, trace_id.size);
        out[trace_id.size] = '\0';
        return;
    }
    digest = event_pair_digest(e);
    for (size_t i = 0; i < HASH_DIGEST_SIZE; i++) {
        out[2 * i] = DIGITS[digest.bytes[i] >> 4];
        out[2 * i + 1] = DIGITS[digest.bytes[i] & 15];
    }
    out[sizeof(digest.bytes) * 2] = '\0';
}
