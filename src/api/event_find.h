/* event_find: one stored event wherever it is: its state, its bytes and its end.
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
#include "api/request.h"
#include "common/arena.h"
#include "common/slice.h"

/* What is known of it. Slices live in the arena. */
struct found_event {
    struct slice event_id; /* set by the caller, as has_source and source when one was given */
    struct slice source;
    bool has_source;           /* given, or known from the event's end */
    struct slice shown_source; /* of the event that was found, also of one that waits */
    struct arena *arena;       /* set by the caller */
    const char *state;      /* "queued", "processed", "failed", "replayed"; NULL: there is none */
    int64_t seq;            /* of its message */
    int64_t received_at_us; /* wall clock */
    int64_t ended_at_us;    /* processed, or the last failure; 0 while it waits */
    struct slice body;      /* as it came */
    bool has_body;          /* false: no longer kept */
    struct slice correlation;
    bool is_processed;
    struct store_row row; /* processed: what was recorded; of its slices only worker_id lives on */
    struct slice reason;  /* failed: why */
    struct slice error;   /* failed: the text */
};

/* Looks through the places above from left to right. Several events of different sources may have
 * the id: without a source the newest that was processed is taken, else the oldest that waits, else
 * the newest that failed. Blocks. false: something could not be read. */
bool event_find(struct api *api, struct found_event *event, GError **error);

/* The event that the request names: the id in its path, the source in its query. false: 404 or
 * another problem has been answered. */
bool event_find_asked(struct api *api, struct request *req, struct response *res,
                      struct found_event *event);

#endif
