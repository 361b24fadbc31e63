/* eventflow-match: which of many patterns match a JSON object, in the time of a few.
 *
 *   id + pattern ──ef_match_compiler_add──▶ compiler ──ef_match_compile──▶ set (immutable)
 *                                                                           │ one, for all threads
 *   event (bytes) ──ef_match_find────▶ reader (one a thread) ◀──────────────┘
 *                                        └──▶ the ids of the patterns that match, in order
 *
 * What it is for: programs that have the matcher of EventFlow inside, without its server. The
 * language of patterns is that of docs/patterns.md and eventflow-match(3).
 * What it guarantees: what it says of one pattern never depends on the others, nor on their order.
 * Nothing that stands in a pattern or an event ends the process. No global state, no threads,
 * files, signals or output of its own. What it does not do: survive a lack of memory, which aborts
 * (the rule of GLib, on which it is built); sizes have limits (struct ef_match_options). Pointers
 * that must not be NULL are not checked.
 *
 * Plain C11 and C++11, and no other header of EventFlow or GLib. The ABI of version 0 (.so.0) only
 * grows.
 */
#ifndef EVENTFLOW_MATCH_H
#define EVENTFLOW_MATCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EF_MATCH_VERSION_MAJOR 0
#define EF_MATCH_VERSION_MINOR 1
#define EF_MATCH_VERSION_MICRO 0
#define EF_MATCH_VERSION       "0.1.0" /* of this header */

#if defined(__GNUC__)
#define EF_MATCH_API __attribute__((visibility("default")))
#else
#define EF_MATCH_API
#endif

/* The version of the library that runs, "0.1.0". A constant. */
EF_MATCH_API const char *ef_match_version(void);

/* ---- what is passed in and out --------------------------------------------------------------- */

/* Bytes with their number; needs no NUL at the end, may have some inside. data may be NULL when
 * size is 0. Borrowed for the call when it is an argument. */
struct ef_match_bytes {
    const char *data;
    size_t size; /* bytes */
};

/* What a function that can fail returns; further ones may be added. */
enum ef_match_code {
    EF_MATCH_OK = 0,
    EF_MATCH_BAD_PATTERN =
        1,                  /* the text tells all mistakes, each with a JSON Pointer to its place */
    EF_MATCH_BAD_EVENT = 2, /* no JSON object, or not only one; the text has line and column */
    EF_MATCH_BAD_OPTIONS = 3, /* a limit is out of its range, or this library is too old for it */
    EF_MATCH_FULL = 4         /* it would take more memory, or more patterns, than it may */
};

#define EF_MATCH_ERROR_BYTES 2000

/* The caller's storage, nothing to be freed; written only by a call that fails. Wherever one is
 * asked for, NULL will do. */
struct ef_match_error {
    enum ef_match_code code;
    char text[EF_MATCH_ERROR_BYTES]; /* for people: UTF-8, ends with NUL; cut with "…" at its end */
};

/* Limits. Of all of them but memory_max 0 means the default. Begin with EF_MATCH_OPTIONS_INIT: size
 * tells the library which members the caller knows, so that later versions can have more. */
struct ef_match_options {
    size_t size;                     /* sizeof(struct ef_match_options) */
    size_t pattern_text_max;         /* text of one pattern: 65,536, at most 262,144 */
    size_t pattern_values_max;       /* values in one: 500, at most 2,000 */
    size_t pattern_depth_max;        /* objects in each other: 32, at most 60 */
    size_t pattern_conjunctions_max; /* combinations of $or branches: 1,000, at most 2,000 */
    size_t pattern_stars_max;        /* '*' in one wildcard: 16, at most 64 */
    size_t event_text_max;           /* text of one event: 1 MiB, at most 2,147,483,647 */
    size_t memory_max;               /* bytes that a finished set may take; 0: no limit */
};

#define EF_MATCH_OPTIONS_INIT                                                                      \
    {                                                                                              \
        sizeof(struct ef_match_options), 0, 0, 0, 0, 0, 0, 0                                       \
    }

/* ---- putting a set together ------------------------------------------------------------------ */

/* Patterns on their way into a set. Threads: one at a time. */
struct ef_match_compiler;

/* Patterns, ready to be looked for. Immutable: any number of threads, without a lock. Lives as long
 * as anyone holds a reference; a reader holds one. */
struct ef_match_set;

/* An empty compiler. options: NULL for the defaults. The limits hold for all sets that it makes.
 * Errors: NULL and EF_MATCH_BAD_OPTIONS. */
EF_MATCH_API struct ef_match_compiler *ef_match_compiler_new(const struct ef_match_options *options,
                                                             struct ef_match_error *error);

