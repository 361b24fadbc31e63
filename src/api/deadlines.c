/* deadlines: one list for each state, each in the order of its deadlines by itself.
 *
 * The lists are GQueues whose links are embedded, so that changing a state allocates nothing.
 * Deliberately missing: a heap or a timer wheel. With one constant limit a state none is needed. */
#include "api/deadlines.h"

/* In microseconds from here on, as all times within the program. */
void deadlines_init(struct deadlines *d, const int64_t limits_ms[CONN_STATES])
{
    for (int i = 0; i < CONN_STATES; i++) {
        g_queue_init(&d->lists[i]);
        d->limits_us[i] = limits_ms[i] * 1000;
    }
}

/* Time never goes back within a loop and limits are constant, so the end of the list is the place.
 * A state without a limit still has its list: it tells which connections are in that state. */
void deadlines_add(struct deadlines *d, struct deadline *item, enum conn_state state,
                   int64_t now_us)
{
    int64_t limit_us = d->limits_us[state];

    item->state = state;
    item->at_us = limit_us > 0 ? now_us + limit_us : INT64_MAX;
    g_queue_push_tail_link(&d->lists[state], &item->link);
}

/* A step that says its own state again, byte by byte, must not gain time by it. */
void deadlines_move(struct deadlines *d, struct deadline *item, enum conn_state state,
                    int64_t now_us)
{
    if (item->state == state)
        return;
    deadlines_remove(d, item);
    deadlines_add(d, item, state, now_us);
}

void deadlines_remove(struct deadlines *d, struct deadline *item)
{
    g_queue_unlink(&d->lists[item->state], &item->link);
}

/* The item of a list that is due first. */
static const struct deadline *deadlines_first(const struct deadlines *d, int state)
{
    const GList *head = d->lists[state].head;

    /* link is the first member, so the link's address is the item's. */
    return (const struct deadline *)head;
}

/* Looks at one connection a state, however many there are. */
int64_t deadlines_next(const struct deadlines *d)
{
    int64_t next_us = INT64_MAX;

    for (int i = 0; i < CONN_STATES; i++) {
        const struct deadline *first = deadlines_first(d, i);

        if (first != NULL && first->at_us < next_us)
            next_us = first->at_us;
    }
    return next_us;
}

/* At most one a call: the caller moves it on and asks again. */
void *deadlines_find_due(const struct deadlines *d, int64_t now_us)
{
    for (int i = 0; i < CONN_STATES; i++) {
        const struct deadline *first = deadlines_first(d, i);

        if (first != NULL && first->at_us <= now_us)
            return first->link.data;
    }
    return NULL;
}
