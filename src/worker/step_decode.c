/* step_decode: the bytes of each message become a flat document. */
#include "worker/steps.h"

/* Whether something other than white space follows the document, whose first `used` bytes
 * flat_parse has read. */
static bool has_rest(struct slice body, size_t used)
{
    const char *end = body.data + body.size;

    return json_scan_space(body.data + used, end) != end;
}

/* The flat stays valid until match is through. Broken JSON is final: no later
 * attempt reads it differently. Nor is a damaged event decided, even if it can be read: a reward
 * would rest on what nobody sent. */
static void decode(struct pipeline *p, struct item *item)
{
    g_autoptr(GError) error = NULL;
    size_t used = 0;

    if (item->message->is_damaged)
        item_fail(item, "damaged",
                  "the stored event does not fit its checksum: the disk changed it");
    else if (!flat_parse(item->flat, item->message->body, 0, &used, &error))
        item_fail(item, "invalid", arena_printf(&p->arena, "not valid JSON: %s", error->message));
    else if (has_rest(item->message->body, used))
        item_fail(item, "invalid", "not valid JSON: something follows the document");
}

bool step_decode(struct pipeline *p, struct item *items, size_t count, GError **error)
{
    (void)error;
    for (size_t i = 0; i < count; i++)
        if (items[i].state == ITEM_OPEN)
            decode(p, &items[i]);
    return true;
}