EF_MATCH_API void ef_match_compiler_free(struct ef_match_compiler *c); /* accepts NULL */

/* Adds a pattern; both are copied. Its place is the number of patterns added before it. The id is
 * the caller's: any bytes, looked at by nobody; two patterns may have the same. Errors:
 * EF_MATCH_BAD_PATTERN, EF_MATCH_FULL; the compiler is as before, and others can be added. */
EF_MATCH_API enum ef_match_code ef_match_compiler_add(struct ef_match_compiler *c,
                                                      struct ef_match_bytes id,
                                                      struct ef_match_bytes pattern,
                                                      struct ef_match_error *error);

/* Shows an event as they come; what is rare in such a sample makes a good way into the set. Never
 * changes an answer, only its time. A few hundred do; those beyond 1,000 or 16 MiB in all, and
 * those that cannot be read, are left out. Copied. */
EF_MATCH_API void ef_match_compiler_sample(struct ef_match_compiler *c,
                                           struct ef_match_bytes event);

/* Makes what was added a set; none at all is allowed, and matches nothing. The compiler is empty
 * afterwards, in any case, and can be filled for another set.
 * Owns: the reference is the caller's, for ef_match_set_unref.
 * Errors: NULL and EF_MATCH_FULL: memory_max would be passed. */
EF_MATCH_API struct ef_match_set *ef_match_compile(struct ef_match_compiler *c,
                                                   struct ef_match_error *error);

/* Another reference, returned for convenience; and one less. Threads: any. unref accepts NULL. */
EF_MATCH_API struct ef_match_set *ef_match_set_ref(struct ef_match_set *set);
EF_MATCH_API void ef_match_set_unref(struct ef_match_set *set);

/* How many patterns it has. */
EF_MATCH_API size_t ef_match_set_count(const struct ef_match_set *set);

/* The id at that place, which must be below ef_match_set_count. Lives as long as the set. A NUL
 * stands behind it, not counted in its size. */
EF_MATCH_API struct ef_match_bytes ef_match_set_id(const struct ef_match_set *set, size_t place);

/* Units: bytes of memory that it takes, about. */
EF_MATCH_API size_t ef_match_set_memory(const struct ef_match_set *set);

/* ---- looking for matches --------------------------------------------------------------------- */

/* What one thread needs: memory that is used again from event to event. Threads: one at a time. */
struct ef_match_reader;

/* A reader of the set, of which it holds a reference. Never NULL. */
EF_MATCH_API struct ef_match_reader *ef_match_reader_new(struct ef_match_set *set);
EF_MATCH_API void ef_match_reader_free(struct ef_match_reader *r); /* accepts NULL */

/* The reader goes on with another set and keeps its memory: for sets that are replaced while events
 * come in. The reference to the old one is given back; what was found in it is gone. */
EF_MATCH_API void ef_match_reader_use(struct ef_match_reader *r, struct ef_match_set *set);

/* The ids of all patterns that match the event, in the order in which they were added. The event is
 * one JSON object (RFC 8259, strictly; UTF-8) with nothing but white space around it; a name that
 * stands twice in it counts twice.
 * Owns: *ids is borrowed from the reader until it is used again; each id lives as long as the set.
 * Errors: EF_MATCH_BAD_EVENT; *ids and *count are left alone, the reader can be used on. */
EF_MATCH_API enum ef_match_code ef_match_find(struct ef_match_reader *r,
                                              struct ef_match_bytes event,
                                              const struct ef_match_bytes **ids, size_t *count,
                                              struct ef_match_error *error);

/* The same with places instead of ids: 0 is what was added first. A little faster. */
EF_MATCH_API enum ef_match_code ef_match_find_places(struct ef_match_reader *r,
                                                     struct ef_match_bytes event,
                                                     const uint32_t **places, size_t *count,
                                                     struct ef_match_error *error);

/* Places again, for events that your own program wrote: what no pattern names is skipped, and
 * reading stops when all that could be asked for was seen, so of a large event little may be read.
 * The event is known to be one valid JSON object, UTF-8, at most 64 brackets deep, in which no
 * object names a member twice; a dotted name is the nested path it stands for, so
 * {"a":{"b":1},"a.c":2} names a twice. For any other bytes the answer may be anything, without
 * harm. Errors: EF_MATCH_BAD_EVENT: it is larger than event_text_max. */
EF_MATCH_API enum ef_match_code ef_match_find_trusted(struct ef_match_reader *r,
                                                      struct ef_match_bytes event,
                                                      const uint32_t **places, size_t *count,
                                                      struct ef_match_error *error);

#ifdef __cplusplus
}
#endif

#endif
