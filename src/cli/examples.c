/* The example campaigns, embedded in the program as resources.
 *
 * They pass the same parser as any campaign of a user. One that does not is a fault of the build,
 * and ends the program; the tests load them all.
 */
#include "cli/examples.h"

#include <stdio.h>

#include <gio/gio.h>

#include "cli-resources.h"
#include "common/clock.h"
#include "common/error.h"
#include "core/campaign.h"

/* File names under src/cli/examples, without ".json". */
static const char *const EXAMPLES[] = {"credit-over-50", "welcome", "full-cart"};

/* Saves one document as a new campaign. CONFLICT when its id is taken, which includes a user's own
 * campaign of that name; it is left as it is. */
static bool example_save(struct store *store, struct slice document, GError **error)
{
    struct problems problems;
    struct campaign *campaign;
    struct store_campaign_write write = {.change = STORE_CAMPAIGN_CREATE, .at_us = clock_now_us()};
    struct arena scratch;
    bool is_saved;

    problems_init(&problems);
    campaign = campaign_parse(document, (struct slice){0}, &problems);
    /* Not the user's fault and nothing he could mend. */
    if (campaign == NULL) {
        g_autofree char *text = problems_text(&problems);

        g_error("an example campaign is not valid: %s", text);
    }
    problems_done(&problems);
    write.id = campaign_id(campaign);
    write.name = campaign_name(campaign);
    write.status = slice_text(campaign_status_name(campaign_status(campaign)));
    write.document = campaign_document(campaign);
    arena_init(&scratch);
    is_saved = store_write_campaign(store, &write, &scratch, NULL, error);
    arena_done(&scratch);
    campaign_free(campaign);
    return is_saved;
}

/* Each one in a transaction of its own; those that are there already are passed over. A document of
 * ours that is missing from the program is a fault of the build. */
bool examples_load(struct store *store, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(EXAMPLES); i++) {
        g_autofree char *path = g_strdup_printf("/eventflow/cli/examples/%s.json", EXAMPLES[i]);
        g_autoptr(GError) trouble = NULL;
        g_autoptr(GBytes) bytes = g_resource_lookup_data(cli_resources_get_resource(), path,
                                                         G_RESOURCE_LOOKUP_FLAGS_NONE, &trouble);
        struct slice document;

        if (bytes == NULL)
            g_error("embedded file missing: %s", trouble->message);
        /* Borrowed from the program itself; nothing is copied but into the store. */
        document = slice_of(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
        if (!example_save(store, document, &trouble) &&
            !g_error_matches(trouble, EF_ERROR, EF_ERROR_CONFLICT)) {
            g_propagate_error(error, g_steal_pointer(&trouble));
            return false;
        }
    }
    return true;
}

/* The event of the hint fits the first example. Flushed, as the program goes on running and its
 * output may be a pipe. */
void examples_print_hint(const char *listen)
{
    printf("Three example campaigns are loaded. Send a purchase over $50, then see where it went:\n"
           "\n"
           "  curl -i http://%s/events -H 'Content-Type: application/json' -d "
           "'{\"event_id\":\"order-1\",\"event_type\":\"purchase\",\"customer_id\":\"c42\","
           "\"payload\":{\"amount\":75,\"currency\":\"USD\"}}'\n"
           "  curl http://%s/events/order-1\n"
           "\n"
           "All routes: http://%s/docs   Stop with Ctrl-C.\n",
           listen, listen, listen);
    fflush(stdout);
}
