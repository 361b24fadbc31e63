/* step_match: every campaign whose rules match; the event is then processed.
 *
 * An event without a match is processed as well: that no campaign wanted it is a result, too.
 * The probe and the fault point are for tests; without them this step cannot fail. */
#include "common/clock.h"
#include "common/error.h"
#include "common/fault_point.h"
#include "worker/steps.h"

/* Whatever the probe says, it is this event that failed, not the infrastructure. */
static bool probe(struct pipeline *p, const struct item *item, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (p->options.probe == NULL ||
        p->options.probe(p->options.probe_user, item->event.event_id, &cause))
        return true;
    g_set_error_literal(error, EF_ERROR, EF_ERROR_INPUT,
                        cause != NULL ? cause->message : "the event cannot be processed");
    return false;
}

/* Ids and rewards are borrowed from the set, which the pipeline holds until after settle. */
static void match(struct pipeline *p, struct item *item)
{
    struct campaign_set_found found = {0};
    struct store_match *matches = NULL;

    if (p->campaigns != NULL)
        campaign_set_match(p->campaigns, p->matching, item->flat, &p->arena, &found);
    if (found.count > 0)
        matches = ARENA_NEW(&p->arena, struct store_match, found.count);
    for (size_t i = 0; i < found.count; i++)
        matches[i] = (struct store_match){.campaign_id = found.entries[i].id,
                                          .campaign_version = found.entries[i].version,
                                          .rewards = found.entries[i].then};
    p->tally.matched++;
    p->tally.candidates += found.candidates;
    item->matches = matches;
    item->match_count = found.count;
    item->kind = STORE_PROCESSED;
    item->state = ITEM_ENDED;
}

bool step_match(struct pipeline *p, struct item *items, size_t count, GError **error)
{
    int64_t began_us = clock_monotonic_us();

    for (size_t i = 0; i < count; i++) {
        if (items[i].state != ITEM_OPEN)
            continue;
        if (EF_FAULT_ABOUT("worker.match", items[i].event.event_type)) {
            g_set_error_literal(error, EF_ERROR, EF_ERROR_INPUT, "failed on purpose");
            return false;
        }
        if (!probe(p, &items[i], error))
            return false;
        match(p, &items[i]);
    }
    p->tally.match_us += clock_monotonic_us() - began_us;
    return true;
}
