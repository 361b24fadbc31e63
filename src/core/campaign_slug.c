/* An id for a campaign whose writer gave it none: readable, and of the form that ids must have.
 * Two names may give the same slug; telling them apart is left to whoever stores them. Scripts
 * other than Latin leave nothing, and such names become "campaign". */
#include "core/campaign.h"

#include <glib.h>

/* Adds one character of the decomposed name. Runs of others become one '-', never at the start, as
 * ids demand. */
static void slug_add(GString *slug, gunichar c)
{
    if (g_unichar_ismark(c))
        return; /* the letter before it has already been taken: "é" comes as "e" and a mark */
    if (c < 128 && g_ascii_isalnum((gchar)c))
        g_string_append_c(slug, g_ascii_tolower((gchar)c));
    else if (slug->len > 0 && slug->str[slug->len - 1] != '-')
        g_string_append_c(slug, '-');
}

/* Cut to the length of an id, and not in the middle of a run of others. Bytes may be cut: there is
 * nothing but ASCII left. */
static void slug_trim(GString *slug)
{
    if (slug->len > CAMPAIGN_ID_MAX)
        g_string_truncate(slug, CAMPAIGN_ID_MAX);
    while (slug->len > 0 && slug->str[slug->len - 1] == '-')
        g_string_truncate(slug, slug->len - 1);
}

/* Compatibility decomposition splits letters from their marks and spells out ligatures, so what is
 * left of most Latin text is ASCII. Source: Unicode Standard Annex 15, form NFKD. */
char *campaign_slug(struct slice name)
{
    GString *slug = g_string_new(NULL);
    g_autofree char *text = g_utf8_make_valid(name.size > 0 ? name.data : "", (gssize)name.size);
    g_autofree char *plain = g_utf8_normalize(text, -1, G_NORMALIZE_NFKD);

    for (char *p = plain; *p != '\0'; p = g_utf8_next_char(p))
        slug_add(slug, g_utf8_get_char(p));
    slug_trim(slug);
    if (slug->len == 0)
        g_string_assign(slug, "campaign");
    return g_string_free(slug, FALSE);
}
