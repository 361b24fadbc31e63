/* embedded: the queue as one SQLite file, <folder>/queue.db, which is also the store of raw events.
 *
 *   publisher ──BEGIN IMMEDIATE, INSERT…, COMMIT (one sync)──▶ queue.db-wal ──▶ queue.db
 *                                                                   └──▶ consumer, other readers
 *
 * A batch is one transaction with synchronous=FULL: when publish returns true, it survives a power
 * cut. The position of the consumer is kept by the store, in the transaction of the results.
 * File layout: embedded_sql.c.
 */
#include "queue/embedded_internal.h"

#include "common/error.h"
#include "common/fault_point.h"
#include "common/wal_keeper.h"

#define FILE_NAME        "queue.db"
#define CHECKPOINT_PAGES 1000 /* 4 MiB of log: syncing more holds the disk, decision 15 */

/* ---- publish --------------------------------------------------------------------------------- */

/* Text as TEXT, so that the sqlite3 shell shows it; with a NUL inside as BLOB, because SQLite's
 * functions cut text there. Borrowed until the statement is reset. Returns SQLite's code. */
static int bind_bytes(sqlite3_stmt *statement, int index, struct slice s)
{
    if (s.size == 0)
        return sqlite3_bind_text(statement, index, "", 0, SQLITE_STATIC);
    if (memchr(s.data, '\0', s.size) != NULL)
        return sqlite3_bind_blob64(statement, index, s.data, s.size, SQLITE_STATIC);
    return sqlite3_bind_text64(statement, index, s.data, s.size, SQLITE_STATIC, SQLITE_UTF8);
}

/* Writes one row under the given seq, inside the open transaction. SQLITE_OK or an error code;
 * after an error the caller rolls the whole batch back. */
static int insert_message(sqlite3_stmt *insert, const struct queue_message *m, int64_t seq)
{
    sqlite3_bind_int64(insert, 1, seq);
    sqlite3_bind_int64(insert, 2, m->published_at_us);
    bind_bytes(insert, 3, m->key);
    bind_bytes(insert, 4, m->correlation);
    if (m->trace.size > 0)
        bind_bytes(insert, 5, m->trace);
    else
        sqlite3_bind_null(insert, 5);
    if (m->reference > 0)
        sqlite3_bind_int64(insert, 6, m->reference);
    else
        sqlite3_bind_null(insert, 6);
    sqlite3_bind_int64(insert, 8, embedded_checksum(m, seq));
    bind_bytes(insert, 7, m->body); /* a bind that fails leaves NULL, which the table refuses */
    return embedded_run(insert);
}

/* From now on every publish is refused, and the owner knows at once: with no event under way nobody
 * else would notice. */
static void die(struct embedded *e, const char *why)
{
    backlog_kill(&e->backlog);
    if (e->on_fatal != NULL)
        e->on_fatal(e->user, why);
}

/* Undoes the batch in hand. When that fails, or when the commit itself met an I/O error, nobody
 * knows what is on the disk: the queue is dead from then on. A failed statement may have ended the
 * transaction already, hence the looks at autocommit. */
static void abandon(struct embedded *e, int rc, GError **error)
{
    struct embedded_writer *w = &e->writer;
    g_autoptr(GError) reason = NULL;
    int code = embedded_fail(e, w->db, rc, "append to", &reason);

    if (sqlite3_get_autocommit(w->db) == 0 && embedded_run(w->rollback) != SQLITE_OK &&
        sqlite3_get_autocommit(w->db) == 0)
        code = reason->code = EF_ERROR_FATAL;
    if (code == EF_ERROR_FATAL)
        die(e, reason->message);
    g_propagate_error(error, g_steal_pointer(&reason));
}

