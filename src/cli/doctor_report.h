/* doctor_report: the findings of "eventflow doctor", as lines for people or as JSON.
 *
 *    ok       disk           41235 MiB free
 *    PROBLEM  eventflow.db   … the row with seq 17 does not fit its checksum
 */
#ifndef CLI_DOCTOR_REPORT_H
#define CLI_DOCTOR_REPORT_H

#include <stdbool.h>

#include "common/json.h"

/* Only a problem changes the exit code; a warning is for the reader. */
enum finding { FINDING_OK, FINDING_WARNING, FINDING_PROBLEM };

/* One run; findings go to standard output as they are made. */
struct doctor {
    bool is_full;          /* --full: every page, row and count */
    bool is_json;          /* findings are gathered in w instead of printed */
    struct json_writer *w; /* in the array of findings; unused without is_json */
    unsigned problems;     /* findings of the worst kind so far */
};

/* One finding. what: a word or file name for the second column. */
void doctor_report(struct doctor *d, enum finding kind, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
