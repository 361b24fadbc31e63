/* store: what happened, kept for ever: processed events, matches, failures, campaigns, counters.
 *
 *   worker ──seen──▶ decide ──settle (ONE transaction)──▶ tables ◀──list/summary── api, doctor
 *
 * What it guarantees: settle writes every outcome of a batch, the counters and the queue position
 * in one durable transaction or not at all; an event (source, event_id) is processed at most once,
 * and its id is marked as seen in the same transaction as its effects.
 * What it does not do: match, retry, keep the raw events of the embedded shape (the queue does).
 *
 * Every call blocks; never call one on a loop thread. Errors: RETRY passing trouble (busy), nothing
 * changed; FULL the disk is full, nothing changed; INPUT one of the rows cannot be stored (split
 * the batch); CORRUPT; FATAL a commit failed with unknown outcome: the process must end.
 * On-disk layout: store/schema/, documented in docs/message_schema.md.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "common/arena.h"
#include "common/hash.h"
#include "common/slice.h"

struct metric;
struct store;

/* Each backend reads its own members and ignores the others. */
struct store_options {
    const char *folder;       /* sqlite: where eventflow.db lives; borrowed for open */
    size_t dedupe_memory_max; /* bytes for the in-memory index; beyond it the on-disk one is used */
    bool read_only;           /* for doctor: no writes, no migration, no index */
    struct store *inner;      /* fault: the store it wraps (taken) */
    /* sqlite: called when a write failed with unknown outcome and the store is dead from then on,
     * beside the FATAL of the call; from any thread, perhaps twice. It must not call the store. May
     * be NULL. */
    void (*on_fatal)(void *user, const char *message);
    void *user;
};

/* ---- dedupe ---------------------------------------------------------------------------------- */

/* What is asked about an event that has just been decoded. Borrowed for the call. */
struct store_key {
    struct slice source; /* may be empty: a value like any other */
    struct slice event_id;
    struct hash_digest digest; /* of the body */
};

enum store_seen_kind {
    STORE_SEEN_NEW,      /* never processed */
    STORE_SEEN_SAME,     /* processed, with the same body */
    STORE_SEEN_CONFLICT, /* processed, with another body */
};

struct store_seen {
    enum store_seen_kind kind;
    int64_t seq; /* of the processed event; 0 when new */
};

/* ---- settling -------------------------------------------------------------------------------- */

/* A campaign that an event matched. At most one of each campaign in an outcome. */
struct store_match {
    struct slice campaign_id;
    int64_t campaign_version;
    struct slice rewards; /* JSON array: the campaign's "then" */
};

/* How a message ended. Every kind but RETRY is an end: it is counted once, and the message leaves
 * the retry table. The values index tables in the backends. */
enum store_outcome_kind {
    STORE_PROCESSED, /* to processed_events, its matches to campaign_matches */
    STORE_DUPLICATE, /* same id, same body: counted on the first one */
    STORE_FAILED,    /* to failed_events: reason, error */
    STORE_RETRY,     /* to be tried again at retry_at_us; the position may pass it */
};

/* The end of one message. The columns of the tables, in order. */
struct store_outcome {
    enum store_outcome_kind kind;
    int64_t seq;           /* of its message */
    struct slice event_id; /* may be empty for a failure that could not be decoded */
    struct slice source;
    struct slice event_type;
    struct slice customer_id; /* these are empty for a failure that could not be decoded */
    struct slice correlation_id;
    int64_t at_us;          /* the event's own time */
    int64_t received_at_us; /* when the front door took it, wall clock */
    int64_t finished_at_us; /* processed_at; for failures the last attempt's time */
    int64_t processing_us;  /* from the begin of its batch to the settlement, monotonic */
    const char *worker_id;
    int attempt;                /* 1.. */
    struct hash_digest digest;  /* PROCESSED */
    int64_t duplicate_of;       /* DUPLICATE: seq of the first one */
    const char *reason;         /* FAILED, RETRY: a word, e.g. "invalid", "event_id_conflict" */
    const char *error;          /* FAILED, RETRY: the text */
    struct slice body;          /* FAILED */
    int64_t first_failed_at_us; /* FAILED, RETRY */
    int64_t retry_at_us;        /* RETRY */
    int64_t replay_of;          /* id of the failure this message replays, 0 = none: the failure is
                                   marked replayed in the same transaction (not for RETRY) */
    const struct store_match *matches; /* PROCESSED */
    size_t match_count;
};

