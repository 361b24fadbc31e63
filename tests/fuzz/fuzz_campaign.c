/* fuzz_campaign: bytes as a campaign document. What is accepted must have a valid id and a
 * canonical document that is accepted again and stays the same, since that is what is stored. */
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "core/campaign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_campaign(const struct campaign *c)
{
    struct problems problems;
    struct campaign *again;

    g_assert_cmpuint(campaign_id(c).size, >, 0);
    g_assert_cmpuint(campaign_id(c).size, <=, CAMPAIGN_ID_MAX);
    problems_init(&problems);
    again = campaign_parse(campaign_document(c), campaign_id(c), &problems);
    g_assert_nonnull(again);
    g_assert_true(slice_equal(campaign_document(c), campaign_document(again)));
    g_assert_true(slice_equal(campaign_then(c), campaign_then(again)));
    campaign_free(again);
    problems_done(&problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems problems;
    struct campaign *c;

    problems_init(&problems);
    c = campaign_parse(slice_of(data, size), SLICE(""), &problems);
    g_assert_cmpint(c == NULL, ==, problems.total > 0);
    if (c != NULL)
        check_campaign(c);
    campaign_free(c);
    problems_done(&problems);
    return 0;
}
