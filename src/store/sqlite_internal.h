/* sqlite_internal: what the files of the SQLite store share; the one place that includes sqlite3.h.
 *
 *   sqlite.c           open, migrate, close, the ops table
 *   sqlite_db.c        one connection: statements, values, errors, write transactions, read pool
 *   sqlite_dedupe.c    which ids were processed (in memory, or on disk beyond the limit)
 *   sqlite_settle.c    settle, begin_attempt, retries
 *   sqlite_campaigns.c campaign changes
 *   sqlite_list.c      lists and the summary
 *   sqlite_check.c     integrity
 *
 * One writing connection under write_lock, a pool of reading ones. A thread holds at most one of
 * the locks; write_lock is held across a transaction's I/O, the others never across I/O.
 */
#ifndef STORE_SQLITE_INTERNAL_H
#define STORE_SQLITE_INTERNAL_H

#include <sqlite3.h>

#include "common/fp_index.h"
#include "store/store.h"

#define SQLITE_STORE_APPLICATION_ID 0x45464c53 /* "EFLS", in the file's header */
#define SQLITE_STORE_FILE           "eventflow.db"
#define SQLITE_STORE_READERS_MAX    8    /* idle connections kept */
#define SQLITE_STORE_SOURCES_MAX    4096 /* distinct sources remembered for look-ups by id alone */

/* ---- one connection -------------------------------------------------------------------------- */

/* Statements that are prepared once a connection; their texts stand in sqlite_db.c. */
enum store_statement {
    ST_BEGIN_READ,
    ST_BEGIN_WRITE, /* takes the file's write lock at once */
    ST_COMMIT,
    ST_ROLLBACK,
    ST_FIND_BY_SEQ,
    ST_FIND_BY_ID, /* only while the ids are indexed on disk */
    ST_INSERT_PROCESSED,
    ST_INSERT_MATCH,
    ST_INSERT_FAILED,
    ST_COUNT_DUPLICATE, /* no row changed: the first one is not there */
    ST_MARK_REPLAYED,   /* changes open failures only */
    ST_HAS_RETRIES,
    ST_DELETE_RETRY,
    ST_PUT_RETRY,     /* replaces */
    ST_BEGIN_ATTEMPT, /* gives the attempt's number */
    ST_DUE_RETRIES,   /* oldest first */
    ST_COUNT_UP,      /* by name */
    ST_SET_POSITION,  /* never back */
    ST_GENERATION,
    ST_CAMPAIGN_CURRENT, /* also deleted ones */
    ST_INSERT_VERSION,
    ST_PUT_HEAD,          /* replaces, and so undeletes */
    ST_DELETE_HEAD,       /* marks only */
    ST_LIVE_CAMPAIGNS,    /* by id */
    ST_CHANGED_CAMPAIGNS, /* by the generation of the change, which comes last */
    ST_SUMMARY,           /* name and value, a row each */
    ST_COUNT,             /* how many there are */
};

/* One thread at a time. Writers and readers differ in the flag only, which decides what an I/O
 * error means. */
struct store_db {
    sqlite3 *db;
    const char *path; /* the store's; for messages */
    bool is_writer;
    sqlite3_stmt *statements[ST_COUNT]; /* by enum store_statement; NULL until first used */
};

/* A value to bind or to hash. Bytes are borrowed until the statement has run. The numbers of the
 * types are hashed into every row's checksum, so their order is part of the file format. */
struct store_value {
    enum { STORE_VALUE_INTEGER, STORE_VALUE_TEXT, STORE_VALUE_BLOB } type;
    int64_t integer;
    struct slice bytes;
};

#define VALUE_INTEGER(i) ((struct store_value){.type = STORE_VALUE_INTEGER, .integer = (i)})
#define VALUE_TEXT(s)    ((struct store_value){.type = STORE_VALUE_TEXT, .bytes = (s)})
#define VALUE_BLOB(s)    ((struct store_value){.type = STORE_VALUE_BLOB, .bytes = (s)})

/* Opens name (a path, or a URI with that flag). path is for messages, borrowed until close.
 * flags: SQLITE_OPEN_…. Errors: those of store_db_fail. */
struct store_db *store_db_open(const char *name, const char *path, int flags, GError **error);