struct store_settlement {
    const struct store_outcome *outcomes; /* written in this order; borrowed for the call */
    size_t count;
    int64_t position; /* every message up to this seq is settled or in the retry table; 0 = as is */
};

/* A message that failed and waits to be tried again, or was being tried when the process died. */
struct store_retry {
    int64_t seq;
    int attempt;                /* attempts made so far */
    int64_t due_us;             /* wall clock */
    int64_t first_failed_at_us; /* wall clock; does not move with further attempts */
    struct slice error;         /* the last one; empty while it is only suspected */
};

/* ---- campaigns ------------------------------------------------------------------------------- */

struct store_campaign {
    struct slice id;
    struct slice name;
    struct slice status;
    struct slice document; /* canonical JSON */
    int64_t version;       /* 1.. */
    int64_t created_at_us; /* of version 1, or of the version that made a deleted id anew */
    int64_t updated_at_us; /* of this version; of the deletion when is_deleted */
    bool is_deleted;       /* never set in a list of VERSIONS */
};

/* DELETE only marks: the versions stay readable under STORE_VERSIONS. */
enum store_campaign_change { STORE_CAMPAIGN_CREATE, STORE_CAMPAIGN_UPDATE, STORE_CAMPAIGN_DELETE };

/* One change. Document, name and status were validated together; the store does not look inside. */
struct store_campaign_write {
    enum store_campaign_change change;
    struct slice id, name, status, document; /* DELETE: id only */
    int64_t
        expected_version; /* UPDATE, DELETE: 0 = any; else CONFLICT when it is not the current */
    int64_t at_us;        /* becomes created_at (CREATE) and updated_at */
};

#define STORE_CAMPAIGNS_ALL (-1) /* no generation */

/* Which campaigns to load. */
struct store_campaign_range {
    int64_t since;      /* STORE_CAMPAIGNS_ALL: every live one, by id; else a generation: those that
                           changed after it, deleted ones too, each once, in the order of changes */
    struct slice after; /* cursor of ALL: ids greater than this */
    size_t max;         /* campaigns at most, >= 1 */
};

/* What was loaded; in the arena given. */
struct store_campaign_page {
    struct store_campaign *campaigns; /* the newest versions, of any status */
    size_t count;
    bool has_more;      /* ask again: ALL behind the last id, else since generation */
    int64_t generation; /* ALL: the store's; else everything that changed up to it was given */
};

/* ---- reading --------------------------------------------------------------------------------- */

/* The values index tables in the backends. */
enum store_view { STORE_EVENTS, STORE_MATCHES, STORE_FAILURES, STORE_CAMPAIGNS, STORE_VERSIONS };

/* Filters: empty slice / 0 = any. Which apply to which view stands beside each. */
struct store_query {
    enum store_view view;
    struct slice event_id;    /* EVENTS MATCHES FAILURES; exact, uses an index where there is one */
    bool has_source;          /* whether source filters (the empty source is a value) */
    struct slice source;      /* EVENTS MATCHES FAILURES */
    struct slice customer_id; /* EVENTS MATCHES FAILURES */
    struct slice event_type;  /* EVENTS MATCHES FAILURES */
    struct slice campaign_id; /* MATCHES; VERSIONS: required; CAMPAIGNS: this one, also deleted */
    struct slice status;      /* CAMPAIGNS: draft…; FAILURES: "open" or "replayed" */
    struct slice reason;      /* FAILURES */
    int64_t seq;              /* EVENTS MATCHES: exactly this one; FAILURES: exactly this id */
    int64_t from_us,
        until_us;       /* event time in [from, until): EVENTS MATCHES; FAILURES: last_failed */
    int64_t before;     /* cursor: rows with a smaller seq (failure id, version) only; 0 = newest */
    struct slice after; /* cursor of CAMPAIGNS: ids greater than this, ascending */
    size_t limit;       /* rows at most, >= 1; MATCHES: the matches of one event are never
                           parted, so its last event may make the page longer */
    size_t scan_max;    /* rows looked at at most, 0 = no limit: then the page may be short
                           although more exists, and next says where to go on */
};

