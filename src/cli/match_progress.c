#include "cli/match_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"

#define INTERVAL_US 200000 /* between two lines */

void match_progress_init(struct match_progress *p)
{
    *p = (struct match_progress){.is_shown =
                                     isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) != 1};
}

void match_progress_begin(struct match_progress *p, const char *what)
{
    match_progress_clear(p);
    p->what = what;
    p->started_us = clock_monotonic_us();
    p->drawn_us = p->started_us;
}

/* Bytes are read ahead of what is done by less than a second's work. A file may grow meanwhile. */
static void draw(struct match_progress *p, const struct match_input *in, uint64_t count)
{
    static const char full[] = "##############################";
    static const char empty[] = "..............................";
    double seconds = (double)(p->drawn_us - p->started_us) / G_USEC_PER_SEC;
    double share = in->size > 0 ? MIN(1.0, (double)in->reader.bytes / (double)in->size) : 0;
    int width = (int)(share * (double)(sizeof(full) - 1));

    fprintf(stderr, "\r\033[K");
    if (in->size > 0)
        fprintf(stderr, "[%.*s%s] %3.0f %%  ", width, full, empty + width, share * 100);
    fprintf(stderr, "%" PRIu64 " %s, %.0f/s", count, p->what,
            seconds > 0 ? (double)count / seconds : 0);
    fflush(stderr);
    p->has_line = true;
}

void match_progress_note(struct match_progress *p, const struct match_input *in, uint64_t count)
{
    int64_t now_us;

    if (!p->is_shown)
        return;
    now_us = clock_monotonic_us();
    if (now_us - p->drawn_us < INTERVAL_US)
        return;
    p->drawn_us = now_us;
    draw(p, in, count);
}

void match_progress_clear(struct match_progress *p)
{
    if (p->has_line)
        fputs("\r\033[K", stderr);
    p->has_line = false;
}
