#include "cli/backup_progress.h"

#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"

#define SILENT_US   (2 * G_USEC_PER_SEC) /* what is over sooner needs no progress */
#define INTERVAL_US 200000               /* between two lines */

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP};

/* A signal that is ignored (nohup) stays ignored: held back it would be kept, and count. */
static void hold_signals(struct backup_progress *p)
{
    sigemptyset(&p->signals);
    for (size_t i = 0; i < G_N_ELEMENTS(ending_signals); i++) {
        struct sigaction action;

        if (sigaction(ending_signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&p->signals, ending_signals[i]);
    }
    sigprocmask(SIG_BLOCK, &p->signals, &p->previous);
}

void backup_progress_begin(struct backup_progress *p)
{
    *p = (struct backup_progress){
        .started_us = clock_monotonic_us(), .is_terminal = isatty(STDERR_FILENO) == 1, .what = ""};
    hold_signals(p);
    signal(SIGXFSZ, SIG_IGN);
}

/* Whether one of them has come. */
static bool is_interrupted(const struct backup_progress *p)
{
    sigset_t pending;

    sigpending(&pending);
    for (size_t i = 0; i < G_N_ELEMENTS(ending_signals); i++)
        if (sigismember(&p->signals, ending_signals[i]) == 1 &&
            sigismember(&pending, ending_signals[i]) == 1)
            return true;
    return false;
}

static void draw(struct backup_progress *p, int64_t done, int64_t total)
{
    static const char full[] = "##############################";
    static const char empty[] = "..............................";
    double share = total > 0 ? CLAMP((double)done / (double)total, 0.0, 1.0) : 0;
    int width = (int)(share * (double)(sizeof(full) - 1));
    g_autofree char *done_text = g_format_size((guint64)MAX(done, 0));
    g_autofree char *total_text = g_format_size((guint64)MAX(total, 0));

    fprintf(stderr, "\r\033[K[%.*s%s] %3.0f %%  %s, %s of %s", width, full, empty + width,
            share * 100, p->what, done_text, total_text);
    fflush(stderr);
    p->has_line = true;
}

bool backup_progress_note(void *user, int64_t done, int64_t total, GError **error)
{
    struct backup_progress *p = user;
    int64_t now_us = clock_monotonic_us();

    if (is_interrupted(p)) {
        g_set_error_literal(error, EF_ERROR, EF_ERROR_STOPPED, "interrupted");
        return false;
    }
    if (p->is_terminal && now_us - p->started_us >= SILENT_US &&
        now_us - p->drawn_us >= INTERVAL_US) {
        p->drawn_us = now_us;
        draw(p, done, total);
    }
    return true;
}

void backup_progress_clear(struct backup_progress *p)
{
    if (p->has_line)
        fputs("\r\033[K", stderr);
    p->has_line = false;
}

/* Standard output is flushed before, since the signal's default action does not. */
void backup_progress_end(struct backup_progress *p)
{
    backup_progress_clear(p);
    fflush(stdout);
    sigprocmask(SIG_SETMASK, &p->previous, NULL);
}

double backup_progress_seconds(const struct backup_progress *p)
{
    return (double)(clock_monotonic_us() - p->started_us) / G_USEC_PER_SEC;
}
