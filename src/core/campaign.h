/* campaign: the document users write: closed schema, checked with pointers, compiled once.
 *
 * Fields understood now: id name description labels status rules then. The other fields of the
 * language (docs/campaigns.md) are refused with "not supported yet", unknown ones with the nearest
 * valid name; server-made fields (version, created_at …) are refused too. Pure.
 */
#ifndef CORE_CAMPAIGN_H
#define CORE_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/json.h"
#include "common/slice.h"
#include "core/flat.h"
#include "core/pattern.h"
#include "core/problem.h"

#define CAMPAIGN_ID_MAX 63 /* bytes; ^[a-z0-9][a-z0-9-]{0,62}$ */

enum campaign_status {
    CAMPAIGN_DRAFT,  /* being written: checked, never matched */
    CAMPAIGN_ACTIVE, /* matched; the default of a document without a status */
    CAMPAIGN_PAUSED, /* not matched for now */
    CAMPAIGN_ENDED,  /* not matched any more */
};

/* The word that documents use, and back; parse is false, and status unchanged, for any other. */
const char *campaign_status_name(enum campaign_status status);
bool campaign_status_parse(struct slice name, enum campaign_status *status);

/* A checked document. Immutable after parse; owns everything it points to. */
struct campaign;

/* For documents that were checked when they were stored: the limits of that time may have been
 * higher than today's, so these are the highest there are. */
extern const struct pattern_limits CAMPAIGN_LIMITS_STORED;

/* Parses, checks and compiles. limits: of the rules. default_id: used when the document has no "id"
 * (a PUT's path id, or empty: the id is made from the name). A document whose "id" differs from a
 * given default_id is a problem. NULL when there is any problem. */
struct campaign *campaign_check(struct slice document, struct slice default_id,
                                const struct pattern_limits *limits, struct problems *problems);

/* The same for a document from the store: within CAMPAIGN_LIMITS_STORED. */
struct campaign *campaign_parse(struct slice document, struct slice default_id,
                                struct problems *problems);

/* Accepts NULL. Slices taken from the campaign end with it. */
void campaign_free(struct campaign *c);

/* Borrowed until campaign_free. */
struct slice campaign_id(const struct campaign *c);
struct slice campaign_name(const struct campaign *c);
enum campaign_status campaign_status(const struct campaign *c);
struct slice campaign_then(const struct campaign *c); /* the rewards' JSON array, "[]" if none */

/* Whether the event fulfils the rules. Pure; any number of threads. */
bool campaign_matches(const struct campaign *c, const struct flat *event);

/* The compiled rules; borrowed until campaign_free. */
const struct pattern *campaign_rules(const struct campaign *c);

/* The same, owned by caller from now on: the campaign has none any more. */
struct pattern *campaign_take_rules(struct campaign *c);

/* The canonical document: compact JSON, fields in the schema's order, id and status filled in,
 * everything else as written (number text exact). */
struct slice campaign_document(const struct campaign *c);

/* Whether the text may be a campaign's id: ^[a-z0-9][a-z0-9-]{0,62}$ */
bool campaign_id_is_valid(struct slice id);

/* A slug made from the name: lower-case ASCII letters and digits, runs of others become one '-',
 * Latin letters with marks lose them; "campaign" when nothing is left. Owned by caller. */
char *campaign_slug(struct slice name);

#endif
