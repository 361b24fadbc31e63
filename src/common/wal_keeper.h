/* wal_keeper: a thread that carries a SQLite write-ahead log into its database, beside the writer.
 *
 *   writer ──commit, note(pages)──▶ log ──keeper thread: copy, sync──▶ database file
 *                 └── the last few pages itself, so that the log can start anew
 *
 * What it is for: a checkpoint of a large log takes 40 to 100 ms, in which nothing could be
 * committed if the writer did it. SQLite starts the log anew only when a writer finds all of it
 * copied; under steady load that moment never comes by itself, so the keeper copies the bulk and
 * asks the writer to copy, between two commits, what came in meanwhile.
 *
 * What it guarantees: no commit waits for the bulk; a write or sync that fails is reported once and
 * never tried again, because the kernel may have dropped the pages.
 * What it does not do: wait for readers. What a reader stands in the way of is copied later.
 */
#ifndef COMMON_WAL_KEEPER_H
#define COMMON_WAL_KEEPER_H

#include <stdbool.h>

#include <glib.h>

struct sqlite3;
struct wal_keeper;

struct wal_keeper_options {
    const char *path; /* of the database; borrowed for open */
    const char *name; /* of the thread, at most 15 bytes */
    int pages;        /* size of the log at which it is copied */
    /* The log cannot be copied: what is in the database file is unknown (the log itself is still
     * good). message is SQLite's. From the keeper's thread, or the writer's inside note. */
    void (*on_failure)(void *user, int rc, const char *message);
    void *user;
};

/* Opens a connection of its own and starts the thread. NULL with SQLite's code in *rc. */
struct wal_keeper *wal_keeper_open(const struct wal_keeper_options *options, int *rc);

/* To be called after each commit with the number of pages in the log: the writer's wal hook. May
 * copy a few pages through db. Threads: one writer at a time. */
void wal_keeper_note(struct wal_keeper *k, struct sqlite3 *db, int pages);

/* The system's error number of the log's last failed call, 0 when unknown. SQLite keeps it with the
 * file; the number that sqlite3_system_errno gives is often overwritten by then. Accepts NULL.
 * Threads: the connection's. */
int wal_errno(struct sqlite3 *db);

/* Waits for a copy under way; frees. Before the writer's connection is closed. Accepts NULL. */
void wal_keeper_close(struct wal_keeper *k);

#endif
