/* memory_internal: what the two files of the memory store share.
 *
 * The memory store is a real backend with the same answers as the SQLite one, for tests and for
 * trying things out; everything is gone when it is closed. Rows are never removed, so they live in
 * one arena; trees keep them in the order of the lists.
 */
#ifndef STORE_MEMORY_INTERNAL_H
#define STORE_MEMORY_INTERNAL_H

#include "store/store.h"

/* A row of events, matches or failures. Lives in the store's arena; only duplicates and the replay
 * marks of row change after it was put. */
struct memory_row {
    int64_t key; /* seq, for failures their id */
    struct store_row row;
    struct hash_digest digest; /* events */
};

/* All versions of one campaign id, deleted or not. On the heap, freed by the tree. */
struct memory_campaign {
    GArray *versions;      /* struct store_campaign, oldest first; never empty */
    int64_t deleted_at_us; /* 0: live */
    int64_t generation;    /* of the last change */
};

/* One lock for all: tests and demos need right answers here, not concurrency. */
struct store_memory {
    struct store store; /* first member */
    GMutex lock;        /* of everything below */
    struct arena arena;
    GTree *events, *matches, *failures; /* sets of struct memory_row, by key, then campaign id */
    GHashTable *ids;                    /* set of events' struct memory_row, by source and id */
    GTree *retries;                     /* int64_t * (seq) -> struct store_retry */
    GTree *campaigns;                   /* struct slice * (id) -> struct memory_campaign */
    struct store_summary counters;      /* the members that settle counts */
};

/* The newest version as callers see it. */
struct store_campaign store_memory_current(const struct memory_campaign *campaign);

/* The list member of the ops table; takes the lock. */
bool store_memory_list(struct store *store, const struct store_query *query, struct arena *a,
                       store_row_fn row, void *user, struct store_page *page, GError **error);

#endif
