/* campaign_set: which active campaigns match an event; a snapshot that changes are added to.
 *
 *   all campaigns ──builder──▶ set: one index, the base
 *   changes ─────────change──▶ set: the same base, places of it that count no more (a bit each),
 *                                   some smaller indexes, and the last few campaigns as they are
 *
 * What it is for: 100,000 campaigns and a change of one of them within microseconds, while other
 * threads go on matching against the set of before. What is large is shared between the sets and
 * never copied; the small indexes are merged into larger ones as they grow, and when the changes
 * are a good part of all somebody builds a new base (campaign_set_figures says how far it is). What
 * it guarantees: the answers of campaign_matches, campaign by campaign, ordered by id. A change is
 * in force whole or not at all. What it does not do: load campaigns, build in the background
 * (worker/campaigns.h). Pure.
 */
#ifndef CORE_CAMPAIGN_SET_H
#define CORE_CAMPAIGN_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "common/arena.h"
#include "common/slice.h"
#include "core/campaign.h"
#include "core/flat.h"
#include "core/matcher/matcher.h"

/* Immutable and reference-counted: any number of threads. Owns all it needs. */
struct campaign_set;

/* A base that is being put together. One thread. */
struct campaign_set_builder;

struct campaign_set_builder *campaign_set_builder_new(void);
void campaign_set_builder_free(struct campaign_set_builder *b); /* accepts NULL */

/* Adds a campaign, borrowed for the call; only active ones are kept. Ids ascend, each once. */
void campaign_set_builder_add(struct campaign_set_builder *b, const struct campaign *campaign,
                              int64_t version);

/* As matcher_builder_sample. */
void campaign_set_builder_sample(struct campaign_set_builder *b, struct slice document);

/* The least that a set of what was added takes, as matcher_builder_bytes. */
size_t campaign_set_builder_bytes(const struct campaign_set_builder *b);

/* The set of what was added; one reference, the caller's. The builder is only to be freed
 * afterwards. generation: what the caller knows the state by. memory_max: bytes that the set may
 * take, 0: no limit. Errors: EF_ERROR_FULL: it would take more. */
struct campaign_set *campaign_set_builder_finish(struct campaign_set_builder *b, int64_t generation,
                                                 size_t memory_max, GError **error);

/* One campaign as it is from now on. */
struct campaign_set_change {
    struct slice id;
    struct campaign *campaign; /* NULL: there is none any more; one not active counts as none */
    int64_t version;
};

/* The set after the changes, made in their order. Takes the campaigns, in any case. Cost: a few
 * microseconds a change, and now and then a small index is built. memory_max and errors as above;
 * set stays as it is. */
struct campaign_set *campaign_set_change(const struct campaign_set *set,
                                         const struct campaign_set_change *changes, size_t count,
                                         int64_t generation, size_t memory_max, GError **error);

struct campaign_set *campaign_set_ref(struct campaign_set *set);
void campaign_set_unref(struct campaign_set *set); /* accepts NULL */

/* As given to finish or change. */
int64_t campaign_set_generation(const struct campaign_set *set);

/* Whether one was made of the other by changes, or both of a third. */
bool campaign_set_shares_base(const struct campaign_set *a, const struct campaign_set *b);

struct campaign_set_figures {
    size_t rules;   /* campaigns in force */
    size_t base;    /* campaigns of the base, those that count no more included */
    size_t changed; /* campaigns beside the base, and places of it that count no more */
    size_t indexes; /* that an event is held against, the base included */
    size_t bytes;   /* of memory, about */
    size_t samples; /* events that the base was built with */
};

void campaign_set_get_figures(const struct campaign_set *set, struct campaign_set_figures *out);

/* One match: what is recorded of the campaign. */
struct campaign_set_entry {
    struct slice id;   /* borrowed from the set */
    int64_t version;   /* of the campaign that matched */
    struct slice then; /* its rewards; borrowed like id */
};

struct campaign_set_found {
    const struct campaign_set_entry *entries; /* in the arena; slices in the set */
    size_t count;
    size_t candidates; /* campaigns that had to be looked at */
};

/* Every campaign whose rules match, ordered by id; keep a reference of the set as long as the
 * entries. Pure apart from run and arena. */
void campaign_set_match(const struct campaign_set *set, struct matcher_run *run,
                        const struct flat *event, struct arena *a, struct campaign_set_found *out);

#endif
