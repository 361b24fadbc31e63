/* Who may publish what: a worker the set in force with changes, the thread a set with a new base.
 * A worker whose set has another base than the one in force (a new one came meanwhile) keeps it for
 * its batch and goes on from the new base with the next: it asks the store what changed since then,
 * so that no set is ever behind the one of before. */
#include "worker/campaigns.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "common/metrics.h"
#include "worker/campaign_load.h"
#include "worker/campaign_watch.h"
#include "worker/event_sample.h"
#include "worker/retry.h"

#define RETRY_DEFAULT_MS 5000
#define NICENESS         10 /* of the thread, once there is a set: events go first */

/* A new base when the changes are this part of it. More would slow the matching down, less would
 * build too often: at 100,000 campaigns a build costs about as much as 10,000 changes. */
#define CHANGES_PART 4
#define CHANGES_MIN  256
#define CHANGES_MAX  20480

struct campaigns_metrics {
    struct metric *rules, *generation, *bytes, *changed, *refused;
    struct metric *refusals;
    struct metric *build_seconds;
};

struct campaigns {
    struct campaigns_options options; /* immutable */
    struct campaigns_metrics metrics; /* immutable */
    struct event_sample *sample;
    GThread *thread;
    int is_stopping; /* atomic */
    int is_refused;  /* atomic: the set in force has not all changes, and gets none */
    GMutex lock;     /* of the rest; never held across a call that takes time */
    GCond wake;      /* of the thread */
    GCond loaded;    /* a build has ended */
    bool is_wanted;  /* a new base */
    bool is_building;
    unsigned builds;              /* that have ended */
    GError *last_error;           /* why the last one could not read the campaigns; or NULL */
    GError *load_error;           /* why there is no set yet; until somebody has taken it */
    struct campaign_set *current; /* in force; owned. Its address may be read atomically */
    struct campaign_watch watch;
    int64_t rest_until_us; /* monotonic: until then no base is built only to be faster */
    /* The thread's only. */
    int64_t retry_us;           /* monotonic: try again then; INT64_MAX: no need */
    int64_t refused_generation; /* of the store, when a set was refused; -1: none */
    int failures;               /* of the store, in a row: not even a wanted base before retry_us */
};

/* ---- publishing ------------------------------------------------------------------------------ */

static void init_metrics(struct campaigns_metrics *m)
{
    m->rules =
        metrics_gauge("matcher_rules", "Active campaigns that events are matched with.", NULL);
    m->generation = metrics_gauge("matcher_generation",
                                  "Generation of the campaigns in force: it grows with every "
                                  "change.",
                                  NULL);
    m->bytes = metrics_gauge("matcher_memory_bytes", "Memory of the campaigns in force.", NULL);
    m->changed = metrics_gauge("matcher_changed_rules",
                               "Changes that the main index does not have yet.", NULL);
    m->refused = metrics_gauge(
        "matcher_refused", "1 while changed campaigns are not in force for want of memory, else 0.",
        NULL);
    m->refusals = metrics_counter(
        "matcher_refused_total",
        "Sets of campaigns refused because they would exceed matcher-memory-max.", NULL);
    m->build_seconds =
        metrics_histogram("matcher_build_duration_seconds",
                          "How long loading all campaigns and building their index took.", NULL,
                          METRICS_SECONDS, METRICS_SECONDS_COUNT);
}

static void show(struct campaigns *c, const struct campaign_set *set,
                 const struct campaign_set_figures *figures)
{
    metric_set(c->metrics.rules, (double)figures->rules);
    metric_set(c->metrics.generation, (double)campaign_set_generation(set));
    metric_set(c->metrics.bytes, (double)figures->bytes);
    metric_set(c->metrics.changed, (double)figures->changed);
}

/* Under lock. Takes the reference; returns the one to be dropped without the lock. */
static struct campaign_set *exchange(struct campaigns *c, struct campaign_set *set)
{
    struct campaign_set *old = c->current;

    g_atomic_pointer_set(&c->current, set);
    return old;
}

/* Under lock. */
static void want_base(struct campaigns *c)
{
    if (c->is_building)
        return;
    c->is_wanted = true;
    g_cond_signal(&c->wake);
}