/* Accepts NULL. */
void store_db_close(struct store_db *c);

/* Sets error from the result code: "<file>: <what>: <SQLite's words>". Always false. A damaged
 * file is named as such; an I/O error is FATAL on the writing connection, RETRY on others. */
bool store_db_fail(struct store_db *c, int code, const char *what, GError **error);

/* Runs SQL text without results. */
bool store_db_execute(struct store_db *c, const char *sql, GError **error);

/* The prepared statement with the values bound, ready to step; NULL on error. */
sqlite3_stmt *store_db_bind(struct store_db *c, enum store_statement id,
                            const struct store_value *values, size_t count, GError **error);

/* Binds the values to the parameters from 1 on; an SQLite result code. */
int store_db_bind_values(sqlite3_stmt *statement, const struct store_value *values, size_t count);

/* Binds, runs to the end, resets. */
bool store_db_run(struct store_db *c, enum store_statement id, const struct store_value *values,
                  size_t count, GError **error);

/* The same for a statement that gives one row with one integer; *found (may be NULL) says whether
 * there was a row, *out stays as it is when not. */
bool store_db_get(struct store_db *c, enum store_statement id, const struct store_value *values,
                  size_t count, bool *found, int64_t *out, GError **error);

/* Ends the use of a statement that was stepped; false with error when code is neither DONE nor
 * ROW. */
bool store_db_end(struct store_db *c, sqlite3_stmt *statement, int code, GError **error);

/* The bytes of a column, valid until the next step. */
struct slice store_db_column(sqlite3_stmt *statement, int column);

/* The row checksum: hash64 over types and contents. The SQL function row_checksum(…) gives the
 * same for the same values. scratch is emptied first. */
int64_t store_db_checksum(const struct store_value *values, size_t count, GString *scratch);

/* ---- the store ------------------------------------------------------------------------------- */

/* Which ids were processed. Fields under lock, which is never held across I/O. */
struct store_dedupe {
    GMutex lock;
    struct fp_index *index;          /* fingerprint of (source, event id) -> seq; NULL: ask SQL */
    bool is_on_disk;                 /* the SQL index processed_by_id exists */
    struct arena names;              /* the sources' bytes */
    GHashTable *sources;             /* set of struct slice *, NULL: too many to remember */
    const struct slice *last_source; /* the one looked up last, the usual case */
    size_t memory_max;               /* bytes; 0 = no limit */
};

/* The store. Only the locks, is_dead and what they guard change after open. */
struct store_sqlite {
    struct store store; /* first member */
    char *path;         /* of eventflow.db */
    bool read_only;
    int is_dead; /* atomic: a commit failed with unknown outcome */
    void (*on_fatal)(void *user, const char *message); /* immutable; may be NULL */
    void *user;
    GMutex write_lock;
    struct store_db *writer;   /* under write_lock; NULL when read_only */
    struct wal_keeper *keeper; /* copies the log into the file */
    GString *scratch;          /* under write_lock: for checksums */
    GMutex pool_lock;
    GPtrArray *idle; /* of struct store_db, under pool_lock */
    struct store_dedupe dedupe;
};

/* A reading connection in a read transaction: one consistent state. NULL on error. */
struct store_db *store_sqlite_begin_read(struct store_sqlite *s, GError **error);

/* Ends the transaction and gives the connection back. */
void store_sqlite_end_read(struct store_sqlite *s, struct store_db *c);

/* Runs body in one write transaction: all of it durable, or nothing. Takes write_lock. A commit
 * that fails otherwise than by a full disk or a busy file makes the store dead: FATAL for ever. */
typedef bool (*store_sqlite_body)(struct store_sqlite *s, void *user, GError **error);
bool store_sqlite_write(struct store_sqlite *s, store_sqlite_body body, void *user, GError **error);

/* Makes the tables of the newest schema in an empty database: for comparison. */
bool store_sqlite_make_schema(struct store_db *c, GError **error);

/* ---- dedupe ---------------------------------------------------------------------------------- */

/* The part of store_sqlite that needs no file; done accepts what init made, loaded or not. */
void store_dedupe_init(struct store_sqlite *s, size_t memory_max);
void store_dedupe_done(struct store_sqlite *s);

