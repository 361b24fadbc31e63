/* match_input: one input of "eventflow match": the lines of a file or of standard input.
 *
 * Lines as line_reader gives them, without the white space around them and the mark that some
 * editors begin files with. What it adds: the input's name for messages, its size for a progress
 * line, and whether asking for more would wait.
 */
#ifndef CLI_MATCH_INPUT_H
#define CLI_MATCH_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "cli/line_reader.h"

/* One thread. */
struct match_input {
    const char *name; /* for messages; borrowed */
    int fd;           /* standard input is not closed; -1: not open */
    bool is_file;     /* a plain file: reading never waits for a writer */
    uint64_t size;    /* bytes of a plain file at the start; 0: unknown */
    struct line_reader reader;
    struct line line;
};

/* file: a name, or "-" for standard input. line_max: bytes of the longest line.
 * Errors: EF_ERROR_MISSING "FILE: why". Owns: match_input_close afterwards, in both cases. */
bool match_input_open(struct match_input *in, const char *file, size_t line_max, GError **error);
void match_input_close(struct match_input *in); /* accepts a struct of zeros */

/* The next line, blank ones included: their text is empty. It stays where it is until a call for
 * which match_input_is_ready was false. false at the end, or with error set ("FILE: why"). */
bool match_input_next(struct match_input *in, struct line *line, GError **error);

/* Whether the next line is in memory already. */
bool match_input_is_ready(const struct match_input *in);

/* Whether match_input_next would still wait for a writer after wait_ms. */
bool match_input_waits(const struct match_input *in, int wait_ms);

/* Sets EF_ERROR_INPUT "FILE: line N: reason". The reader's own line number, always 1, is taken out
 * of reason. */
void match_input_refuse(const struct match_input *in, uint64_t number, const char *reason,
                        GError **error);

#endif
