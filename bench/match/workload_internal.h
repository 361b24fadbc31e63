/* workload_internal: what the files of the workload share: the attributes of events and how often
 * each value of theirs occurs. Nobody else includes this.
 */
#ifndef MATCH_WORKLOAD_INTERNAL_H
#define MATCH_WORKLOAD_INTERNAL_H

#include "match/chance.h"
#include "match/workload.h"

/* ---- zipf -------------------------------------------------------------------------------------
 */

/* Value i (from 0) is 1 / (i + 1) times as likely as value 0. In whole numbers, so that the same
 * chance gives the same value on every machine. */
struct zipf {
    uint64_t *ends; /* weights added up */
    uint32_t count;
};

uint32_t zipf_pick(const struct zipf *z, struct chance *c);

/* The share of events that have value i. */
double zipf_share(const struct zipf *z, uint32_t i);

/* The value whose share is nearest to the one wanted. */
uint32_t zipf_near(const struct zipf *z, double share);

/* ---- attributes -------------------------------------------------------------------------------
 */

/* In the order in which they stand in an event and in a pattern. */
enum field {
    FIELD_TYPE,
    FIELD_CUSTOMER,
    FIELD_ORDER,
    FIELD_AMOUNT,
    FIELD_COUNTRY,
    FIELD_CATEGORY,
    FIELD_SKU,
    FIELD_CHANNEL,
    FIELD_WEIGHT,
    FIELD_TIER,
    FIELD_POINTS,
    FIELD_DAYS,
    FIELD_ZIP,
    FIELD_TAGS,
    FIELD_ITEM_SKU,
    FIELD_ITEM_KIND,
    FIELD_COUPON,
    FIELD_NOTE,
    FIELD_STORE,
    FIELD_SEGMENT,
    FIELDS,
};

/* Attributes whose values are words. */
enum words {
    WORDS_TYPE,
    WORDS_COUNTRY,
    WORDS_CATEGORY,
    WORDS_CHANNEL,
    WORDS_TIER,
    WORDS_TAG,
    WORDS_KIND, /* of an item */
    WORDS_LISTS,
};

/* What makes the sequences of different things different. */
enum kind {
    KIND_EVENT = 1,
    KIND_PATTERN,
};

#define TAGS_MAX       4 /* an event has 0 to that many */
#define ITEMS_MAX      2 /* half of the events have none, the others 1 to that many */
#define COUPON_SHARE   0.25
#define NOTE_SHARE     0.05
#define ZIP_DIGITS     5
#define ORDER_DIGITS   8
#define POINTS_COUNT   1000000 /* 0 to one less, all equally likely; so are the two below */
#define DAYS_COUNT     3650
#define WEIGHT_COUNT   30000
#define AMOUNT_OCTAVES 10 /* from 1.00 on, each twice as wide as the one before, equally likely */

struct workload {
    struct workload_options options;
    struct zipf words[WORDS_LISTS];
    struct zipf goods;  /* sku */
    struct zipf pairs;  /* "flat": values of either field */
    uint32_t customers; /* all equally likely */
};

/* The words of a list, the most frequent first; words[list].count of them. */
const char *workload_word(enum words list, uint32_t i);

/* Amount in cents below which that share of events lies. */
uint32_t workload_amount(double share);

/* As they are written: numbers are scattered, so that neighbours look different. */
void workload_put_sku(GString *out, uint32_t goods);
void workload_put_customer(GString *out, uint32_t customer);

#endif