/* Builds the index from the processed rows; chooses between memory and disk. At open only. */
bool store_dedupe_load(struct store_sqlite *s, GError **error);

/* One id that is about to be settled as processed. */
struct store_dedupe_entry {
    uint64_t fingerprint;
    int64_t seq;
    const struct store_outcome *outcome;
};

/* What the index says about some ids: candidates to be verified. */
struct store_dedupe_candidate {
    size_t key; /* which of the ids asked for */
    int64_t seq;
};

/* Makes room for the entries of a settlement, moving to the on-disk index when the memory limit
 * would be passed, and gives the candidates (appended to the GArray; may stay empty).
 * *is_on_disk: ask SQL for every id instead. Before the transaction. */
bool store_dedupe_prepare(struct store_sqlite *s, const struct store_dedupe_entry *entries,
                          size_t count, GArray *candidates, bool *is_on_disk, GError **error);

/* The entries are committed: from now on they are seen. */
void store_dedupe_add(struct store_sqlite *s, const struct store_dedupe_entry *entries,
                      size_t count);

/* Is this id processed? With seq > 0 only that row is looked at (a candidate), else SQL searches.
 * *digest (may be NULL) is set when found. *seq is the row's, 0 when there is none. */
bool store_dedupe_verify(struct store_db *c, const struct store_key *key, int64_t candidate,
                         int64_t *seq, struct hash_digest *digest, GError **error);

/* The seen member of the ops table. One look under lock, then rows are read for the hits alone. */
bool store_sqlite_seen(struct store *store, const struct store_key *keys, size_t count,
                       struct store_seen *out, GError **error);

/* How a list finds rows by event id. */
enum store_dedupe_way {
    STORE_WAY_SEQS, /* these positions are candidates */
    STORE_WAY_SQL,  /* the SQL index exists */
    STORE_WAY_SCAN, /* neither: look at every row */
};

/* seqs: GArray of int64_t, candidates are appended. has_source: only with that source. */
enum store_dedupe_way store_dedupe_candidates(struct store_sqlite *s, struct slice event_id,
                                              bool has_source, struct slice source, GArray *seqs);

/* Fills the dedupe members of the summary. */
void store_dedupe_describe(struct store_sqlite *s, struct store_summary *out);

/* ---- campaigns ------------------------------------------------------------------------------- */

/* What store_sqlite_read_campaign reads, of a version v: two columns follow, when it was updated
 * and whether it is deleted. The version comes first, because the lists take column 0 as key. */
#define SQLITE_STORE_VERSION_COLUMNS                                                               \
    "v.version, v.campaign_id, v.name, v.status, v.document, v.created_at_us, "

/* The same as callers see a campaign, with its head h: a deletion counts as the last update. */
#define SQLITE_STORE_CAMPAIGN_COLUMNS                                                              \
    SQLITE_STORE_VERSION_COLUMNS                                                                   \
    "coalesce(h.deleted_at_us, v.updated_at_us), h.deleted_at_us IS NOT NULL"

/* The row under the statement. Owns: texts are borrowed until its next step. */
struct store_campaign store_sqlite_read_campaign(sqlite3_stmt *statement);

/* ---- members of the ops table, by file --------------------------------------------------------
 */

/* Their contracts stand in store.h. */
bool store_sqlite_settle(struct store *store, const struct store_settlement *what, GError **error);
bool store_sqlite_begin_attempt(struct store *store, int64_t seq, int64_t at_us, int *attempt,
                                GError **error);
bool store_sqlite_retries(struct store *store, int64_t until_us, size_t max, struct arena *a,
                          struct store_retry **out, size_t *count, GError **error);
bool store_sqlite_write_campaign(struct store *store, const struct store_campaign_write *write,
                                 struct arena *a, struct store_campaign *result, GError **error);
bool store_sqlite_load_campaigns(struct store *store, const struct store_campaign_range *range,
                                 struct arena *a, struct store_campaign_page *page, GError **error);
bool store_sqlite_list(struct store *store, const struct store_query *query, struct arena *a,
                       store_row_fn row, void *user, struct store_page *page, GError **error);
bool store_sqlite_summary(struct store *store, struct store_summary *out, GError **error);
bool store_sqlite_check(struct store *store, enum store_check level, GPtrArray *problems,
                        GError **error);

#endif
