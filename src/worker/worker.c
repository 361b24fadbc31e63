/* worker: the thread and its rounds.
 *
 *   start ▸ position ▸ campaigns ▸ ( due retries ▸ receive ▸ campaigns ▸ batch ▸ ack )*
 *
 * Every function on the way answers "may the thread go on"; whoever finds that it may not has said
 * why already, so the way out is short.
 */
#include "worker/worker.h"

#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "worker/campaigns.h"
#include "worker/retry.h"
#include "worker/worker_private.h"

#define AWAIT_MS 100 /* how often a worker that waits for the campaigns looks whether to stop */

/* Asked once a round and never in the middle of a batch. Any thread. */
static bool is_stopping(struct worker *w)
{
    bool answer;

    g_mutex_lock(&w->lock);
    answer = w->is_stopping;
    g_mutex_unlock(&w->lock);
    return answer;
}

bool worker_pause(struct worker *w, int64_t wait_us)
{
    int64_t until_us = g_get_monotonic_time() + wait_us;
    bool is_woken = true;
    bool answer;

    g_mutex_lock(&w->lock);
    while (!w->is_stopping && is_woken)
        is_woken = g_cond_wait_until(&w->wake, &w->lock, until_us);
    answer = !w->is_stopping;
    g_mutex_unlock(&w->lock);
    return answer;
}

void worker_die(struct worker *w, const char *message)
{
    if (w->has_died)
        return;
    w->has_died = true;
    log_error(LOG_MSG("the worker cannot go on"), LOG_STRING("worker_id", w->options.id),
              LOG_STRING("error", message));
    if (w->options.on_fatal != NULL)
        w->options.on_fatal(w->options.user, message);
}

bool worker_is_passing(const GError *error)
{
    return g_error_matches(error, EF_ERROR, EF_ERROR_RETRY) ||
           g_error_matches(error, EF_ERROR, EF_ERROR_FULL);
}

bool worker_recover(struct worker *w, GError **error)
{
    bool answer = false;

    if (g_error_matches(*error, EF_ERROR, EF_ERROR_FULL))
        disk_watch_note(w->options.disk, DISK_WRITER_STORE, true);
    if (worker_is_passing(*error)) {
        int64_t wait_us = retry_delay_us(RETRY_PAUSE_FIRST_MS, RETRY_PAUSE_LIMIT_MS,
                                         (int)++w->failures, g_random_int());

        log_warn(LOG_MSG("the worker is held up, trying again"),
                 LOG_STRING("worker_id", w->options.id), LOG_STRING("error", (*error)->message),
                 LOG_INT("wait_ms", wait_us / 1000));
        answer = worker_pause(w, wait_us);
    } else if (!g_error_matches(*error, EF_ERROR, EF_ERROR_STOPPED)) {
        /* Being stopped is no trouble: it ends the thread without a word. */
        worker_die(w, (*error)->message);
    }
    g_clear_error(error);
    return answer;
}

/* Where the last life ended; what comes again up to there is known to be settled. Waits for the
 * store as long as its trouble may pass. false = the thread must end. */
static bool load_position(struct worker *w)
{
    struct store_summary summary = {0};
    GError *error = NULL;

    while (!store_get_summary(w->store, &summary, &error))
        if (!worker_recover(w, &error))
            return false;
    w->position = summary.position;
    return true;
}

/* Until the campaigns are loaded nothing can be matched. false = the thread must end. */
static bool await_campaigns(struct worker *w)
{
    GError *error = NULL;

    while (!campaigns_await(w->options.campaigns, AWAIT_MS, &error))
        if (error != NULL ? !worker_recover(w, &error) : is_stopping(w))
            return false;
    return true;
}

bool worker_refresh_campaigns(struct worker *w)
{
    GError *error = NULL;

    while (!campaigns_refresh(w->options.campaigns, &w->campaigns, &error))
        if (!worker_recover(w, &error))
            return false;
    pipeline_use(&w->lane->pipeline, w->campaigns);
    return true;
}

/* Retries go first in a round: they have waited longest, and new messages keep coming. */
static void *worker_main(void *user)
{
    struct worker *w = user;

    metric_change(w->metrics.active_workers, 1);
    log_info(LOG_MSG("worker started"), LOG_STRING("worker_id", w->options.id),
             LOG_INT("batch_max", (int64_t)w->options.batch_max),
             LOG_INT("suspicious", w->options.is_suspicious));
    if (load_position(w) && await_campaigns(w) && worker_refresh_campaigns(w))
        while (!is_stopping(w) && retries_run(w) && rounds_run(w))
            ;
    rounds_finish(w, NULL);
    log_info(LOG_MSG("worker stopped"), LOG_STRING("worker_id", w->options.id),
             LOG_INT("position", w->position));
    metric_change(w->metrics.active_workers, -1);
    return NULL;
}

struct worker *worker_start(struct queue *queue, struct store *store,
                            const struct worker_options *options)
{
    struct worker *w = g_new0(struct worker, 1);

    g_assert(options->batch_max > 0 && options->attempts_max > 0 && options->backoff_ms >= 0);
    w->queue = queue;
    w->store = store;
    w->options = *options;
    /* What ended the last process was in its first received batch or among its due retries. */
    w->suspects_received = options->is_suspicious;
    w->suspects_retries = options->is_suspicious;
    g_mutex_init(&w->lock);
    g_cond_init(&w->wake);
    for (size_t i = 0; i < G_N_ELEMENTS(w->lanes); i++) {
        arena_init(&w->lanes[i].arena);
        pipeline_init(&w->lanes[i].pipeline, store, options);
    }
    w->lane = &w->lanes[0];
    w->settler = settler_new();
    report_init(&w->metrics);
    w->thread = g_thread_new("worker", worker_main, w);
    return w;
}

void worker_stop(struct worker *w)
{
    if (w == NULL)
        return;
    g_mutex_lock(&w->lock);
    w->is_stopping = true;
    g_cond_signal(&w->wake);
    g_mutex_unlock(&w->lock);
    g_thread_join(w->thread);
    settler_free(w->settler);
    for (size_t i = 0; i < G_N_ELEMENTS(w->lanes); i++) {
        pipeline_done(&w->lanes[i].pipeline);
        arena_done(&w->lanes[i].arena);
    }
    campaign_set_unref(w->campaigns);
    g_cond_clear(&w->wake);
    g_mutex_clear(&w->lock);
    g_free(w);
}
