/* "eventflow doctor": looks at the data folder without touching it.
 *
 *    ok       configuration  every setting is valid
 *    ok       disk           41235 MiB free
 *    PROBLEM  eventflow.db   … the row with seq 17 does not fit its checksum
 *
 * Opens both databases for reading, beside a running program or after a crash, and says a line for
 * each finding. --full reads every page and row. The two databases are compared at the end, as each
 * of them can be sound and yet not belong to the other. The parts stand in doctor_*.c.
 *
 * Deliberately missing: repair. What to do stands in docs/troubleshooting.md.
 */
#include <stdio.h>

#include "cli/command.h"
#include "cli/doctor_books.h"
#include "cli/doctor_folder.h"
#include "cli/doctor_pair.h"
#include "cli/doctor_report.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/settings.h"
#include "common/json.h"
#include "common/sqlite_copy.h"
#include "queue/queue.h"
#include "store/store.h"

/* One finding for each problem, or one that says how hard it was looked for. */
static void report_all(struct doctor *d, const char *what, const GPtrArray *problems)
{
    if (problems->len == 0)
        doctor_report(d, FINDING_OK, what, "%s",
                      d->is_full ? "every page, row and count checked" : "sound");
    for (guint i = 0; i < problems->len; i++)
        doctor_report(d, FINDING_PROBLEM, what, "%s", (const char *)g_ptr_array_index(problems, i));
}

/* A check that could not be made is a problem as well: the program would meet the same trouble. */
static void check_queue(struct doctor *d, struct queue *queue)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;

    if (queue_check(queue, d->is_full ? QUEUE_CHECK_FULL : QUEUE_CHECK_QUICK, problems, &error))
        report_all(d, "queue.db", problems);
    else
        doctor_report(d, FINDING_PROBLEM, "queue.db", "%s", error->message);
}

/* As check_queue. */
static void check_store(struct doctor *d, struct store *store)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;

    if (store_check(store, d->is_full ? STORE_CHECK_FULL : STORE_CHECK_QUICK, problems, &error))
        report_all(d, "eventflow.db", problems);
    else
        doctor_report(d, FINDING_PROBLEM, "eventflow.db", "%s", error->message);
}

/* accepted = processed + failed + duplicate + waiting. */
static void check_books(struct doctor *d, const char *folder, struct store *store)
{
    struct doctor_books books;
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    if (!doctor_books_read(&books, folder, store, &error)) {
        doctor_report(d, FINDING_PROBLEM, "books", "%s", error->message);
        return;
    }
    text = doctor_books_text(&books);
    doctor_report(d, books.add_up ? FINDING_OK : FINDING_PROBLEM, "books", "%s", text);
}

/* The version in the file; whether this program knows it shows when it is opened. */
static void check_schema(struct doctor *d, const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    struct sqlite_copy_query version = {.sql = "PRAGMA user_version"};

    if (sqlite_copy_ask(path, &version, 1, NULL)) /* if not, opening has said why */
        doctor_report(d, FINDING_OK, name, "schema version %" G_GINT64_FORMAT, version.value);
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

    if (queue != NULL)
        check_schema(d, folder, "queue.db");
    if (store != NULL)
        check_schema(d, folder, "eventflow.db");
    if (queue == NULL)
        doctor_report(d, FINDING_PROBLEM, "queue.db", "%s", queue_error->message);
    else
        check_queue(d, queue);
    if (store == NULL)
        doctor_report(d, FINDING_PROBLEM, "eventflow.db", "%s", store_error->message);
    else
        check_store(d, store);
    if (queue != NULL && store != NULL) {
        doctor_check_pair(d, store, queue);
        check_books(d, folder, store);
    }
    queue_close(queue);
    store_close(store);
}

/* Whether there is a database, or a log of one that is gone. */
static bool has_databases(const char *folder)
{
    static const char *const names[] = {"eventflow.db", "eventflow.db-wal", "queue.db",
                                        "queue.db-wal"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(folder, names[i], NULL);

        if (g_file_test(path, G_FILE_TEST_EXISTS) || g_file_test(path, G_FILE_TEST_IS_SYMLINK))
            return true;
    }
    return false;
}

/* All checks, the cheap ones first. Without a data folder, or with an empty one, there is nothing
 * to find, and that is no problem: the program has not run yet. */
static void examine(struct doctor *d, const struct settings *s)
{
    /* Loading has checked it, or we would not be here. */
    doctor_report(d, FINDING_OK, "configuration", "every setting is valid");
    if (!g_file_test(s->data, G_FILE_TEST_IS_DIR)) {
        doctor_report(d, FINDING_WARNING, "data",
                      "there is no folder '%s' yet; 'eventflow serve' makes it", s->data);
        return;
    }
    doctor_check_disk(d, s->data);
    doctor_check_lock(d, s->data);
    if (has_databases(s->data))
        check_databases(d, s->data);
    else
        doctor_report(d, FINDING_WARNING, "data",
                      "there are no databases in '%s' yet; 'eventflow serve' makes them", s->data);
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
    return exit_code_flushed(d->problems == 0 ? EXIT_CODE_OK : EXIT_CODE_DATA);
}

/* Settings have no --help of their own: each command that takes them prints the table. */
static void print_doctor_help(void)
{
    printf("Usage: eventflow doctor [--full] [--json] [SETTINGS]\n\n%s.\n"
           "May run beside a running program. --full reads every page and row and compares all\n"
           "counts. Exit code 0 when all is well, 65 when a problem was found, 74 when the output\n"
           "cannot be written, 78 for a bad configuration.\n\n",
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
        return print_doctor_help(), exit_code_flushed(EXIT_CODE_OK);
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
    .summary = "Check configuration, disk, locks, integrity, and that the counts add up",
    .run = doctor,
    .usage = "[--full] [--json] [SETTINGS]",
};
