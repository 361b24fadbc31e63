/* A store that wraps another one and fails on request, for tests of whatever stands above it.
 *
 * It is a real backend: it passes the contract suite, and what it lets through has real effects.
 * The plan of each kind of call is used up by the calls themselves, so a test can say "the third
 * settle fails twice" and let the program run. A lie (code -1) is the case that only distributed
 * stores have: the work is done, and the answer gets lost.
 *
 * It calls the inner store's ops and not the checked wrappers, or metrics would count twice.
 */
#include "store/store.h"

#include "common/error.h"

/* What is planned for one kind of call. */
struct fault_plan {
    unsigned after; /* calls to let pass first */
    unsigned times; /* calls to fail then */
    int code;
};

/* The lock guards the plans only; it is never held while the inner store works. */
struct store_fault {
    struct store store; /* first member */
    struct store *inner;
    GMutex lock; /* of the rest */
    struct fault_plan plans[STORE_CALL_COUNT];
    GBytes *poison; /* an event id, or NULL */
};

/* How a call goes: straight on, on with a false answer, or not at all. */
enum fault_course { FAULT_PASS, FAULT_LIE, FAULT_REFUSE };

/* The error of a planned fault; a negative code is the lie. To the caller a lost answer looks like
 * passing trouble, hence RETRY: he will do the same again. */
static enum fault_course set_fault(int code, GError **error)
{
    g_set_error(error, EF_ERROR, code < 0 ? (int)EF_ERROR_RETRY : code, "fault made for a test");
    return code < 0 ? FAULT_LIE : FAULT_REFUSE;
}

/* Uses up the plan of that call; sets error unless FAULT_PASS. The calls that are let pass count
 * only while there is something to fail after them. */
static enum fault_course choose(struct store_fault *f, enum store_call call, GError **error)
{
    struct fault_plan *plan = &f->plans[call];
    enum fault_course course = FAULT_PASS;

    g_mutex_lock(&f->lock);
    if (plan->after > 0 && plan->times > 0) {
        plan->after--;
    } else if (plan->times > 0) {
        plan->times--;
        course = set_fault(plan->code, error);
    }
    g_mutex_unlock(&f->lock);
    return course;
}

/* Replaces what was left of an earlier plan. Any thread, also while calls are under way. */
void store_fault_set(struct store *s, enum store_call call, unsigned after, unsigned times,
                     int code)
{
    struct store_fault *f = (struct store_fault *)s;

    g_assert(s->ops == &store_fault_ops && call < STORE_CALL_COUNT);
    g_mutex_lock(&f->lock);
    f->plans[call] = (struct fault_plan){.after = after, .times = times, .code = code};
    g_mutex_unlock(&f->lock);
}

/* The id is copied. Unlike a plan it is never used up: the same row fails each time it is tried,
 * which is what drives a batch into being split. */
void store_fault_poison(struct store *s, struct slice event_id)
{
    struct store_fault *f = (struct store_fault *)s;

    g_assert(s->ops == &store_fault_ops);
    g_mutex_lock(&f->lock);
    g_clear_pointer(&f->poison, g_bytes_unref);
    if (event_id.size > 0)
        f->poison = g_bytes_new(event_id.data, event_id.size);
    g_mutex_unlock(&f->lock);
}

/* Cannot fail, so taking the inner store is all there is to it. */
static struct store *fault_open(const struct store_options *options, GError **error)
{
    struct store_fault *f;

    (void)error;
    g_assert(options->inner != NULL);
    f = g_new0(struct store_fault, 1);
    f->store.ops = &store_fault_ops;
    f->inner = options->inner;
    g_mutex_init(&f->lock);
    return &f->store;
}

/* The inner store was taken at open and ends here, through the wrapper that accepts NULL. */
static void fault_close(struct store *store)
{
    struct store_fault *f = (struct store_fault *)store;

    store_close(f->inner);
    g_clear_pointer(&f->poison, g_bytes_unref);
    g_mutex_clear(&f->lock);
    g_free(f);
}

/* Each call below: a lie calls the inner store without its error, so the prepared one is kept. */

/* Asking has no effects, so here a lie and a refusal look the same from above. */
static bool fault_seen(struct store *store, const struct store_key *keys, size_t count,
                       struct store_seen *out, GError **error)
{
    struct store_fault *f = (struct store_fault *)store;
    enum fault_course course = choose(f, STORE_CALL_SEEN, error);

    if (course == FAULT_LIE)
        f->inner->ops->seen(f->inner, keys, count, out, NULL);
    return course == FAULT_PASS && f->inner->ops->seen(f->inner, keys, count, out, error);
}

