/* event_sample: some of the latest events, by which a new index of campaigns is judged.
 *
 *   worker ──put──▶ the last EVENT_SAMPLE_MAX that were put ──get──▶ whoever builds an index
 *
 * What it guarantees: bounded memory (EVENT_SAMPLE_MAX times EVENT_SAMPLE_BYTES), and that nobody
 * waits for a copy that another one makes. What it does not do: choose; the caller puts one of
 * many. Threads: any.
 */
#ifndef WORKER_EVENT_SAMPLE_H
#define WORKER_EVENT_SAMPLE_H

#include <stddef.h>

#include <glib.h>

#include "common/slice.h"

#define EVENT_SAMPLE_MAX   256
#define EVENT_SAMPLE_BYTES 4096 /* larger events are left out */

struct event_sample;

struct event_sample *event_sample_new(void);
void event_sample_free(struct event_sample *s); /* accepts NULL */

/* Takes a copy; the oldest one goes. */
void event_sample_put(struct event_sample *s, struct slice body);

size_t event_sample_count(struct event_sample *s);

/* What is there: GBytes, owned by caller. */
GPtrArray *event_sample_get(struct event_sample *s);

#endif
