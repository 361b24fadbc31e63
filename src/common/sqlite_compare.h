/* sqlite_compare: whether a database file still has the tables, indexes and views it was made with.
 *
 * A migrated file and a new one have the same texts in sqlite_schema, so the comparison is word for
 * word. What somebody added to the file (an index, a view) is no problem. */
#ifndef COMMON_SQLITE_COMPARE_H
#define COMMON_SQLITE_COMPARE_H

#include <glib.h>

struct sqlite3;

/* Appends to problems (texts, owned by the array) a line "<path>: schema: …" for every object of
 * fresh, an empty database of the newest schema, that db lacks or has otherwise. SQLITE_OK, or the
 * code of the call that failed: then the comparison is incomplete. Threads: those of both
 * connections. */
int sqlite_compare_schema(struct sqlite3 *db, struct sqlite3 *fresh, const char *path,
                          GPtrArray *problems);

#endif
