#include "cli/doctor_report.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli/table.h"

/* Text appears at once, because a full check may run for minutes. */
void doctor_report(struct doctor *d, enum finding kind, const char *what, const char *format, ...)
{
    static const char *const marks[] = {"ok", "warning", "PROBLEM"};
    g_autofree char *raw = NULL;
    g_autofree char *detail = NULL;
    va_list args;

    va_start(args, format);
    raw = g_strdup_vprintf(format, args);
    va_end(args);
    /* It may name what stands in a damaged file. */
    detail = table_safe_text(slice_text(raw));
    /* The exit code follows from this count alone. */
    if (kind == FINDING_PROBLEM)
        d->problems++;
    if (!d->is_json) {
        printf("%-8s %-14s %s\n", marks[kind], what, detail);
        fflush(stdout);
        return;
    }
    json_open_object(d->w);
    json_put_string(d->w, "check", what);
    json_put_string(d->w, "finding", kind == FINDING_PROBLEM ? "problem" : marks[kind]);
    json_put_string(d->w, "detail", detail);
    json_close_object(d->w);
}
