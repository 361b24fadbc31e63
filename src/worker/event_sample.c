/* A ring of references. Copies are made and freed outside the lock, so that it is held for an
 * instant whatever the events' size. */
#include "worker/event_sample.h"

/* Everything under lock. */
struct event_sample {
    GMutex lock;
    GBytes *events[EVENT_SAMPLE_MAX]; /* owned references; NULL: not yet */
    size_t next;                      /* the place that is filled next */
};

struct event_sample *event_sample_new(void)
{
    struct event_sample *s = g_new0(struct event_sample, 1);

    g_mutex_init(&s->lock);
    return s;
}

void event_sample_free(struct event_sample *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < EVENT_SAMPLE_MAX; i++)
        g_clear_pointer(&s->events[i], g_bytes_unref);
    g_mutex_clear(&s->lock);
    g_free(s);
}

void event_sample_put(struct event_sample *s, struct slice body)
{
    GBytes *event, *oldest;

    if (body.size == 0 || body.size > EVENT_SAMPLE_BYTES)
        return;
    event = g_bytes_new(body.data, body.size);
    g_mutex_lock(&s->lock);
    oldest = s->events[s->next];
    s->events[s->next] = event;
    s->next = (s->next + 1) % EVENT_SAMPLE_MAX;
    g_mutex_unlock(&s->lock);
    g_clear_pointer(&oldest, g_bytes_unref);
}

size_t event_sample_count(struct event_sample *s)
{
    size_t count;

    g_mutex_lock(&s->lock);
    /* Filled from the first place on: the last one is filled when all are. */
    count = s->events[EVENT_SAMPLE_MAX - 1] != NULL ? EVENT_SAMPLE_MAX : s->next;
    g_mutex_unlock(&s->lock);
    return count;
}

static void unref_event(void *event)
{
    g_bytes_unref(event);
}

GPtrArray *event_sample_get(struct event_sample *s)
{
    GPtrArray *events = g_ptr_array_new_full(EVENT_SAMPLE_MAX, unref_event);

    g_mutex_lock(&s->lock);
    for (size_t i = 0; i < EVENT_SAMPLE_MAX && s->events[i] != NULL; i++)
        g_ptr_array_add(events, g_bytes_ref(s->events[i]));
    g_mutex_unlock(&s->lock);
    return events;
}
