/* pipeline: what the worker does to a batch: a table of steps, each run over the whole range.
 *
 *   items[from .. from+count) ─▶ decode ▸ validate ▸ dedupe ▸ enrich ▸ match ▸ settle
 *
 * decode   bytes -> flat                     broken JSON ends as failed "invalid"
 * validate flat -> envelope and field rules  a broken rule ends as failed "invalid"
 * dedupe   seen before? (after validate, since the identity is read from a checked envelope)
 * enrich   what the engine knows: correlation id, time, worker, attempt
 * match    against the snapshot of the active campaigns
 * settle   every end of the range, and the position, in ONE transaction
 *
 * All steps but settle take PIPELINE_PART items at a time, so that what they share of an item, its
 * flat first of all, stays in the processor's cache.
 *
 * What it guarantees: a run either settles the whole range or changes nothing, and may be run again
 * over the same items, or over a part of them: every run decides everything anew from the messages
 * and the store. That is why the first of two copies inside a range can be trusted: either it is
 * processed together with what was decided about the second, or nothing is.
 * What it does not do: split, wait, try again (batch.h), keep campaigns up to date (campaigns.h).
 * Threads: one at a time; while one settles, others may read what was decided.
 */
#ifndef WORKER_PIPELINE_H
#define WORKER_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "core/campaign_set.h"
#include "core/event.h"
#include "core/flat.h"
#include "core/flat_names.h"
#include "core/problem.h"
#include "queue/queue.h"
#include "store/store.h"
#include "worker/worker.h"

/* Items between decode and match at once: their flats are about 300 KiB. */
#define PIPELINE_PART 64

/* How far an item has come in this run. */
enum item_state {
    ITEM_OPEN,    /* no end yet: the next step looks at it */
    ITEM_ENDED,   /* kind and what belongs to it are decided */
    ITEM_SETTLED, /* was settled earlier: nothing to do, nothing to write */
};

/* One message on its way. Slots are reused from batch to batch. */
struct item {
    /* What it is; set by pipeline_load. */
    const struct queue_message *message; /* borrowed until the next batch */
    int attempt;                         /* the number of this attempt, 1.. */
    int64_t first_failed_at_us;          /* 0: never failed before */

    /* What was found out about it across runs. */
    bool is_settled;  /* its end is in the store already */
    bool has_begun;   /* its attempt is noted in the store (suspicious mode) */
    bool has_verdict; /* its end was decided outside of the steps: kind, reason, error stand */
    bool is_bare;     /* not even its failure can be stored: write nothing that came from outside */

    /* What the steps decide; anew in each run. */
    enum item_state state;
    enum store_outcome_kind kind;
    bool has_event; /* event is set */
    struct event event;
    uint64_t fingerprint; /* of (source, event_id) */
    const char *reason;   /* FAILED, RETRY */
    const char *error;
    int64_t duplicate_of;              /* seq of the message that stands; DUPLICATE only */
    int64_t retry_at_us;               /* wall clock; RETRY only */
    struct slice correlation;          /* in the message, the event or correlation_buffer below */
    int64_t processed_at_us;           /* wall clock of the run */
    const struct store_match *matches; /* live in the pipeline's arena, their texts in its set */
    size_t match_count;

    char correlation_buffer[EVENT_CORRELATION_BUFFER];
    struct flat *flat; /* from decode to match; afterwards another item's */
};

/* How a range ended, for the metrics. Of one run; a duplicate or a failure counts no match. */
struct pipeline_tally {
    uint64_t processed, failed, duplicate, retried, matches;
    uint64_t matched, candidates; /* events that were matched; campaigns looked at for them */
    int64_t match_us;             /* that it took */
};

struct pipeline {
    struct store *store;
    struct worker_options options;
    struct campaign_set
        *campaigns;     /* the snapshot to match against; owned; NULL before the first */
    struct item *items; /* batch_max slots */
    size_t items_max;
    struct matcher_run *matching;
    struct flat flats[PIPELINE_PART]; /* grown once, kept while small */
    struct flat_names *names;         /* that they share */
    struct arena texts;  /* of the batch's events, as far as the messages do not have them */
    size_t count;        /* loaded items */
    bool moves_position; /* received messages do, retries do not */
    int64_t begun_us;    /* clock_monotonic_us when the batch was taken */
    /* Of the run under way. */
    struct arena arena;
    struct problems problems;
    GHashTable *firsts;            /* struct item: the first of each identity in the range */
    const struct pipeline *before; /* the batch that is being settled meanwhile, or NULL */
    int64_t now_us;                /* wall clock */
    struct pipeline_tally tally;
};

/* Borrows store, and options->id, until done. */
void pipeline_init(struct pipeline *p, struct store *store, const struct worker_options *options);
void pipeline_done(struct pipeline *p);

/* Matches against that set from now on; takes a reference. NULL: against none, and the matches of
 * the last run may not be looked at any more, as they borrow from the set of before. */
void pipeline_use(struct pipeline *p, struct campaign_set *campaigns);

/* Starts an empty batch. */
void pipeline_begin(struct pipeline *p, bool moves_position);

/* Adds a message (at most batch_max) to the batch, in the order of seq. The message is borrowed
 * until the next pipeline_begin. */
struct item *pipeline_load(struct pipeline *p, const struct queue_message *message, int attempt,
                           int64_t first_failed_at_us);

/* Gives an item its end from outside: the steps leave it alone and settle writes it. The texts are
 * borrowed until the next pipeline_begin. */
void item_set_verdict(struct item *item, enum store_outcome_kind kind, const char *reason,
                      const char *error);

/* Ends an item inside a step. error lives in the pipeline's arena or for ever. */
void item_fail(struct item *item, const char *reason, const char *error);

/* All steps but settle: every item of the range gets its end, nothing is written. before: a batch
 * that was decided and is being settled meanwhile; its events count as processed, so when it is not
 * settled this one must be decided again. NULL: none. Errors: as pipeline_run. */
bool pipeline_decide(struct pipeline *p, size_t from, size_t count, const struct pipeline *before,
                     GError **error);

/* The last step: settles a range that was decided as it is now. After false nothing is settled.
 * Errors: as pipeline_run. */
bool pipeline_settle(struct pipeline *p, size_t from, size_t count, GError **error);

/* Both; p->tally says how it ended. After false nothing is settled. Errors: those of the store,
 * prefixed with the step; INPUT: one of the items cannot be processed, split the range; CONFLICT:
 * somebody settled one of them meanwhile, run again. */
bool pipeline_run(struct pipeline *p, size_t from, size_t count, GError **error);

#endif
