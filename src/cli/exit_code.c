/* From errors to exit codes: a table, so that no command decides for itself.
 */
#include "cli/exit_code.h"

#include <stdbool.h>
#include <stdio.h>

#include "common/error.h"

/* Errors of a domain that we do not know are a plain FAILURE: the text tells more than a guess. */
int exit_code_of(const GError *error)
{
    /* By enum ef_error. RETRY means here that waiting did not help; DATA stands for all input that
     * cannot be used, whether wrong or damaged. */
    static const int codes[] = {
        [EF_ERROR_RETRY] = EXIT_CODE_UNAVAILABLE, [EF_ERROR_INPUT] = EXIT_CODE_DATA,
        [EF_ERROR_MISSING] = EXIT_CODE_NO_INPUT,  [EF_ERROR_CONFLICT] = EXIT_CODE_FAILURE,
        [EF_ERROR_FULL] = EXIT_CODE_IO,           [EF_ERROR_CORRUPT] = EXIT_CODE_DATA,
        [EF_ERROR_STOPPED] = EXIT_CODE_FAILURE,   [EF_ERROR_FATAL] = EXIT_CODE_FATAL,
        [EF_ERROR_IN_USE] = EXIT_CODE_IN_USE,     [EF_ERROR_NEWER] = EXIT_CODE_NEWER_SCHEMA,
    };

    if (error == NULL)
        return EXIT_CODE_OK;
    if (error->domain == EF_ERROR && error->code >= 0 && error->code < (int)G_N_ELEMENTS(codes))
        return codes[error->code];
    /* Reading a file fails mostly for its name; the rest is the disk's. */
    if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT) ||
        g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ACCES) ||
        g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ISDIR))
        return EXIT_CODE_NO_INPUT;
    if (error->domain == G_FILE_ERROR)
        return EXIT_CODE_IO;
    return EXIT_CODE_FAILURE;
}

/* The reader of a pipe has gone, or the disk is full. The mark is looked at too, as an earlier
 * write may have failed and left nothing to flush. */
int exit_code_flushed(int code)
{
    bool is_lost = fflush(stdout) != 0 || ferror(stdout) != 0;

    return is_lost && code == EXIT_CODE_OK ? EXIT_CODE_IO : code;
}
