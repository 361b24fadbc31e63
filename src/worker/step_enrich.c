/* step_enrich: what the engine knows about an event and the event itself does not say: which
 * correlation id follows it, and when it was processed. Every item gets it, whatever its end. */
#include "core/trace_context.h"
#include "worker/steps.h"

/* The intake has chosen the correlation id; a message that came without gets the same one that the
 * intake would have made. The answer points into the message, the event or the item's own buffer:
 * it lives as long as they do. */
static struct slice correlation_of(struct item *item)
{
    struct slice trace_id = {0};

    if (item->message->correlation.size > 0 || !item->has_event)
        return item->message->correlation;
    if (item->event.correlation_id.size > 0)
        return item->event.correlation_id;
    if (!trace_context_parse(item->message->trace, &trace_id))
        trace_id = (struct slice){0};
    event_correlation(&item->event, trace_id, item->correlation_buffer);
    return slice_text(item->correlation_buffer);
}

bool step_enrich(struct pipeline *p, struct item *items, size_t count, GError **error)
{
    (void)error;
    for (size_t i = 0; i < count; i++) {
        items[i].correlation = correlation_of(&items[i]);
        /* A clock that was set back must not let an event end before it came. */
        items[i].processed_at_us = MAX(p->now_us, items[i].message->published_at_us);
    }
    return true;
}
