#include "common/sqlite_compare.h"

#include <sqlite3.h>

/* SQLITE_ROW when db has the object under wanted, SQLITE_DONE when not, or an error. */
static int find_object(sqlite3_stmt *find, sqlite3_stmt *wanted)
{
    int rc = sqlite3_bind_value(find, 1, sqlite3_column_value(wanted, 0));
    int end;

    if (rc == SQLITE_OK)
        rc = sqlite3_bind_value(find, 2, sqlite3_column_value(wanted, 1));
    if (rc == SQLITE_OK)
        rc = sqlite3_step(find);
    end = sqlite3_reset(find);
    return end != SQLITE_OK ? end : rc;
}

/* Both statements are prepared. SQLITE_DONE when every object was looked up. */
static int compare_objects(sqlite3_stmt *wanted, sqlite3_stmt *find, const char *path,
                           GPtrArray *problems)
{
    int rc;

    while ((rc = sqlite3_step(wanted)) == SQLITE_ROW) {
        rc = find_object(find, wanted);
        if (rc == SQLITE_DONE)
            g_ptr_array_add(problems,
                            g_strdup_printf("%s: schema: '%s' is not what this program made", path,
                                            sqlite3_column_text(wanted, 0)));
        else if (rc != SQLITE_ROW)
            break;
    }
    return rc;
}

int sqlite_compare_schema(sqlite3 *db, sqlite3 *fresh, const char *path, GPtrArray *problems)
{
    sqlite3_stmt *wanted = NULL;
    sqlite3_stmt *find = NULL;
    int rc = sqlite3_prepare_v2(fresh, "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL",
                                -1, &wanted, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, "SELECT 1 FROM sqlite_schema WHERE name = ?1 AND sql = ?2", -1,
                                &find, NULL);
    if (rc == SQLITE_OK)
        rc = compare_objects(wanted, find, path, problems);
    sqlite3_finalize(wanted);
    sqlite3_finalize(find);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}
