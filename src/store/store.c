/* The checked door to the stores: every call of the program passes here once.
 *
 * Arguments are asserted (a wrong one is a bug of ours), errors and the durations and sizes of
 * settlements are counted, so that a backend sees valid calls only and counts nothing itself.
 * A decorator (fault) calls its inner store's ops directly, or everything would count twice.
 */
#include "store/store.h"

#include "common/clock.h"
#include "common/error.h"
#include "common/metrics.h"

/* The registry. A new backend is one line here and one in the contract tests' list. */
static const struct store_ops *const backends[] = {
    &store_sqlite_ops,
    &store_memory_ops,
    &store_fault_ops,
};

/* NULL when no backend has that name: the caller knows which setting to blame. */
const struct store_ops *store_find_backend(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

/* Passes ok on. Counts only errors that are the store's trouble: CONFLICT and MISSING are answers
 * to what was asked, and an alarm on the counter must not ring for them. A caller who gives no
 * error pointer hides the code, so his failures count in any case. */
static bool note(struct store *s, bool ok, GError *const *error)
{
    bool is_answer = false;

    if (!ok && error != NULL && *error != NULL)
        is_answer = g_error_matches(*error, EF_ERROR, EF_ERROR_CONFLICT) ||
                    g_error_matches(*error, EF_ERROR, EF_ERROR_MISSING);
    if (!ok && !is_answer)
        metric_add(s->errors, 1);
    return ok;
}

/* The metrics are asked for here, not at file scope, so that the module has no state of its own.
 * Stores opened twice share them: the registry gives the same metric for the same name. */
struct store *store_open(const struct store_ops *ops, const struct store_options *options,
                         GError **error)
{
    struct store *s;

    g_assert(ops != NULL && options != NULL);
    s = ops->open(options, error);
    if (s == NULL)
        return NULL;
    s->settle_seconds =
        metrics_histogram("store_settle_duration_seconds", "How long one settle transaction took.",
                          NULL, METRICS_SECONDS, METRICS_SECONDS_COUNT);
    s->settle_batch =
        metrics_histogram("store_settle_batch_size", "Outcomes settled in one transaction.", NULL,
                          METRICS_BATCH, METRICS_BATCH_COUNT);
    s->errors = metrics_counter("store_errors_total", "Calls of the store that failed.", NULL);
    return s;
}

/* The early return spares the backends an empty array, whose pointer may be NULL. */
bool store_seen(struct store *s, const struct store_key *keys, size_t count, struct store_seen *out,
                GError **error)
{
    g_assert(count == 0 || (keys != NULL && out != NULL));
    if (count == 0)
        return true;
    return note(s, s->ops->seen(s, keys, count, out, error), error);
}

/* Whether a message is suspicious is the worker's to say; here any may be tried. */
bool store_begin_attempt(struct store *s, int64_t seq, int64_t at_us, int *attempt, GError **error)
{
    g_assert(seq > 0 && attempt != NULL);
    return note(s, s->ops->begin_attempt(s, seq, at_us, attempt, error), error);
}

/* What the types cannot say about one outcome. Backends index tables by kind and dereference
 * matches without a look, so this is their only guard; in a release build as well. */
static void assert_outcome(const struct store_outcome *o)
{
    g_assert(o->seq > 0 && o->kind <= STORE_RETRY);
    g_assert(o->match_count == 0 || (o->kind == STORE_PROCESSED && o->matches != NULL));
    g_assert(o->kind != STORE_DUPLICATE || o->duplicate_of > 0);
}

/* A settlement without outcomes still moves the position: messages may end without a row of their
 * own. The time of a failed transaction is observed too, its size is not. */
bool store_settle(struct store *s, const struct store_settlement *what, GError **error)
{
    int64_t start_us;
    bool ok;

    g_assert(what->position >= 0 && (what->count == 0 || what->outcomes != NULL));
    for (size_t i = 0; i < what->count; i++)
        assert_outcome(&what->outcomes[i]);
    /* Nothing to write is nothing to make durable. */
    if (what->count == 0 && what->position == 0)
        return true;
    start_us = clock_monotonic_us();
    ok = s->ops->settle(s, what, error);
    metric_observe(s->settle_seconds, (double)(clock_monotonic_us() - start_us) / 1e6);
    if (ok)
        metric_observe(s->settle_batch, (double)what->count);
    return note(s, ok, error);
}

bool store_retries(struct store *s, int64_t until_us, size_t max, struct arena *a,
                   struct store_retry **out, size_t *count, GError **error)
{
    g_assert(max > 0 && a != NULL && out != NULL && count != NULL);
    return note(s, s->ops->retries(s, until_us, max, a, out, count, error), error);
}

/* Only a caller who wants the result needs an arena. */
bool store_write_campaign(struct store *s, const struct store_campaign_write *write,
                          struct arena *a, struct store_campaign *result, GError **error)
{
    g_assert(write->id.size > 0 && write->change <= STORE_CAMPAIGN_DELETE);
    g_assert(result == NULL || a != NULL);
    return note(s, s->ops->write_campaign(s, write, a, result, error), error);
}

/* since comes from an earlier call, or is STORE_CAMPAIGNS_ALL. */
bool store_load_campaigns(struct store *s, const struct store_campaign_range *range,
                          struct arena *a, struct store_campaign_page *page, GError **error)
{
    g_assert(range->since >= STORE_CAMPAIGNS_ALL && range->max > 0);
    g_assert(range->after.size == 0 || range->since == STORE_CAMPAIGNS_ALL);
    g_assert(a != NULL && page != NULL);
    return note(s, s->ops->load_campaigns(s, range, a, page, error), error);
}

/* A limit of 0 would make pages that never move on. Versions are of one campaign only: their cursor
 * is a version number. */
bool store_list(struct store *s, const struct store_query *query, struct arena *a, store_row_fn row,
                void *user, struct store_page *page, GError **error)
{
    g_assert(query->view <= STORE_VERSIONS && query->limit > 0);
    g_assert(query->view != STORE_VERSIONS || query->campaign_id.size > 0);
    g_assert(a != NULL && row != NULL && page != NULL);
    return note(s, s->ops->list(s, query, a, row, user, page, error), error);
}

/* Asked again and again by the housekeeper, for the gauges: backends keep it cheap. */
bool store_get_summary(struct store *s, struct store_summary *out, GError **error)
{
    g_assert(out != NULL);
    return note(s, s->ops->summary(s, out, error), error);
}

/* Problems found are an answer, not an error of the store; only a check that could not be made
 * counts. */
bool store_check(struct store *s, enum store_check level, GPtrArray *problems, GError **error)
{
    g_assert(problems != NULL && level <= STORE_CHECK_FULL);
    return note(s, s->ops->check(s, level, problems, error), error);
}

void store_close(struct store *s)
{
    if (s != NULL)
        s->ops->close(s);
}