/* Under lock. */
static void want_faster_base(struct campaigns *c)
{
    if (clock_monotonic_us() >= c->rest_until_us)
        want_base(c);
}

/* Under lock. failure: of the store, or NULL. */
static void end_build(struct campaigns *c, const GError *failure)
{
    c->is_building = false;
    c->builds++;
    g_clear_error(&c->last_error);
    if (failure != NULL)
        c->last_error = g_error_copy(failure);
    g_cond_broadcast(&c->loaded);
}

static bool is_within_limit(const struct campaigns *c, const struct campaign_set_figures *figures)
{
    return c->options.memory_max == 0 || figures->bytes <= c->options.memory_max;
}

/* Under lock. A new base is worth its cost when the changes are many. When they take much it is
 * what shows whether the campaigns still fit. */
static void look_at_changes(struct campaigns *c, const struct campaign_set_figures *figures)
{
    size_t most = CLAMP(figures->base / CHANGES_PART, CHANGES_MIN, CHANGES_MAX);

    if (figures->changed > 0 && !is_within_limit(c, figures))
        want_base(c);
    else if (figures->changed >= most)
        want_faster_base(c);
}

/* A set that a worker made of an earlier one. */
static void publish_changes(struct campaigns *c, struct campaign_set *set)
{
    struct campaign_set_figures figures;
    struct campaign_set *old = NULL;

    campaign_set_get_figures(set, &figures);
    g_mutex_lock(&c->lock);
    if (campaign_set_shares_base(c->current, set) &&
        campaign_set_generation(c->current) < campaign_set_generation(set)) {
        old = exchange(c, campaign_set_ref(set));
        show(c, set, &figures);
        look_at_changes(c, &figures);
    }
    g_mutex_unlock(&c->lock);
    campaign_set_unref(old);
}

/* A set with a new base. Takes the reference. */
static void publish_base(struct campaigns *c, struct campaign_set *set, int64_t began_us)
{
    double seconds = (double)(clock_monotonic_us() - began_us) / 1e6;
    int64_t generation = campaign_set_generation(set);
    struct campaign_set_figures figures;
    struct campaign_set *old;

    campaign_set_get_figures(set, &figures);
    g_mutex_lock(&c->lock);
    g_atomic_int_set(&c->is_refused, 0);
    g_clear_error(&c->load_error);
    campaign_watch_reset(&c->watch, figures.samples);
    show(c, set, &figures);
    metric_set(c->metrics.refused, 0);
    old = exchange(c, set);
    end_build(c, NULL);
    look_at_changes(c, &figures); /* what came meanwhile */
    g_mutex_unlock(&c->lock);
    metric_observe(c->metrics.build_seconds, seconds);
    log_info(LOG_MSG("campaigns loaded"), LOG_INT("generation", generation),
             LOG_INT("active", (int64_t)figures.rules),
             LOG_INT("memory_bytes", (int64_t)figures.bytes), LOG_NUMBER("seconds", seconds));
    campaign_set_unref(old);
}

#define CHANGES_DO_NOT_FIT                                                                         \
    "further changes of campaigns are not put in force: the campaigns would take more memory "     \
    "than matcher-memory-max; raise it, or pause campaigns"
#define NOTHING_FITS                                                                               \
    "events wait: the campaigns would take more memory than matcher-memory-max; raise it, or "     \
    "pause campaigns"

/* The set in force, if there is one, stays. Says so once, until one is accepted. */
static void refuse(struct campaigns *c, const GError *error)
{
    metric_add(c->metrics.refusals, 1);
    metric_set(c->metrics.refused, 1);
    if (g_atomic_int_exchange(&c->is_refused, 1) == 0)
        log_error(
            LOG_MSG(g_atomic_pointer_get(&c->current) == NULL ? NOTHING_FITS : CHANGES_DO_NOT_FIT),
            LOG_STRING("error", error->message),
            LOG_INT("matcher_memory_max", (int64_t)c->options.memory_max));
}

/* Whether the set in force fits and has every change that the refused one has: the index depends on
 * the sample of events a little, so a new one may take more than the one before. */
