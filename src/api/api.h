/* api: what the handlers work on: the engine's parts and a few facts about this process.
 *
 * Owned by the command that puts the parts together (cli/serve.c); borrowed by the server.
 */
#ifndef API_API_H
#define API_API_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/disk_watch.h"
#include "common/rate.h"
#include "core/pattern.h"
#include "intake/intake.h"
#include "queue/queue.h"
#include "store/store.h"

struct replays;

/* Immutable once the server runs, except the two atomics; the parts lock for themselves. Borrowed,
 * all of it. */
struct api {
    struct queue *queue;
    struct store *store;
    struct intake *intake;              /* takes POST /events and replays */
    struct replays *replays;            /* failures queued again by this process */
    struct disk_watch *disk;            /* whether the disk takes writes; NULL = not watched */
    struct rate *received_rate;         /* sampled by the housekeeper */
    struct rate *processed_rate;        /* the same */
    const char *durability;             /* "full"; shown by health */
    int64_t started_us;                 /* wall clock */
    int64_t started_monotonic_us;       /* for the uptime: the wall clock may be set back */
    struct intake_limits intake_limits; /* of one request to POST /events */
    atomic_bool is_draining;            /* SIGTERM seen: ready answers 503 */
    atomic_bool is_broken;              /* a commit failed: nothing is accepted any more */
    /* Of the rules of campaigns that are saved. */
    struct pattern_limits pattern_limits;
};

#endif
