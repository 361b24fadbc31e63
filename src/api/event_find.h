/* event_find: one stored event wherever it is, for handlers that need its bytes and its end.
 *
 *   queue ▸ retry table ▸ processed events ▸ failures     (an event only moves to the right)
 *
 * What it does not do: list matches or failures (handle_events.c).
 */
#ifndef API_EVENT_FIND_H
#define API_EVENT_FIND_H

#include <stdbool.h>
#include <stdint.h>

#include "api/api.h"
#include "common/arena.h"
#include "common/slice.h"

/* What is known of it. Slices live in the arena. */
struct found_event {
    struct slice event_id; /* set by the caller, as has_source and source when one was given */
    struct slice source;
    bool has_source;
    struct arena *arena;    /* set by the caller */
    const char *state;      /* "queued", "processed", "failed", "replayed"; NULL: there is none */
    int64_t seq;            /* of its message */
    int64_t received_at_us; /* wall clock */
    int64_t ended_at_us;    /* processed, or the last failure; 0 while it waits */
    int64_t match_count;    /* processed: how many campaigns matched */
    struct slice body;      /* as it came */
    bool has_body;          /* false: no longer kept */
    struct slice reason;    /* failed: why */
    struct slice error;     /* failed: the text */
};

/* Looks where GET /events/{id} looks, in the same order. Several events of different sources may
 * have the id: without a source the youngest is taken. Blocks. false: something could not be
 * read. */
bool event_find(struct api *api, struct found_event *event, GError **error);

#endif
