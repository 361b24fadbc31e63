/* event: the envelope of an event: which fields it has, what they mean, what is refused.
 *
 * Field rules: docs/message_schema.md. Pure: the arrival time is an argument.
 */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/hash.h"
#include "common/slice.h"
#include "core/flat.h"
#include "core/problem.h"

/* Limits of the wire format (docs/message_schema.md); longer values are refused, never cut. */
#define EVENT_ID_MAX             128 /* bytes, 1.. */
#define EVENT_TYPE_MAX           128 /* bytes, 1.. */
#define EVENT_CUSTOMER_MAX       256 /* bytes, 1.. when given */
#define EVENT_SOURCE_MAX         256 /* bytes, 0.. */
#define EVENT_CORRELATION_MAX    128 /* bytes, 1.. when given; visible ASCII */
#define EVENT_FUTURE_MAX_US      (INT64_C(24) * 3600 * 1000000)
#define EVENT_CORRELATION_BUFFER (EVENT_CORRELATION_MAX + 1)

/* The decoded envelope. Slices are borrowed from the flat and its text. */
struct event {
    struct slice event_id;
    struct slice event_type;
    struct slice customer_id;    /* empty: none */
    struct slice source;         /* empty: "" */
    struct slice correlation_id; /* empty: none given in the body */
    int64_t at_us;               /* timestamp, or the arrival time when none is given */
    bool has_timestamp;          /* false: at_us is the arrival */
    struct slice payload;        /* source text of the object; "{}" when absent */
    struct slice body;           /* the event's exact bytes, white space around it trimmed */
    struct hash_digest digest;   /* hash128(body): tells "same body" from "another body" */
};

/* Decodes and checks the envelope of the parsed document. body = the bytes that were parsed into
 * flat. Problems are collected with pointers (below pointer, "#" for a single event); true when
 * there is none. Unknown and repeated top-level fields are problems. */
bool event_decode(const struct flat *flat, struct slice body, int64_t arrived_us,
                  const char *pointer, struct event *out, struct problems *problems);

/* Makes the event independent of its flat: texts that do not stand in body are copied into the
 * arena. What remains borrowed is body itself. */
void event_keep(struct event *e, struct arena *a);

/* The bytes without JSON white space at both ends. */
struct slice event_trim(struct slice text);

/* Whether the text may be a correlation id: 1 to EVENT_CORRELATION_MAX visible ASCII bytes. */
bool event_correlation_is_valid(struct slice correlation);

/* The fingerprint of (source, event_id), what makes two events duplicates. */
uint64_t event_fingerprint(struct slice source, struct slice event_id);

/* The correlation id of an event that brings none: the trace id when there is one, else made from
 * (source, event_id), so that a resend gets the same. NUL-terminated. */
void event_correlation(const struct event *e, struct slice trace_id,
                       char out[EVENT_CORRELATION_BUFFER]);

#endif
