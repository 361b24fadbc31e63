#include "common/sqlite_uri.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <glib.h>

/* SQLite follows symbolic links first, so the log stands beside the file that they lead to. */
static char *log_of(const char *path)
{
    char *real = realpath(path, NULL);
    char *log = g_strconcat(real != NULL ? real : path, "-wal", NULL);

    free(real);
    return log;
}

/* Only "there is none" is certain. A running program makes its log when it opens the file and
 * writes to it later: an empty one says that somebody is there. */
bool sqlite_has_log(const char *path)
{
    g_autofree char *log = log_of(path);

    return access(log, F_OK) == 0 || errno != ENOENT;
}

/* Escaped, since a question mark in a name would begin the parameters. */
static char *make_uri(const char *path, const char *parameters)
{
    g_autofree char *absolute = g_canonicalize_filename(path, NULL);
    g_autofree char *escaped = g_uri_escape_string(absolute, "/", TRUE);

    return g_strconcat("file://", escaped, parameters, NULL);
}

char *sqlite_uri(const char *path)
{
    return make_uri(path, "");
}

char *sqlite_reader_uri(const char *path, bool *is_at_rest)
{
    bool has_log = sqlite_has_log(path);

    if (is_at_rest != NULL)
        *is_at_rest = !has_log;
    return make_uri(path, has_log ? "" : "?immutable=1");
}
