/* rig: a queue and a store (fault over memory) with a worker between them, for tests. */
#ifndef TESTS_WORKER_RIG_H
#define TESTS_WORKER_RIG_H

#include <stdatomic.h>

#include "common/arena.h"
#include "queue/queue.h"
#include "store/store.h"
#include "worker/worker.h"

#define RIG_ARRIVED_US INT64_C(1795255200000000) /* 2026-11-21T10:00:00Z */

struct rig {
    struct queue *queue;
    struct store *store;
    struct campaigns *campaigns; /* from rig_start to rig_stop */
    struct worker *worker;
    struct worker_options options; /* change before rig_start */
    struct arena arena;            /* of everything published and listed */
    GArray *published;             /* struct queue_message: what a log would still have */
    atomic_int fatals;
    char *fatal_message;
    /* The probe: refuses bad_id (NULL = nobody) the next `refusals` times. */
    const char *bad_id;
    atomic_int refusals;
    atomic_int probed;
};

void rig_init(struct rig *rig);
void rig_done(struct rig *rig);

void rig_start(struct rig *rig);

/* Stops queue and worker. */
void rig_stop(struct rig *rig);

/* Another life: a queue with the same messages, received from the first one again. */
void rig_reopen_queue(struct rig *rig);

/* Publishes a body; returns its seq. reference: of a replay. */
int64_t rig_publish(struct rig *rig, const char *key, const char *body, int64_t reference);

/* Publishes {"event_id":id,"event_type":"purchase","customer_id":"c1","payload":{"amount":amount}}.
 */
int64_t rig_publish_event(struct rig *rig, const char *id, int amount);

/* Publishes count events named prefix0, prefix1, … in one step. */
void rig_publish_many(struct rig *rig, const char *prefix, int count);

/* Stores an active campaign whose rules are given. */
void rig_add_campaign(struct rig *rig, const char *id, const char *rules);
void rig_write_campaign(struct rig *rig, enum store_campaign_change change, const char *id,
                        const char *status, const char *document);

struct store_summary rig_summary(struct rig *rig);

/* Waits until that many messages have their end and none waits for a retry. */
void rig_wait_settled(struct rig *rig, int64_t count);

/* Waits until condition(rig, n); fails the test after half a minute. */
void rig_wait(struct rig *rig, bool (*condition)(struct rig *rig, int64_t n), int64_t n);
bool rig_has_died(struct rig *rig, int64_t n);     /* on_fatal was called n times */
bool rig_is_retrying(struct rig *rig, int64_t n);  /* n messages wait for a retry */
bool rig_has_position(struct rig *rig, int64_t n); /* the position is n or more */

/* Copies of rows that live in the rig's arena; NULL when there is no such row. */
const struct store_row *rig_event(struct rig *rig, const char *id);
const struct store_row *rig_failure(struct rig *rig, const char *id);
const struct store_row *rig_match(struct rig *rig, const char *id);

/* How many rows the view has for that event id. */
size_t rig_count(struct rig *rig, enum store_view view, const char *id);

#define rig_assert_text(slice, text)                                                               \
    g_assert_cmpmem((slice).data, (slice).size, (text), strlen(text))

#endif
