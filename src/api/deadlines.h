/* deadlines: the states of connections, and how long one may stay in each.
 *
 * A connection's state is the list it stands in. Every state has one constant time limit, so a
 * list in order of entry is a list in order of deadlines: entering, leaving and asking for the
 * next one due cost O(1). A deadline is absolute: it is set on entry and no byte moves it.
 */
#ifndef API_DEADLINES_H
#define API_DEADLINES_H

#include <stdint.h>

#include <glib.h>

enum conn_state {
    CONN_IDLE,   /* between requests, nothing of the next one is here */
    CONN_HEAD,   /* part of a head is here */
    CONN_BODY,   /* the head is good, the body arrives */
    CONN_BUSY,   /* an executor or the committer has the request; no deadline, not read */
    CONN_WRITE,  /* the answer is being sent */
    CONN_LINGER, /* answered and shut for writing; drops what the client still sends */
    CONN_CLOSED, /* freed at the end of the round: later events of it may point here */
    CONN_STATES,
};

/* What a connection embeds. */
struct deadline {
    GList link; /* link.data is the connection */
    enum conn_state state;
    int64_t at_us; /* monotonic; INT64_MAX = none */
};

/* Loop thread only. */
struct deadlines {
    GQueue lists[CONN_STATES];
    int64_t limits_us[CONN_STATES]; /* 0 = none */
};

/* Units: milliseconds, by state; 0 = no limit. */
void deadlines_init(struct deadlines *d, const int64_t limits_ms[CONN_STATES]);

/* Enters its first state. */
void deadlines_add(struct deadlines *d, struct deadline *item, enum conn_state state,
                   int64_t now_us);

/* Changes the state; the same state again changes nothing, not even the deadline. */
void deadlines_move(struct deadlines *d, struct deadline *item, enum conn_state state,
                    int64_t now_us);

/* Takes it out of its list, for good: before it is freed. */
void deadlines_remove(struct deadlines *d, struct deadline *item);

/* The earliest deadline of all, INT64_MAX when there is none. */
int64_t deadlines_next(const struct deadlines *d);

/* Something whose deadline has passed (its link.data), NULL when there is nothing. */
void *deadlines_find_due(const struct deadlines *d, int64_t now_us);

#endif
