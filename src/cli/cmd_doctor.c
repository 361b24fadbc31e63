/* "eventflow doctor": looks at the data folder without touching it.
 *
 *    ok       configuration  every setting is valid
 *    ok       disk           41235 MiB free
 *    PROBLEM  eventflow.db   … the row with seq 17 does not fit its checksum
 *
 * Opens both databases for reading, beside a running program or after a crash, and says a line for
 * each finding. --full reads every page and row. The counts of the two databases are compared at
 * the end, as each of them can be sound and yet not belong to the other.
 *
 * Deliberately missing: repair. What to do stands in docs/troubleshooting.md.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/settings.h"
#include "common/json.h"
#include "queue/queue.h"
#include "store/store.h"

#define DISK_FREE_MIN (256 * 1024 * 1024) /* bytes; below it the doctor warns */

/* Only a problem changes the exit code; a warning is for the reader. */
enum finding { FINDING_OK, FINDING_WARNING, FINDING_PROBLEM };

/* One run; findings go to standard output as they are made. */
struct doctor {
    bool is_full;          /* --full: every page, row and count */
    bool is_json;          /* findings are gathered in w instead of printed */
    struct json_writer *w; /* in the array of findings; unused without is_json */
    unsigned problems;     /* findings of the worst kind so far */
};

/* One finding. Text appears at once, because a full check may run for minutes. */
static void report(struct doctor *d, enum finding kind, const char *what, const char *detail)
{
    static const char *const marks[] = {"ok", "warning", "PROBLEM"};

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

/* Space that this user may fill (f_bavail, not f_bfree: some is kept for root). A folder that
 * cannot be written is only mentioned: the doctor may run as another user than the program. */
static void check_disk(struct doctor *d, const char *folder)
{
    struct statvfs fs;
    g_autofree char *detail = NULL;
    guint64 free_bytes;

    if (statvfs(folder, &fs) != 0) {
        detail = g_strdup_printf("cannot look at '%s': %s", folder, g_strerror(errno));
        report(d, FINDING_PROBLEM, "disk", detail);
        return;
    }
    /* f_bavail counts in units of f_frsize, not of f_bsize. */
    free_bytes = (guint64)fs.f_bavail * fs.f_frsize;
    detail = g_strdup_printf("%" G_GUINT64_FORMAT " MiB free%s", free_bytes / (1024 * 1024),
                             access(folder, W_OK) == 0 ? "" : ", not writable for this user");
    report(d, free_bytes < DISK_FREE_MIN ? FINDING_WARNING : FINDING_OK, "disk", detail);
}

/* One finding for each problem, or one that says how hard it was looked for. */
static void report_all(struct doctor *d, const char *what, const GPtrArray *problems)
{
    if (problems->len == 0)
        report(d, FINDING_OK, what, d->is_full ? "every page, row and count checked" : "sound");
    for (guint i = 0; i < problems->len; i++)
        report(d, FINDING_PROBLEM, what, g_ptr_array_index(problems, i));
}

/* A check that could not be made is a problem as well: the program would meet the same trouble. */
static void check_queue(struct doctor *d, struct queue *queue)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;

    if (queue_check(queue, d->is_full ? QUEUE_CHECK_FULL : QUEUE_CHECK_QUICK, problems, &error))
        report_all(d, "queue.db", problems);
    else
        report(d, FINDING_PROBLEM, "queue.db", error->message);
}

/* As check_queue. */
static void check_store(struct doctor *d, struct store *store)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;

    if (store_check(store, d->is_full ? STORE_CHECK_FULL : STORE_CHECK_QUICK, problems, &error))
        report_all(d, "eventflow.db", problems);
    else
        report(d, FINDING_PROBLEM, "eventflow.db", error->message);
}

/* How many events the queue ever accepted, read afresh. -1: reported. */
static int64_t count_accepted(struct doctor *d, const char *folder)
{
    struct queue_options options = {.folder = folder, .read_only = true};
    struct queue_stats stats;
    g_autoptr(GError) error = NULL;
    struct queue *queue = queue_open(&queue_embedded_ops, &options, &error);

    if (queue == NULL) {
        report(d, FINDING_PROBLEM, "books", error->message);
        return -1;
    }
    queue_get_stats(queue, &stats);
    queue_close(queue);
    return stats.last_seq;
}

/* accepted = processed + failed + duplicate + waiting. The store is read first: whatever the
 * program settles meanwhile is then counted as waiting, never missed. */
