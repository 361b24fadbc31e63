/* step_dedupe: which events were processed before: in the store, in the batch that is being settled
 * meanwhile, or earlier in this run.
 *
 * An id is taken by the event that was processed under it, not by one that still waits for its
 * retry: its id is marked as seen together with its effects, never before.
 */
#include "worker/steps.h"

#include <inttypes.h>

/* The copy's end, given the event that stands. A copy with the same body is a duplicate; one with
 * another body is a mistake of the sender and fails. */
static void end_copy(struct pipeline *p, struct item *item, bool is_same, int64_t first_seq)
{
    if (!is_same) {
        item_fail(item, "event_id_conflict",
                  arena_printf(&p->arena,
                               "this event_id was processed with another body as message %" PRId64
                               "; that one stands",
                               first_seq));
        return;
    }
    item->state = ITEM_ENDED;
    item->kind = STORE_DUPLICATE;
    item->duplicate_of = first_seq;
}

/* New to the store: the first of its identity in the range stands, the others are its copies. Items
 * come in the order of seq, so the first one seen is the one that arrived first. The batch before,
 * if it is not settled yet, came earlier still. */
static void compare_in_range(struct pipeline *p, struct item *item)
{
    const struct item *first = g_hash_table_lookup(p->firsts, item);

    if (first == NULL && p->before != NULL)
        first = g_hash_table_lookup(p->before->firsts, item);
    if (first == NULL) {
        g_hash_table_add(p->firsts, item);
        return;
    }
    end_copy(p, item,
             memcmp(&first->event.digest, &item->event.digest, sizeof(first->event.digest)) == 0,
             first->message->seq);
}

/* The item's end, or none: an event that is new stays open for the next steps. */
static void decide(struct pipeline *p, struct item *item, const struct store_seen *seen)
{
    if (seen->kind == STORE_SEEN_NEW)
        compare_in_range(p, item);
    else if (seen->seq == item->message->seq)
        item->state = ITEM_SETTLED; /* itself: its commit went through though we were told no */
    else
        end_copy(p, item, seen->kind == STORE_SEEN_SAME, seen->seq);
}

/* The items that are asked about, in order, with their keys beside them. Returns how many there
 * are; both arrays have room for count. */
static size_t collect(struct item *items, size_t count, struct store_key *keys, struct item **open)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (items[i].state != ITEM_OPEN)
            continue;
        open[n] = &items[i];
        keys[n++] = (struct store_key){.source = items[i].event.source,
                                       .event_id = items[i].event.event_id,
                                       .digest = items[i].event.digest};
    }
    return n;
}

bool step_dedupe(struct pipeline *p, struct item *items, size_t count, GError **error)
{
    struct store_key *keys = ARENA_NEW(&p->arena, struct store_key, count);
    struct store_seen *seen = ARENA_NEW(&p->arena, struct store_seen, count);
    struct item **open = ARENA_NEW(&p->arena, struct item *, count);
    size_t n = collect(items, count, keys, open);

    if (n == 0)
        return true;
    /* One question for all of them: the store answers from its index. */
    if (!store_seen(p->store, keys, n, seen, error))
        return false;
    for (size_t i = 0; i < n; i++)
        decide(p, open[i], &seen[i]);
    return true;
}
