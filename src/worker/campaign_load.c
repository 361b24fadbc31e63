/* Pages of all campaigns are of different moments, so a load of all ends with a load of what
 * changed since its first page. */
#include "worker/campaign_load.h"

#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"

#define PAGE_MAX    256                    /* campaigns; a document may have 256 KiB */
#define PROGRESS_US (INT64_C(2) * 1000000) /* a line this often */
#define TRIES       4                      /* of a load whose changes meanwhile do not fit */

/* Documents are checked before they are stored, so one that does not parse was written by another
 * version or by hand. NULL: it is left out. Owned by caller. */
static struct campaign *parse_stored(const struct store_campaign *stored)
{
    struct problems problems;
    struct campaign *campaign;

    problems_init(&problems);
    campaign = campaign_parse(stored->document, stored->id, &problems);
    if (campaign == NULL) {
        g_autofree char *text = problems_text(&problems);

        log_error(LOG_MSG("a stored campaign cannot be read and is left out; store it again"),
                  LOG_TEXT("campaign_id", stored->id), LOG_INT("version", stored->version),
                  LOG_STRING("error", text));
    }
    problems_done(&problems);
    return campaign;
}

/* ---- everything ------------------------------------------------------------------------------ */

/* A load of all on its way. */
struct loading {
    const struct campaign_load *load;
    struct campaign_set_builder *builder;
    struct arena arena;  /* of the page */
    size_t count;        /* campaigns that were read */
    size_t active;       /* those that were added */
    bool is_over;        /* what was added takes more than there is */
    int64_t generation;  /* of the first page */
    int64_t progress_us; /* monotonic: of the last line, or of the beginning */
};

static bool is_stopping(const struct campaign_load *load, GError **error)
{
    if (load->is_stopping == NULL || g_atomic_int_get(load->is_stopping) == 0)
        return false;
    g_set_error_literal(error, EF_ERROR, EF_ERROR_STOPPED, "loading the campaigns was stopped");
    return true;
}

static void note_progress(struct loading *l)
{
    int64_t now_us = clock_monotonic_us();

    if (now_us - l->progress_us < PROGRESS_US)
        return;
    l->progress_us = now_us;
    log_info(LOG_MSG("loading campaigns"), LOG_INT("campaigns", (int64_t)l->count));
}

static void add_page(struct loading *l, const struct store_campaign_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        struct campaign *campaign = NULL;

        if (slice_equal(page->campaigns[i].status, SLICE("active")))
            campaign = parse_stored(&page->campaigns[i]);
        if (campaign != NULL) {
            campaign_set_builder_add(l->builder, campaign, page->campaigns[i].version);
            l->active++;
        }
        campaign_free(campaign);
    }
    l->count += page->count;
}

/* What is gathered is kept until the index is built, so what cannot fit ends here. */
static bool check_memory(struct loading *l, GError **error)
{
    size_t max = l->load->base_max;

    l->is_over = max > 0 && campaign_set_builder_bytes(l->builder) > max;
    if (l->is_over)
        g_set_error(error, EF_ERROR, EF_ERROR_FULL,
                    "more than %zu campaigns would take more than %zu bytes", l->active, max);
    return !l->is_over;
}

/* The cursor is copied: it lives in the page that is let go. */
static bool add_all(struct loading *l, GError **error)
{
    struct store_campaign_range range = {.since = STORE_CAMPAIGNS_ALL, .max = PAGE_MAX};
    struct store_campaign_page page = {.has_more = true};
    char after[CAMPAIGN_ID_MAX + 1];

    while (page.has_more) {
        arena_reset(&l->arena);
        if (is_stopping(l->load, error) ||
            !store_load_campaigns(l->load->store, &range, &l->arena, &page, error))
            return false;
        if (l->count == 0)
            l->generation = page.generation;
        add_page(l, &page);
        if (!check_memory(l, error))
            return false;
        if (!page.has_more)
            break;
        range.after = page.campaigns[page.count - 1].id;
        g_assert(range.after.size <= sizeof(after));
        memcpy(after, range.after.data, range.after.size);
        range.after.data = after;
        note_progress(l);
    }
    return true;
}

static void add_sample(struct loading *l)
{
    g_autoptr(GPtrArray) events = NULL;

    if (l->load->sample == NULL)
        return;
    events = event_sample_get(l->load->sample);
    for (guint i = 0; i < events->len; i++) {
        gsize size;
        const void *data = g_bytes_get_data(g_ptr_array_index(events, i), &size);

        campaign_set_builder_sample(l->builder, slice_of(data, size));
    }
}

