/* worker_private: what the files of the worker share: its struct, and how it deals with trouble.
 *
 *   worker.c   thread, trouble               rounds.c   received batches, two of them at once
 *   batch.c    a batch to its end, culprits set aside      retries.c  what is due again
 *   report.c   metrics and log lines of what was settled
 */
#ifndef WORKER_WORKER_PRIVATE_H
#define WORKER_WORKER_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/metrics.h"
#include "worker/pipeline.h"
#include "worker/settler.h"
#include "worker/worker.h"

/* An idle worker goes round at least this often: campaign changes, retries, stop. */
#define WORKER_IDLE_MS 500

/* Registered once, owned by the metrics; any thread may add. */
struct worker_metrics {
    struct metric *processed, *failed, *duplicate, *retried, *matches;
    struct metric *active_workers;
    struct metric *duration, *batch_size, *lag;
    struct metric *match_seconds, *candidates;
};

/* A batch with everything that belongs to it. */
struct lane {
    struct arena arena; /* its messages and the texts of its verdicts */
    struct queue_batch batch;
    struct pipeline pipeline;
};

struct worker {
    struct queue *queue;
    struct store *store;
    GThread *thread;  /* joined by worker_stop */
    GMutex lock;      /* guards is_stopping, nothing else */
    GCond wake;       /* ends a pause when is_stopping is set */
    bool is_stopping; /* under lock */
    /* The rest: the worker's thread only. */
    struct worker_options options;
    struct worker_metrics metrics;
    struct campaign_set *campaigns; /* the newest; owned; NULL before the first */
    struct lane lanes[2];
    struct lane *lane;     /* the batch in hand */
    struct lane *settling; /* the other one, while the settler has it; or NULL */
    struct settler *settler;
    unsigned unsampled;     /* messages since the last one that was taken as a sample */
    int64_t position;       /* everything up to this seq is settled or in the retry table */
    int64_t next_retry_us;  /* monotonic: look for due retries then; INT64_MAX = there are none */
    unsigned failures;      /* of the infrastructure, in a row */
    bool suspects_received; /* the next received batch goes one by one */
    bool suspects_retries;  /* the same for the next batch of retries */
    bool has_died;          /* on_fatal was called */
};

/* The infrastructure failed: waits (longer each time) after passing trouble, reports a lasting one
 * to on_fatal. Clears the error. true = try the same again; false = the thread must end (fatal, or
 * stopped meanwhile). */
bool worker_recover(struct worker *w, GError **error);

/* The thread must end: says so, once. */
void worker_die(struct worker *w, const char *message);

/* Makes changed campaigns known before a batch. false = the thread must end. */
bool worker_refresh_campaigns(struct worker *w);

/* Waits for the batch that the settler has, if any, brings it to its end and acknowledges it.
 * *is_clean (may be NULL): it was settled at once, as decided. false = the thread must end. */
bool rounds_finish(struct worker *w, bool *is_clean);

/* One round: what waits is received, processed and acknowledged. false = the thread must end. */
bool rounds_run(struct worker *w);

/* Waits, but not a moment longer than until stop. false = stopped. */
bool worker_pause(struct worker *w, int64_t wait_us);

/* Trouble that may end by itself: nothing was changed, the same can be tried again. */
bool worker_is_passing(const GError *error);

/* Brings the loaded batch to its end; culprits are set aside, copies decided, position and
 * next_retry_us kept up to date. one_by_one: with the attempt noted in the store before each.
 * false = the thread must end; what is not settled comes again. */
bool batch_run(struct worker *w, bool one_by_one);

/* The same after a first run of the whole batch, whose error (NULL: settled) is taken. */
bool batch_conclude(struct worker *w, GError *error);

/* Processes the retries that are due, if any. false = the thread must end. */
bool retries_run(struct worker *w);

/* The monotonic time at which a retry with that due time (wall clock) is to be looked for. */
int64_t retries_look_at_us(int64_t due_us);

/* Units: microseconds until the next retry is due, 0 .. limit_us. */
int64_t retries_wait_us(const struct worker *w, int64_t limit_us);

/* Reports a settled range: counters, histograms, a line for each event that failed. */
void report_settled(struct worker *w, const struct item *items, size_t count);

/* The metrics, made once at start. */
void report_init(struct worker_metrics *m);

#endif
