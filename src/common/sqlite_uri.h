/* sqlite_uri: the name under which a database file is opened, and whether anybody is writing it.
 *
 * No -wal beside the file: it is at rest, and is read as "immutable", which makes no side files and
 * works in a folder that may not be written. A -wal, also an empty one: a program runs, or has
 * crashed; the file is read with locks, as any reader does.
 *
 * The one place that decides this, for both backends and for copies. What it does not do: hold the
 * file at rest; whoever needs that looks again afterwards.
 */
#ifndef COMMON_SQLITE_URI_H
#define COMMON_SQLITE_URI_H

#include <stdbool.h>

/* A name for SQLITE_OPEN_URI that means exactly this path, whatever characters are in it. Owns: the
 * result is the caller's. */
char *sqlite_uri(const char *path);

/* The same for somebody who only reads, so that nothing in the folder changes. is_at_rest: what was
 * decided; may be NULL. Owns: the result is the caller's. */
char *sqlite_reader_uri(const char *path, bool *is_at_rest);

/* Whether there is a log beside the file, also an empty one, or this cannot be seen. */
bool sqlite_has_log(const char *path);

#endif
