/* embedded: the parts of the SQLite queue know each other through this header, nobody else does.
 *
 *   embedded.c       the queue_ops: publish, ack, seek, open and close
 *   embedded_read.c  receive, read, find, check: everything that reads rows
 *   embedded_checksum.c  the checksum of a row
 *   embedded_sql.c   the file: layout, opening, and what SQLite's errors mean for us
 *
 * Connections: one writes (publisher thread), one belongs to the consumer, and a small pool serves
 * every other reader. WAL lets them all work at the same time.
 */
#ifndef QUEUE_EMBEDDED_INTERNAL_H
#define QUEUE_EMBEDDED_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "queue/backlog.h"
#include "queue/queue.h"

#include <sqlite3.h>

/* One thread at a time. */
struct embedded_writer {
    sqlite3 *db;
    sqlite3_stmt *begin;  /* BEGIN IMMEDIATE: the write lock at once, never in the middle */
    sqlite3_stmt *insert; /* one row */
    sqlite3_stmt *commit; /* the step that syncs */
    sqlite3_stmt *rollback;
    GArray *entries;           /* struct backlog_entry: of the batch in hand */
    struct wal_keeper *keeper; /* copies the log into the file */
};

/* One thread at a time: the consumer, or whoever took it out of the pool. */
struct embedded_reader {
    sqlite3 *db;
    sqlite3_stmt *one;   /* ?1 = seq */
    sqlite3_stmt *range; /* ?1 < seq <= ?2 */
};

/* The queue, with its three kinds of connections. The backlog and the pool may be used by any
 * thread. */
struct embedded {
    struct queue queue; /* first: what the callers hold */
    char *path;         /* immutable, like the next one */
    bool is_read_only;
    void (*on_fatal)(void *user, const char *message); /* immutable; may be NULL */
    void *user;
    bool is_open;                     /* set when open has succeeded */
    bool is_sought;                   /* set before the first publish and receive */
    struct backlog backlog;           /* has its own lock */
    struct embedded_writer writer;    /* publisher thread only */
    struct embedded_reader *consumer; /* consumer thread only, like the next one */
    int64_t received;                 /* seq of the newest message that receive has given out */
    GMutex pool_lock;                 /* never held during I/O, nor with the backlog's lock */
    GPtrArray *pool;                  /* idle readers, under pool_lock */
};

/* queue is the first member, so the pointers are the same. */
static inline struct embedded *embedded_of(struct queue *q)
{
    return (struct embedded *)q;
}

/* ---- embedded_sql.c -------------------------------------------------------------------------- */

/* Sets error to what the failed call on db means ("cannot <doing> <path>: ...") and returns its
 * code, an ef_error. db may be NULL (then rc alone speaks). */
int embedded_fail(const struct embedded *e, sqlite3 *db, int rc, const char *doing, GError **error);

/* Steps a statement that gives no rows, and resets it. SQLITE_OK or an error code. */
int embedded_run(sqlite3_stmt *statement);

/* Makes the file or brings the existing one into use. Errors: NEWER and CORRUPT (untouched),
 * INPUT when the folder cannot be used. */
bool embedded_open_writer(struct embedded *e, GError **error);
void embedded_close_writer(struct embedded *e);

/* A new connection for reading; NULL on error. Any thread. */
struct embedded_reader *embedded_reader_new(const struct embedded *e, GError **error);
void embedded_reader_free(struct embedded_reader *r);

/* Looks at the first bytes of the file with plain reads. Errors: NEWER, CORRUPT, MISSING (only with
 * read_only). */
bool embedded_look(const struct embedded *e, GError **error);

/* Makes the tables in an empty database, e.g. for comparison. SQLite's code. */
int embedded_make_schema(sqlite3 *db);

/* ---- embedded_checksum.c --------------------------------------------------------------------- */

/* The checksum of a message's row. Part of the file format: see the file. */
int64_t embedded_checksum(const struct queue_message *m, int64_t seq);

/* Makes embedded_checksum known to SQL: message_checksum(seq, received_at, event_id,
 * correlation_id, traceparent, replay_of, body). SQLite's code. */
int embedded_add_checksum(sqlite3 *db);

/* ---- embedded_read.c: members of the ops, contracts in queue.h --------------------------------
 */

/* A reader of the pool, or a new one. Give it back with embedded_put_reader. */
struct embedded_reader *embedded_take_reader(struct embedded *e, GError **error);
void embedded_put_reader(struct embedded *e, struct embedded_reader *r);

bool embedded_receive(struct queue *q, size_t max, int64_t wait_ms, struct arena *a,
                      struct queue_batch *out, GError **error);
bool embedded_read(struct queue *q, const int64_t *seqs, size_t count, struct arena *a,
                   struct queue_batch *out, GError **error);
bool embedded_find(struct queue *q, struct slice key, size_t max, struct arena *a,
                   struct queue_batch *out, GError **error);
bool embedded_check(struct queue *q, enum queue_check level, GPtrArray *problems, GError **error);

/* The newest seq in the file, 0 when it is empty. */
bool embedded_last_seq(const struct embedded *e, struct embedded_reader *r, int64_t *seq,
                       GError **error);

/* Fills the backlog with every message after position, which was settled in an earlier life. */
bool embedded_load_backlog(struct embedded *e, int64_t position, GError **error);

#endif