/* The durable step. After false nothing of the batch is in the file, or the queue is dead. */
static bool append_batch(struct embedded *e, const struct queue_message *messages, size_t count,
                         int64_t last_seq, GError **error)
{
    struct embedded_writer *w = &e->writer;
    /* IMMEDIATE: the write lock is taken here, so that nothing behind it can fail with "busy". */
    int rc = embedded_run(w->begin);

    for (size_t i = 0; rc == SQLITE_OK && i < count; i++)
        rc = insert_message(w->insert, &messages[i], last_seq + 1 + (int64_t)i);
    if (rc == SQLITE_OK && EF_FAULT("queue.publish.commit"))
        rc = SQLITE_IOERR_FSYNC;
    if (rc == SQLITE_OK)
        rc = embedded_run(w->commit);
    if (rc == SQLITE_OK && EF_FAULT("queue.publish.committed"))
        rc = SQLITE_IOERR_FSYNC;
    if (rc != SQLITE_OK)
        abandon(e, rc, error);
    /* The bindings point into the caller's messages, which are gone after this call. */
    sqlite3_clear_bindings(w->insert);
    return rc == SQLITE_OK;
}

/* Tells the consumer, after the commit. The fingerprints are made before the lock is taken. The
 * order matters: a consumer that hears of a message must find it in the file. Sets the seqs of the
 * caller's messages. */
static void announce(struct embedded *e, struct queue_message *messages, size_t count,
                     int64_t last_seq)
{
    GArray *entries = e->writer.entries;

    g_array_set_size(entries, 0);
    for (size_t i = 0; i < count; i++) {
        struct backlog_entry entry = backlog_entry_of(messages[i].key, messages[i].published_at_us);

        messages[i].seq = last_seq + 1 + (int64_t)i;
        g_array_append_val(entries, entry);
    }
    backlog_append(&e->backlog, (const struct backlog_entry *)(const void *)entries->data, count);
}

/* SQLite calls this after each commit with the size of the log. It takes the place of the built-in
 * checkpoint, which drops I/O errors and makes the commit wait. */
static int note_pages(void *user, sqlite3 *db, const char *schema, int pages)
{
    struct embedded *e = user;

    (void)schema;
    wal_keeper_note(e->writer.keeper, db, pages);
    return SQLITE_OK;
}

/* The log could not be carried into the file. What was committed is safe in the log, but nothing is
 * accepted after a sync that failed. */
static void keeper_failed(void *user, int rc, const char *message)
{
    struct embedded *e = user;

    g_autofree char *why = g_strdup_printf("cannot write %s: %s", e->path, message);

    (void)rc;
    die(e, why);
}

/* A sync that failed beside the commit: the batch is durable, but "nothing is acknowledged after a
 * failed sync" is the simpler promise, and the restart finds the batch. */
static bool check_alive(struct embedded *e, GError **error)
{
    if (!backlog_is_dead(&e->backlog))
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_FATAL, "cannot write %s: a sync failed", e->path);
    return false;
}

/* The seqs are given by us, not by SQLite, so that a batch that was rolled back leaves no gap. */
static bool embedded_publish(struct queue *q, struct queue_message *messages, size_t count,
                             GError **error)
{
    struct embedded *e = embedded_of(q);
    int64_t last_seq;

    g_assert(e->is_sought && !e->is_read_only);
    if (!backlog_admit(&e->backlog, count, &last_seq, error) ||
        !append_batch(e, messages, count, last_seq, error) || !check_alive(e, error))
        return false;
    announce(e, messages, count, last_seq);
    return true;
}

/* ---- the consumer's position ----------------------------------------------------------------- */

/* In memory only: the position became durable with the results of the batch, in the store. */
static bool embedded_ack(struct queue *q, int64_t seq, GError **error)
{
    struct embedded *e = embedded_of(q);

    (void)error;
    g_assert(seq <= e->received);
    backlog_drop(&e->backlog, seq);
    return true;
}

/* Messages that were settled but are not in the file: it was cut or replaced, and new messages
 * would get numbers that the store takes for done. Errors: CORRUPT. */
static bool check_position(const struct embedded *e, int64_t seq, int64_t last_seq, GError **error)
{
    if (seq <= last_seq)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT,
                "%s ends at message %" G_GINT64_FORMAT ", but message %" G_GINT64_FORMAT
                " was processed already: the file was cut or replaced",
                e->path, last_seq, seq);
    return false;
}

/* After false the queue is as before and must be closed: nothing may be published without a
 * position. */
