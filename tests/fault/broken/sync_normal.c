/* Broken on purpose: commits are written but not synced. Killing the process loses nothing, cutting
 * the power does. */
#include <glib.h>
#include <sqlite3.h>
#include <string.h>

typedef int (*row_fn)(void *user, int count, char **values, char **names);

int __real_sqlite3_exec(sqlite3 *db, const char *sql, row_fn row, void *user, char **message);
int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, row_fn row, void *user, char **message);

int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, row_fn row, void *user, char **message)
{
    g_autoptr(GString) weak = g_string_new(sql);
    const char *file = sqlite3_db_filename(db, "main");

    /* The results' file asks afterwards, and one of the two is enough to break the promise. */
    if (file != NULL && g_str_has_suffix(file, "queue.db"))
        g_string_replace(weak, "synchronous = FULL", "synchronous = NORMAL", 0);
    return __real_sqlite3_exec(db, weak->str, row, user, message);
}