/* A base of what was read; NULL: refused. Owned by caller. */
static struct campaign_set *build_base(struct loading *l, GError **error)
{
    add_sample(l);
    return campaign_set_builder_finish(l->builder, l->generation, l->load->base_max, error);
}

/* One try. *generation: what was read of. *is_outrun: the campaigns fit as they were read, and not
 * with what changed meanwhile. */
static enum campaign_load_end load_once(const struct campaign_load *load, struct campaign_set **set,
                                        int64_t *generation, bool *is_outrun, GError **error)
{
    struct loading l = {.load = load, .progress_us = clock_monotonic_us()};
    enum campaign_load_end end = CAMPAIGN_LOAD_REFUSED;
    struct campaign_set *base = NULL;
    size_t changes;

    l.builder = campaign_set_builder_new();
    if (add_all(&l, error))
        base = build_base(&l, error);
    else if (!l.is_over)
        end = CAMPAIGN_LOAD_FAILED;
    campaign_set_builder_free(l.builder);
    arena_done(&l.arena);
    if (base != NULL)
        end = campaign_load_changes(load, &base, &changes, error);
    *is_outrun = base != NULL && end == CAMPAIGN_LOAD_REFUSED;
    *generation = l.generation;
    if (end == CAMPAIGN_LOAD_DONE)
        *set = base;
    else
        campaign_set_unref(base);
    return end;
}

/* Changes take more room than the index of the same campaigns, so whether these fit shows when
 * all are loaded again. Not for ever: somebody may write faster than they are loaded. */
enum campaign_load_end campaign_load_all(const struct campaign_load *load,
                                         struct campaign_set **set, int64_t *generation,
                                         GError **error)
{
    enum campaign_load_end end = CAMPAIGN_LOAD_REFUSED;
    bool is_outrun = true;
    int64_t loaded = 0;

    for (int i = 0; i < TRIES && is_outrun; i++) {
        g_clear_error(error);
        end = load_once(load, set, &loaded, &is_outrun, error);
    }
    if (end == CAMPAIGN_LOAD_REFUSED)
        *generation = loaded;
    return end;
}

/* ---- changes --------------------------------------------------------------------------------- */

/* The set with the changes of the page; NULL: refused. Owned by caller. */
static struct campaign_set *apply_page(const struct campaign_load *load,
                                       const struct campaign_set *set,
                                       const struct store_campaign_page *page, GError **error)
{
    struct campaign_set_change *changes = g_new0(struct campaign_set_change, page->count);
    struct campaign_set *changed;

    for (size_t i = 0; i < page->count; i++) {
        const struct store_campaign *stored = &page->campaigns[i];

        changes[i].id = stored->id;
        changes[i].version = stored->version;
        if (!stored->is_deleted && slice_equal(stored->status, SLICE("active")))
            changes[i].campaign = parse_stored(stored);
    }
    changed =
        campaign_set_change(set, changes, page->count, page->generation, load->changes_max, error);
    g_free(changes);
    return changed;
}

/* One page of changes into *set. */
static enum campaign_load_end load_page(const struct campaign_load *load, struct campaign_set **set,
                                        struct arena *a, struct store_campaign_page *page,
                                        GError **error)
{
    struct store_campaign_range range = {.since = campaign_set_generation(*set), .max = PAGE_MAX};
    struct campaign_set *changed;

    if (!store_load_campaigns(load->store, &range, a, page, error))
        return CAMPAIGN_LOAD_FAILED;
    if (page->count == 0)
        return CAMPAIGN_LOAD_DONE;
    changed = apply_page(load, *set, page, error);
    if (changed == NULL)
        return CAMPAIGN_LOAD_REFUSED;
    campaign_set_unref(*set);
    *set = changed;
    return CAMPAIGN_LOAD_DONE;
}

/* The usual call finds nothing: one look at one row. */
enum campaign_load_end campaign_load_changes(const struct campaign_load *load,
                                             struct campaign_set **set, size_t *changes,
                                             GError **error)
{
    struct campaign_set *newest = campaign_set_ref(*set);
    struct store_campaign_page page = {.has_more = true};
    enum campaign_load_end end = CAMPAIGN_LOAD_DONE;
    struct arena arena = {0};

    *changes = 0;
    while (end == CAMPAIGN_LOAD_DONE && page.has_more) {
        arena_reset(&arena);
        page = (struct store_campaign_page){0};
        end = load_page(load, &newest, &arena, &page, error);
        *changes += page.count;
    }
    arena_done(&arena);
    if (end == CAMPAIGN_LOAD_DONE) {
        campaign_set_unref(*set);
        *set = newest;
    } else {
        campaign_set_unref(newest);
    }
    return end;
}