/* A lie leaves the attempt counted: the next try gets a number one higher. */
static bool fault_begin_attempt(struct store *store, int64_t seq, int64_t at_us, int *attempt,
                                GError **error)
{
    struct store_fault *f = (struct store_fault *)store;
    enum fault_course course = choose(f, STORE_CALL_BEGIN_ATTEMPT, error);

    if (course == FAULT_LIE)
        f->inner->ops->begin_attempt(f->inner, seq, at_us, attempt, NULL);
    return course == FAULT_PASS &&
           f->inner->ops->begin_attempt(f->inner, seq, at_us, attempt, error);
}

/* Looks at processed outcomes only: the failure that the event ends in must be storable. The slice
 * is borrowed from the poison, so the comparison stays under the lock. */
static bool is_poisoned(struct store_fault *f, const struct store_settlement *what)
{
    struct slice poison;
    bool found = false;

    g_mutex_lock(&f->lock);
    poison = f->poison == NULL
                 ? (struct slice){0}
                 : slice_of(g_bytes_get_data(f->poison, NULL), g_bytes_get_size(f->poison));
    for (size_t i = 0; f->poison != NULL && i < what->count; i++)
        found |= what->outcomes[i].kind == STORE_PROCESSED &&
                 slice_equal(what->outcomes[i].event_id, poison);
    g_mutex_unlock(&f->lock);
    return found;
}

/* The poison comes first and uses up no plan: it depends on what is settled, not on how often. A
 * lie settles and denies it, so the caller's next try meets CONFLICT or its own duplicates. */
static bool fault_settle(struct store *store, const struct store_settlement *what, GError **error)
{
    struct store_fault *f = (struct store_fault *)store;
    enum fault_course course;

    if (is_poisoned(f, what)) {
        set_fault(EF_ERROR_INPUT, error);
        return false;
    }
    course = choose(f, STORE_CALL_SETTLE, error);
    if (course == FAULT_LIE)
        f->inner->ops->settle(f->inner, what, NULL);
    return course == FAULT_PASS && f->inner->ops->settle(f->inner, what, error);
}

/* Reading calls know no lie: nothing is done, so nothing can be done and denied. */
static bool fault_retries(struct store *store, int64_t until_us, size_t max, struct arena *a,
                          struct store_retry **out, size_t *count, GError **error)
{
    struct store_fault *f = (struct store_fault *)store;

    return choose(f, STORE_CALL_RETRIES, error) == FAULT_PASS &&
           f->inner->ops->retries(f->inner, until_us, max, a, out, count, error);
}

/* The result is lost with the answer: a lie fills none. */
static bool fault_write_campaign(struct store *store, const struct store_campaign_write *write,
                                 struct arena *a, struct store_campaign *result, GError **error)
{
    struct store_fault *f = (struct store_fault *)store;
    enum fault_course course = choose(f, STORE_CALL_WRITE_CAMPAIGN, error);

    if (course == FAULT_LIE)
        f->inner->ops->write_campaign(f->inner, write, a, NULL, NULL);
    return course == FAULT_PASS && f->inner->ops->write_campaign(f->inner, write, a, result, error);
}

static bool fault_load_campaigns(struct store *store, const struct store_campaign_range *range,
                                 struct arena *a, struct store_campaign_page *page, GError **error)
{
    struct store_fault *f = (struct store_fault *)store;

    return choose(f, STORE_CALL_LOAD_CAMPAIGNS, error) == FAULT_PASS &&
           f->inner->ops->load_campaigns(f->inner, range, a, page, error);
}

static bool fault_list(struct store *store, const struct store_query *query, struct arena *a,
                       store_row_fn row, void *user, struct store_page *page, GError **error)
{
    struct store_fault *f = (struct store_fault *)store;

    return choose(f, STORE_CALL_LIST, error) == FAULT_PASS &&
           f->inner->ops->list(f->inner, query, a, row, user, page, error);
}

/* Never broken: tests look at the outcome through these two. */
static bool fault_summary(struct store *store, struct store_summary *out, GError **error)
{
    struct store *inner = ((struct store_fault *)store)->inner;

    return inner->ops->summary(inner, out, error);
}

static bool fault_check(struct store *store, enum store_check level, GPtrArray *problems,
                        GError **error)
{
    struct store *inner = ((struct store_fault *)store)->inner;

    return inner->ops->check(inner, level, problems, error);
}

const struct store_ops store_fault_ops = {
    .name = "fault",
    .open = fault_open,
    .seen = fault_seen,
    .begin_attempt = fault_begin_attempt,
    .settle = fault_settle,
    .retries = fault_retries,
    .write_campaign = fault_write_campaign,
    .load_campaigns = fault_load_campaigns,
    .list = fault_list,
    .summary = fault_summary,
    .check = fault_check,
    .close = fault_close,
};
