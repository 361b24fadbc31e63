/* sqlite_copy: a consistent copy of a SQLite database in use, written into a part of another file.
 *
 *   database + its log ──one read transaction──▶ pages ──▶ fd, from an offset on
 *
 * What it is for: backups. The copy is a whole database file that needs no log beside it; it keeps
 * the journal mode of its source. It can stand in the middle of a file, so that a backup needs no
 * room for anything but itself.
 * What it guarantees: the copy shows one moment of the source, the one of the first query; writers
 * go on meanwhile and are not waited for. The source is not changed. Nothing is synced: that is
 * the caller's business.
 * The price: while a copy is made, the source's log cannot start anew and grows with what is
 * written.
 */
#ifndef COMMON_SQLITE_COPY_H
#define COMMON_SQLITE_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

/* A question about the source, answered from the very moment that is copied. */
struct sqlite_copy_query {
    const char *sql; /* gives one integer; NULL counts as 0 */
    int64_t value;   /* out */
};

/* One copy. The caller fills in all but size. */
struct sqlite_copy {
    const char *path; /* of the database */
    int fd;           /* open for reading and writing; the copy is the last thing in it */
    int64_t offset;   /* where it begins, bytes */
    struct sqlite_copy_query *queries;
    size_t query_count;
    /* Called a few times a second or more; false with error set ends the copying. May be NULL. */
    bool (*progress)(void *user, int64_t done, int64_t total, GError **error);
    void *user;
    int64_t size; /* out: bytes of the copy */
};

/* Makes the copy. After false the bytes from offset on mean nothing. Errors: MISSING there is no
 * such file, or it cannot be opened; CORRUPT; RETRY it stayed busy; FULL reading or writing failed,
 * or there is no room; those of progress. */
bool sqlite_copy_run(struct sqlite_copy *c, GError **error);

/* Only answers the queries, all of one moment; of several calls each has a moment of its own.
 * Errors: as above. */
bool sqlite_copy_ask(const char *path, struct sqlite_copy_query *queries, size_t count,
                     GError **error);

#endif