static bool embedded_seek(struct queue *q, int64_t seq, GError **error)
{
    struct embedded *e = embedded_of(q);
    int64_t last_seq;

    g_assert(!e->is_sought);
    if (!embedded_last_seq(e, e->consumer, &last_seq, error) ||
        !check_position(e, seq, last_seq, error) || !embedded_load_backlog(e, seq, error))
        return false;
    /* The first receive gives the message behind the position. */
    e->received = seq;
    e->is_sought = true;
    return true;
}

/* From memory, so a look at the queue never waits for the disk. */
static void embedded_stats(struct queue *q, struct queue_stats *out)
{
    backlog_stats(&embedded_of(q)->backlog, out);
}

/* Publishing goes on after a stop: what was accepted on the way down must still become durable. */
static void embedded_stop(struct queue *q)
{
    backlog_stop(&embedded_of(q)->backlog);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* The writer goes last: the last connection to close moves the log into the file. */
static void embedded_close(struct queue *q)
{
    struct embedded *e = embedded_of(q);

    g_ptr_array_unref(e->pool);
    embedded_reader_free(e->consumer);
    embedded_close_writer(e);
    backlog_done(&e->backlog);
    g_mutex_clear(&e->pool_lock);
    g_free(e->path);
    g_free(e);
}

/* The pool's free function. */
static void free_reader(void *reader)
{
    embedded_reader_free(reader);
}

/* The struct with everything that cannot fail; no file is touched. Owned by caller
 * (embedded_close). */
static struct embedded *embedded_new(const struct queue_options *options)
{
    struct embedded *e = g_new0(struct embedded, 1);

    e->queue.ops = &queue_embedded_ops;
    e->path = g_build_filename(options->folder, FILE_NAME, NULL);
    e->is_read_only = options->read_only;
    e->on_fatal = options->on_fatal;
    e->user = options->user;
    backlog_init(&e->backlog, options->waiting_max);
    e->writer.entries = g_array_new(FALSE, FALSE, sizeof(struct backlog_entry));
    g_mutex_init(&e->pool_lock);
    e->pool = g_ptr_array_new_with_free_func(free_reader);
    return e;
}

/* After the schema is there. The hook goes to the writer's connection only. */
static bool open_keeper(struct embedded *e, GError **error)
{
    int rc;
    struct wal_keeper_options options = {
        .path = e->path,
        .name = "queue-keeper",
        .pages = CHECKPOINT_PAGES,
        .on_failure = keeper_failed,
        .user = e,
    };

    e->writer.keeper = wal_keeper_open(&options, &rc);
    if (e->writer.keeper != NULL)
        sqlite3_wal_hook(e->writer.db, note_pages, e);
    else
        embedded_fail(e, NULL, rc, "open", error);
    return e->writer.keeper != NULL;
}

/* Opens what there is to open; on false the caller closes the half-built queue. */
static bool embedded_connect(struct embedded *e, GError **error)
{
    int64_t last_seq;

    /* The look comes first: opening through SQLite would already change a file that is not ours. */
    if (!embedded_look(e, error) || (!e->is_read_only && !embedded_open_writer(e, error)))
        return false;
    if (!e->is_read_only && !open_keeper(e, error))
        return false;
    e->consumer = embedded_reader_new(e, error);
    if (e->consumer == NULL || !embedded_last_seq(e, e->consumer, &last_seq, error))
        return false;
    /* Until seek tells the position everything counts as done: find and stats answer "nothing
     * waits". */
    backlog_start(&e->backlog, last_seq);
    e->is_open = true;
    return true;
}

/* The options are borrowed for the call. After an error no file is open; tables that were not made
 * to the end are left to the next start. */
static struct queue *embedded_open(const struct queue_options *options, GError **error)
{
    struct embedded *e;

    g_assert(options->folder != NULL);
    e = embedded_new(options);
    if (embedded_connect(e, error))
        return &e->queue;
    embedded_close(&e->queue);
    return NULL;
}

const struct queue_ops queue_embedded_ops = {
    .name = "embedded",
    .flags = QUEUE_KEEPS | QUEUE_NEEDS_SEEK,
    .open = embedded_open,
    .publish = embedded_publish,
    .receive = embedded_receive,
    .ack = embedded_ack,
    .seek = embedded_seek,
    .read = embedded_read,
    .find = embedded_find,
    .stats = embedded_stats,
    .check = embedded_check,
    .stop = embedded_stop,
    .close = embedded_close,
};