static bool is_current_as_good(struct campaigns *c)
{
    struct campaign_set_figures figures;
    bool is_as_good = false;

    g_mutex_lock(&c->lock);
    if (c->current != NULL && campaign_set_generation(c->current) >= c->refused_generation) {
        campaign_set_get_figures(c->current, &figures);
        is_as_good = is_within_limit(c, &figures);
    }
    g_mutex_unlock(&c->lock);
    return is_as_good;
}

/* The set in force stays, and further changes come in force. A refused build is not repeated before
 * ten times its duration are over. */
static void keep_current(struct campaigns *c, int64_t pause_us, const GError *error)
{
    c->refused_generation = -1;
    g_atomic_int_set(&c->is_refused, 0);
    metric_add(c->metrics.refusals, 1);
    metric_set(c->metrics.refused, 0);
    g_mutex_lock(&c->lock);
    c->rest_until_us = clock_monotonic_us() + pause_us;
    g_mutex_unlock(&c->lock);
    log_warn(LOG_MSG("a new index of the campaigns would take more memory than is allowed; the one "
                     "in force stays, and takes further changes"),
             LOG_STRING("error", error->message),
             LOG_INT("matcher_memory_max", (int64_t)c->options.memory_max));
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* There is no set to go on with: whoever waits for the first one is told. */
static void tell_failure(struct campaigns *c, enum campaign_load_end end, GError *error)
{
    g_mutex_lock(&c->lock);
    end_build(c, end == CAMPAIGN_LOAD_FAILED ? error : NULL);
    if (c->current == NULL) {
        g_clear_error(&c->load_error);
        c->load_error = g_error_copy(error);
        /* Not FULL, which would mean the disk. */
        if (end == CAMPAIGN_LOAD_REFUSED)
            c->load_error->code = EF_ERROR_RETRY;
    }
    g_mutex_unlock(&c->lock);
}

/* How long not to try again: a load takes processor and disk, so a tenth of the time at most. */
static int64_t pause_after(struct campaigns *c, enum campaign_load_end end, int64_t began_us)
{
    int64_t least_us = c->options.retry_ms * 1000;

    if (end == CAMPAIGN_LOAD_FAILED)
        least_us = retry_delay_us(RETRY_PAUSE_FIRST_MS, RETRY_PAUSE_LIMIT_MS, ++c->failures,
                                  g_random_int());
    return MAX(least_us, 10 * (clock_monotonic_us() - began_us));
}

/* The first base may take what changes may: a set that came to be by changes comes back after a
 * restart. */
static struct campaign_load load_of(struct campaigns *c)
{
    size_t base_max = c->options.memory_max, changes_max = base_max + base_max / 2;

    return (struct campaign_load){
        .store = c->options.store,
        .sample = c->sample,
        .base_max = g_atomic_pointer_get(&c->current) == NULL ? changes_max : base_max,
        .changes_max = changes_max,
        .is_stopping = &c->is_stopping,
    };
}

/* What comes of a load that is not done. */
static void react(struct campaigns *c, enum campaign_load_end end, int64_t began_us, GError *error)
{
    int64_t pause_us = pause_after(c, end, began_us);

    if (end == CAMPAIGN_LOAD_REFUSED && is_current_as_good(c)) {
        keep_current(c, pause_us, error);
    } else {
        c->retry_us = clock_monotonic_us() + pause_us;
        if (end == CAMPAIGN_LOAD_REFUSED)
            refuse(c, error);
        else if (!g_error_matches(error, EF_ERROR, EF_ERROR_STOPPED))
            log_warn(LOG_MSG("the campaigns cannot be loaded, trying again"),
                     LOG_STRING("error", error->message), LOG_INT("wait_ms", pause_us / 1000));
    }
    tell_failure(c, end, error);
}

static void build(struct campaigns *c)
{
    struct campaign_load load = load_of(c);
    int64_t began_us = clock_monotonic_us();
    struct campaign_set *set = NULL;
    g_autoptr(GError) error = NULL;
    enum campaign_load_end end;

    g_mutex_lock(&c->lock);
    c->is_building = true;
    c->is_wanted = false;
    g_mutex_unlock(&c->lock);
    c->retry_us = INT64_MAX;
    end = campaign_load_all(&load, &set, &c->refused_generation, &error);
    if (end != CAMPAIGN_LOAD_FAILED)
        c->failures = 0;
    if (end == CAMPAIGN_LOAD_DONE) {
        c->refused_generation = -1;
        publish_base(c, set, began_us);
        return;
    }
    react(c, end, began_us, error);
}

/* What was refused is so again, as long as no campaign changes. */
static bool is_worth_trying(struct campaigns *c)
{
    struct store_campaign_range range = {.since = c->refused_generation, .max = 1};
    struct store_campaign_page page = {0};
    struct arena arena = {0};
    bool is_changed;

    if (c->refused_generation < 0)
        return true;
    is_changed = store_load_campaigns(c->options.store, &range, &arena, &page, NULL) &&
                 page.generation != c->refused_generation;
    arena_done(&arena);
    if (!is_changed)
        c->retry_us = clock_monotonic_us() + c->options.retry_ms * 1000;
    return is_changed;
}

/* Until a base is wanted or to be tried again. false: stopping. */
static bool wait_for_work(struct campaigns *c, bool *is_retry)
{
    bool is_due = false;

    g_mutex_lock(&c->lock);
    while (g_atomic_int_get(&c->is_stopping) == 0 && !is_due &&
           (!c->is_wanted || c->failures > 0)) {
        if (c->retry_us == INT64_MAX)
            g_cond_wait(&c->wake, &c->lock);
        else
            is_due = !g_cond_wait_until(&c->wake, &c->lock, c->retry_us);
    }
    *is_retry = !c->is_wanted;
    g_mutex_unlock(&c->lock);
    return g_atomic_int_get(&c->is_stopping) == 0;
}

static void *campaigns_main(void *user)
{
    struct campaigns *c = user;
    bool is_retry;

    while (wait_for_work(c, &is_retry)) {
        if (is_retry && !is_worth_trying(c))
            continue;
        build(c);
        /* The documents of all campaigns went through the heap: half of it may be free now. */
        malloc_trim(0);
        if (g_atomic_pointer_get(&c->current) != NULL)
            setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
    }
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct campaigns *campaigns_start(const struct campaigns_options *options)
{
    struct campaigns *c = g_new0(struct campaigns, 1);

    c->options = *options;
    if (c->options.retry_ms == 0)
        c->options.retry_ms = RETRY_DEFAULT_MS;
    init_metrics(&c->metrics);
    c->sample = event_sample_new();
    g_mutex_init(&c->lock);
    g_cond_init(&c->wake);
    g_cond_init(&c->loaded);
    c->is_wanted = true;
    c->retry_us = INT64_MAX;
    c->refused_generation = -1;
    c->thread = g_thread_new("campaigns", campaigns_main, c);
    return c;
}

void campaigns_halt(struct campaigns *c)
{
    if (c == NULL)
        return;
    g_mutex_lock(&c->lock);
    g_atomic_int_set(&c->is_stopping, 1);
    g_cond_signal(&c->wake);
    g_cond_broadcast(&c->loaded);
    g_mutex_unlock(&c->lock);
}

void campaigns_stop(struct campaigns *c)
{
    if (c == NULL)
        return;
    campaigns_halt(c);
    g_thread_join(c->thread);
    campaign_set_unref(c->current);
    g_clear_error(&c->last_error);
    g_clear_error(&c->load_error);
    event_sample_free(c->sample);
    g_cond_clear(&c->loaded);
    g_cond_clear(&c->wake);
    g_mutex_clear(&c->lock);
    g_free(c);
}

/* ---- workers --------------------------------------------------------------------------------- */

bool campaigns_await(struct campaigns *c, int64_t wait_ms, GError **error)
{
    int64_t until_us = g_get_monotonic_time() + wait_ms * 1000;
    bool is_in_time = true;
    bool is_there;

    g_mutex_lock(&c->lock);
    while (c->current == NULL && c->load_error == NULL && is_in_time)
        is_in_time = g_cond_wait_until(&c->loaded, &c->lock, until_us);
    is_there = c->current != NULL;
    if (c->load_error != NULL)
        g_propagate_error(error, g_steal_pointer(&c->load_error));
    g_mutex_unlock(&c->lock);
    return is_there;
}

/* The newest set that is known without asking the store. A reference of the caller's. */
static struct campaign_set *newest(struct campaigns *c, struct campaign_set *known)
{
    struct campaign_set *set;

    /* Held, so no other set can have its address. */
    if (known != NULL && g_atomic_pointer_get(&c->current) == known)
        return campaign_set_ref(known);
    g_mutex_lock(&c->lock);
    set = campaign_set_ref(c->current);
    g_mutex_unlock(&c->lock);
    return set;
}

/* Under lock: until the build that is under way, or else the next one, has ended. Errors: those of
 * the store; STOPPED. */
static bool await_build(struct campaigns *c, GError **error)
{
    unsigned builds = c->builds;

    want_base(c);
    while (c->builds == builds && g_atomic_int_get(&c->is_stopping) == 0)
        g_cond_wait(&c->loaded, &c->lock);
    if (g_atomic_int_get(&c->is_stopping) != 0)
        g_set_error_literal(error, EF_ERROR, EF_ERROR_STOPPED, "the campaigns were stopped");
    else if (c->last_error != NULL)
        g_propagate_error(error, g_error_copy(c->last_error));
    else
        return true;
    return false;
}

/* The changes take more room than there is. A new base takes less than they do, so whether the
 * campaigns still fit shows when one has been built, and what was promised of changes is kept by
 * waiting for it. Errors: as await_build. */
static bool await_base(struct campaigns *c, const struct campaign_set *set, GError **error)
{
    bool is_ok;

    g_mutex_lock(&c->lock);
    is_ok = !campaign_set_shares_base(c->current, set) || await_build(c, error);
    g_mutex_unlock(&c->lock);
    return is_ok;
}

/* While changes are refused nothing is asked: the thread goes on trying. *is_outdated: there may be
 * a new base, to be begun with. */
static bool add_changes(struct campaigns *c, struct campaign_set **set, bool *is_outdated,
                        GError **error)
{
    struct campaign_load load = load_of(c);
    g_autoptr(GError) problem = NULL;
    enum campaign_load_end end;
    size_t changes = 0;

    *is_outdated = false;
    if (g_atomic_int_get(&c->is_refused) != 0)
        return true;
    end = campaign_load_changes(&load, set, &changes, &problem);
    if (end == CAMPAIGN_LOAD_FAILED) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    if (end == CAMPAIGN_LOAD_DONE && changes > 0)
        publish_changes(c, *set);
    *is_outdated = end == CAMPAIGN_LOAD_REFUSED;
    return !*is_outdated || await_base(c, *set, error);
}

bool campaigns_refresh(struct campaigns *c, struct campaign_set **set, GError **error)
{
    struct campaign_set *fresh = NULL;
    bool is_outdated = true;
    bool is_ok = true;

    while (is_ok && is_outdated) {
        campaign_set_unref(fresh);
        fresh = newest(c, *set);
        is_ok = add_changes(c, &fresh, &is_outdated, error);
    }
    /* Never back to fewer changes: a new base may be behind when changes are refused. */
    if (!is_ok ||
        (*set != NULL && campaign_set_generation(fresh) < campaign_set_generation(*set))) {
        campaign_set_unref(fresh);
        return is_ok;
    }
    campaign_set_unref(*set);
    *set = fresh;
    return true;
}

void campaigns_sample(struct campaigns *c, struct slice body)
{
    event_sample_put(c->sample, body);
}

void campaigns_note(struct campaigns *c, uint64_t events, uint64_t candidates)
{
    size_t samples = event_sample_count(c->sample);

    g_mutex_lock(&c->lock);
    if (campaign_watch_note(&c->watch, events, candidates, samples) &&
        g_atomic_int_get(&c->is_refused) == 0)
        want_faster_base(c);
    g_mutex_unlock(&c->lock);
}
