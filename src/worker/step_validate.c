/* step_validate: the envelope and its field rules. The intake has checked them already; what
 * breaks one here came another way into the queue, or the rules have changed since. */
#include "worker/steps.h"

/* The arrival time is the message's, so a retry judges a time stamp as the first attempt did. All
 * broken rules are collected, so one look at the failure shows everything that is to be mended. */
static void validate(struct pipeline *p, struct item *item)
{
    g_autofree char *text = NULL;

    if (event_decode(item->flat, item->message->body, item->message->published_at_us, "#",
                     &item->event, &p->problems)) {
        item->has_event = true;
        event_keep(&item->event, &p->texts); /* its flat will soon be another item's */
        item->fingerprint = event_fingerprint(item->event.source, item->event.event_id);
        return;
    }
    text = problems_text(&p->problems);
    item_fail(item, "invalid", arena_copy(&p->arena, slice_text(text)).data);
    problems_done(&p->problems);
    problems_init(&p->problems);
}

bool step_validate(struct pipeline *p, struct item *items, size_t count, GError **error)
{
    (void)error;
    for (size_t i = 0; i < count; i++)
        if (items[i].state == ITEM_OPEN)
            validate(p, &items[i]);
    return true;
}
