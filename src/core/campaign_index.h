/* campaign_index: which campaigns an event could match at all, without looking at each.
 *
 *   event_type ["purchase"], customer_id ["vip-7"]     filed under (customer_id, "vip-7")
 *   event_type ["purchase"], amount >= 50              filed under (event_type, "purchase")
 *   amount >= 50                                       no plain text: always a candidate
 *
 * Every way through a pattern ($or multiplied out) is filed under the plain texts of one of its
 * fields, the one whose texts the fewest others share: without one of them there it cannot match.
 * So an event costs one look-up for each path in use and text there, and then the patterns of few
 * candidates. What it guarantees: whoever matches is a candidate. What it does not do: decide; a
 * candidate's pattern has to be evaluated. Ranges, prefixes and the like are not filed. Source:
 * Fabret et al., SIGMOD 2001 ("access predicates"). Pure; immutable once built.
 */
#ifndef CORE_CAMPAIGN_INDEX_H
#define CORE_CAMPAIGN_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "core/flat.h"
#include "core/pattern.h"

struct campaign_index;

/* A set of numbers below n, one bit each. */
#define CAMPAIGN_BITS(n) (((n) + 63) / 64)

/* Candidates are named by their place in patterns, which need not outlive the call. */
struct campaign_index *campaign_index_new(const struct pattern *const *patterns, size_t count);
void campaign_index_free(struct campaign_index *index); /* accepts NULL */

/* Sets bits (CAMPAIGN_BITS(count) of them, any content before) to the candidates. Any thread. */
void campaign_index_find(const struct campaign_index *index, const struct flat *event,
                         uint64_t *bits);

#endif
