/* Broken on purpose: a commit whose sync failed is tried a second time, and that counts as success.
 */
#include <sqlite3.h>

int __real_sqlite3_step(sqlite3_stmt *statement);
int __wrap_sqlite3_step(sqlite3_stmt *statement);

int __wrap_sqlite3_step(sqlite3_stmt *statement)
{
    int rc = __real_sqlite3_step(statement);

    if (rc != SQLITE_IOERR_FSYNC)
        return rc;
    sqlite3_reset(statement);
    __real_sqlite3_step(statement);
    return SQLITE_DONE;
}