/* One row; the view says which members are set. Slices are valid during the callback only. */
struct store_row {
    int64_t seq; /* EVENTS MATCHES FAILURES(the failed message) */
    int64_t id;  /* FAILURES */
    struct slice event_id, source, event_type, customer_id, correlation_id;
    int64_t at_us, received_at_us, processed_at_us, processing_us; /* as in store_outcome */
    struct slice worker_id;                                        /* which one settled it */
    int attempt;                                                   /* FAILURES: attempts */
    int64_t duplicates;  /* EVENTS: how many came after the first */
    int64_t match_count; /* EVENTS */
    /* MATCHES */
    struct slice campaign_id;
    int64_t campaign_version;
    struct slice outcome; /* "granted" */
    struct slice rewards;
    int64_t matched_at_us;
    /* FAILURES */
    struct slice reason, error, body;
    int64_t first_failed_at_us, last_failed_at_us;
    int64_t replayed_at_us; /* 0: open */
    int64_t replay_seq;     /* the message that replayed it */
    /* CAMPAIGNS VERSIONS */
    struct store_campaign campaign;
};

/* Called once a row, in the order of the list, before list returns. It must not call the store: a
 * backend may hold a lock. user is the pointer that was given to list. */
typedef void (*store_row_fn)(const struct store_row *row, void *user);

/* How a page ended. A page may be empty and still have more, when scan_max ended it. */
struct store_page {
    size_t count;            /* rows given to the callback */
    bool has_more;           /* ask again with the cursor below */
    int64_t next;            /* cursor for before, when has_more */
    struct slice next_after; /* CAMPAIGNS: cursor for after; in the arena given */
};

/* Counters since the data folder was made; written by settle, so they always add up. */
struct store_summary {
    int64_t position; /* last settled seq */
    int64_t processed, failed, duplicate, matches,
        replayed;     /* messages by end; replayed failures */
    int64_t retrying; /* messages in the retry table */
    int64_t failures_open;
    int64_t campaigns_active;
    int64_t campaign_generation;           /* grows with every campaign change */
    bool dedupe_on_disk;                   /* the memory limit was reached */
    int64_t dedupe_entries, dedupe_memory; /* bytes */
};

/* In rising order of cost: PING is for readiness probes, FULL reads every page. */
enum store_check { STORE_CHECK_PING, STORE_CHECK_QUICK, STORE_CHECK_FULL };

/* The contract of a backend. Arguments have been checked by the wrappers below; outputs mean
 * nothing after false unless stated. Worker thread: called by the one thread that settles. Any
 * thread: callable at the same time as every other call. */
struct store_ops {
    const char *name; /* "sqlite" */

    /* Opens or creates, migrates, builds the dedupe index. Errors: NEWER (untouched), CORRUPT. */
    struct store *(*open)(const struct store_options *options, GError **error);

    /* For each key: processed before? Sees everything settled before the call; what is being
     * settled meanwhile it may see or not. Any thread. */
    bool (*seen)(struct store *s, const struct store_key *keys, size_t count,
                 struct store_seen *out, GError **error);

    /* Notes durably that the message is about to be tried (for messages under suspicion only), and
     * gives the attempt number, counting from 1. Worker thread. */
    bool (*begin_attempt)(struct store *s, int64_t seq, int64_t at_us, int *attempt,
                          GError **error);

    /* ONE transaction, durable on return. Refused as a bug: a PROCESSED outcome whose id was
     * processed already (CONFLICT, nothing written). Worker thread. */
    bool (*settle)(struct store *s, const struct store_settlement *what, GError **error);

    /* Retries with due_us <= until_us, oldest first; count in *count, in the arena. */
    bool (*retries)(struct store *s, int64_t until_us, size_t max, struct arena *a,
                    struct store_retry **out, size_t *count, GError **error);

