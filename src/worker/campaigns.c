/* campaigns: the store's documents become one immutable set, all at once or not at all. */
#include "worker/campaigns.h"

#include "common/log.h"

/* No real generation: makes the first load always give everything. */
#define GENERATION_NONE (-1)

/* Documents are checked before they are stored, so one that does not parse was written by another
 * version or by hand. It must not stop the others. The set takes the parsed campaign. */
static void add_campaign(struct campaign_set *set, const struct store_campaign *stored)
{
    struct problems problems;
    struct campaign *campaign;

    problems_init(&problems);
    campaign = campaign_parse(stored->document, stored->id, &problems);
    if (campaign != NULL) {
        campaign_set_add(set, campaign, stored->version);
    } else {
        g_autofree char *text = problems_text(&problems);

        log_error(LOG_MSG("a stored campaign cannot be read and is left out; store it again"),
                  LOG_TEXT("campaign_id", stored->id), LOG_INT("version", stored->version),
                  LOG_STRING("error", text));
    }
    problems_done(&problems);
}

/* The new set is complete before the old one is let go: a batch never sees half a change. */
bool campaigns_refresh(struct store *store, struct campaign_set **set, GError **error)
{
    int64_t known = *set != NULL ? campaign_set_generation(*set) : GENERATION_NONE;
    int64_t generation = known;
    struct store_campaign *stored = NULL;
    struct campaign_set *fresh;
    struct arena arena;
    size_t count = 0;
    bool is_ok;

    arena_init(&arena);
    is_ok = store_load_campaigns(store, known, &arena, &generation, &stored, &count, error);
    if (is_ok && generation != known) {
        fresh = campaign_set_new(generation);
        for (size_t i = 0; i < count; i++)
            add_campaign(fresh, &stored[i]);
        campaign_set_finish(fresh);
        campaign_set_unref(*set);
        *set = fresh;
        log_info(LOG_MSG("campaigns loaded"), LOG_INT("generation", generation),
                 LOG_INT("active", (int64_t)campaign_set_count(fresh)));
    }
    arena_done(&arena);
    return is_ok;
}