static void check_books(struct doctor *d, const char *folder, struct store *store)
{
    struct store_summary s;
    int64_t accepted;
    int64_t ended;
    int64_t waiting;
    g_autofree char *detail = NULL;
    g_autoptr(GError) error = NULL;

    /* From the connection that is open already: its numbers are of one moment. */
    if (!store_get_summary(store, &s, &error)) {
        report(d, FINDING_PROBLEM, "books", error->message);
        return;
    }
    /* Read afresh and later than the store's numbers: see above. */
    accepted = count_accepted(d, folder);
    if (accepted < 0)
        return;
    ended = s.processed + s.failed + s.duplicate;
    waiting = accepted - s.position + s.retrying;
    detail = g_strdup_printf("accepted %" G_GINT64_FORMAT " = processed %" G_GINT64_FORMAT
                             " + failed %" G_GINT64_FORMAT " + duplicate %" G_GINT64_FORMAT
                             " + waiting %" G_GINT64_FORMAT,
                             accepted, s.processed, s.failed, s.duplicate, waiting);
    /* A position beyond what was accepted means that one of the files is older than the other, e.g.
     * after a restore of only one. */
    if (ended + waiting == accepted && s.position <= accepted)
        report(d, FINDING_OK, "books", detail);
    else
        report(d, FINDING_PROBLEM, "books", detail);
}

/* Both are opened, whatever the other one says; the books need both. */
static void check_databases(struct doctor *d, const char *folder)
{
    struct store_options store_options = {.folder = folder, .read_only = true};
    struct queue_options queue_options = {.folder = folder, .read_only = true};
    g_autoptr(GError) store_error = NULL;
    g_autoptr(GError) queue_error = NULL;
    struct store *store = store_open(&store_sqlite_ops, &store_options, &store_error);
    struct queue *queue = queue_open(&queue_embedded_ops, &queue_options, &queue_error);

    if (queue == NULL)
        report(d, FINDING_PROBLEM, "queue.db", queue_error->message);
    else
        check_queue(d, queue);
    if (store == NULL)
        report(d, FINDING_PROBLEM, "eventflow.db", store_error->message);
    else
        check_store(d, store);
    if (queue != NULL && store != NULL)
        check_books(d, folder, store);
    queue_close(queue);
    store_close(store);
}

/* All checks, the cheap ones first. Without a data folder there is nothing to find, and that is no
 * problem: the program has not run yet. */
static void examine(struct doctor *d, const struct settings *s)
{
    /* Loading has checked it, or we would not be here. */
    report(d, FINDING_OK, "configuration", "every setting is valid");
    if (!g_file_test(s->data, G_FILE_TEST_IS_DIR)) {
        g_autofree char *detail =
            g_strdup_printf("there is no folder '%s' yet; 'eventflow serve' makes it", s->data);

        report(d, FINDING_WARNING, "data", detail);
        return;
    }
    check_disk(d, s->data);
    check_databases(d, s->data);
}

/* Examines and prints. The JSON object is built in both cases and printed in one. */
static int doctor_run(struct doctor *d, const struct settings *s)
{
    g_autoptr(GString) out = g_string_new(NULL);
    struct json_writer w;

    d->w = &w;
    json_writer_init(&w, out);
    json_open_object(&w);
    json_key(&w, "findings");
    json_open_array(&w);
    examine(d, s);
    json_close_array(&w);
    json_put_integer(&w, "problems", d->problems);
    json_close_object(&w);
    if (d->is_json)
        printf("%s\n", out->str);
    else if (d->problems > 0)
        printf("%u problem%s found: docs/troubleshooting.md says what to do\n", d->problems,
               d->problems == 1 ? "" : "s");
    return d->problems == 0 ? EXIT_CODE_OK : EXIT_CODE_DATA;
}

/* Settings have no --help of their own: each command that takes them prints the table. */
static void print_doctor_help(void)
{
    printf("Usage: eventflow doctor [--full] [--json] [SETTINGS]\n\n%s.\n"
           "May run beside a running program. --full reads every page and row and compares all\n"
           "counts. Exit code 0 when all is well, 65 when a problem was found, 78 for a bad\n"
           "configuration.\n\n",
           command_doctor.summary);
    settings_print_help();
}

/* Our own flags are taken out first; what is left must be settings, checked as serve would. */
static int doctor(int argc, const char *const *argv)
{
    g_autofree const char **rest = g_memdup2(argv, (size_t)argc * sizeof(*argv));
    struct doctor d = {0};
    struct settings settings;
    int code;

    if (options_take("--help", &argc, rest) || options_take("-h", &argc, rest))
        return print_doctor_help(), EXIT_CODE_OK;
    d.is_full = options_take("--full", &argc, rest);
    d.is_json = options_take("--json", &argc, rest);
    if (!settings_load(&settings, argc, rest))
        return EXIT_CODE_CONFIG;
    code = doctor_run(&d, &settings);
    settings_done(&settings);
    return code;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "Check configuration, disk, integrity, and that the counts add up",
    .run = doctor,
    .usage = "[--full] [--json] [SETTINGS]",
};