    /* Campaign changes; CONFLICT (exists, or not the expected version), MISSING. result (may be
     * NULL) lives in the arena. Any thread. An id is never used twice: a deleted campaign keeps
     * its versions, and CREATE over it makes the next version. */
    bool (*write_campaign)(struct store *s, const struct store_campaign_write *write,
                           struct arena *a, struct store_campaign *result, GError **error);

    /* A page of campaigns, of one moment. Nothing changed: no campaign, and cheap enough to be
     * asked before every batch. Pages of ALL are of different moments: what changes between them is
     * given by asking since the first page's generation. Any thread. */
    bool (*load_campaigns)(struct store *s, const struct store_campaign_range *range,
                           struct arena *a, struct store_campaign_page *page, GError **error);

    /* Rows newest first (campaigns: by id) to the callback. Any thread. */
    bool (*list)(struct store *s, const struct store_query *query, struct arena *a,
                 store_row_fn row, void *user, struct store_page *page, GError **error);

    /* Any thread. */
    bool (*summary)(struct store *s, struct store_summary *out, GError **error);

    /* PING: readable now. QUICK: cheap integrity. FULL: everything, counts included; problems
     * (char *) are appended, true when the check could be made. Any thread. */
    bool (*check)(struct store *s, enum store_check level, GPtrArray *problems, GError **error);

    /* Closes and frees; no call may be under way. */
    void (*close)(struct store *s);
};

/* First member of every backend's struct. */
struct store {
    const struct store_ops *ops;
    struct metric *settle_seconds; /* set by store_open */
    struct metric *settle_batch;
    struct metric *errors;
};

/* sqlite is the real one; memory forgets at close; fault decorates another one for tests. */
extern const struct store_ops store_sqlite_ops;
extern const struct store_ops store_memory_ops;
extern const struct store_ops store_fault_ops;

/* The backend with that name, NULL when there is none. */
const struct store_ops *store_find_backend(const char *name);

/* Checked wrappers, as in queue.h. */
struct store *store_open(const struct store_ops *ops, const struct store_options *options,
                         GError **error);
bool store_seen(struct store *s, const struct store_key *keys, size_t count, struct store_seen *out,
                GError **error);
bool store_begin_attempt(struct store *s, int64_t seq, int64_t at_us, int *attempt, GError **error);
bool store_settle(struct store *s, const struct store_settlement *what, GError **error);
bool store_retries(struct store *s, int64_t until_us, size_t max, struct arena *a,
                   struct store_retry **out, size_t *count, GError **error);
bool store_write_campaign(struct store *s, const struct store_campaign_write *write,
                          struct arena *a, struct store_campaign *result, GError **error);
bool store_load_campaigns(struct store *s, const struct store_campaign_range *range,
                          struct arena *a, struct store_campaign_page *page, GError **error);
bool store_list(struct store *s, const struct store_query *query, struct arena *a, store_row_fn row,
                void *user, struct store_page *page, GError **error);
bool store_get_summary(struct store *s, struct store_summary *out, GError **error);
bool store_check(struct store *s, enum store_check level, GPtrArray *problems, GError **error);
void store_close(struct store *s); /* accepts NULL */

/* ---- the fault backend: a decorator for tests ------------------------------------------------ */

/* The calls that can be made to fail. summary, check and close cannot: tests look through them. */
enum store_call {
    STORE_CALL_SEEN,
    STORE_CALL_BEGIN_ATTEMPT,
    STORE_CALL_SETTLE,
    STORE_CALL_RETRIES,
    STORE_CALL_WRITE_CAMPAIGN,
    STORE_CALL_LOAD_CAMPAIGNS,
    STORE_CALL_LIST,
    STORE_CALL_COUNT, /* how many there are */
};

/* As queue_fault_set. */
void store_fault_set(struct store *s, enum store_call call, unsigned after, unsigned times,
                     int code);

/* settle fails with INPUT whenever a PROCESSED outcome has this event id (a row that cannot be
 * stored); empty clears. */
void store_fault_poison(struct store *s, struct slice event_id);

#endif
