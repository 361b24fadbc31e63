/* "eventflow restore FILE": the way back from "eventflow backup".
 *
 *   check FILE to the last bit ▸ lock the folder ▸ write and check beside it ▸ put in place
 *
 * Until the last step nothing of what the folder holds is touched. The books are checked before
 * that step, not after it: a backup that does not add up must not take the place of anything.
 */
#include <stdio.h>

#include "cli/backup_command.h"
#include "cli/backup_place.h"
#include "cli/backup_read.h"
#include "cli/command.h"
#include "cli/doctor_books.h"
#include "cli/exit_code.h"
#include "common/error.h"
#include "common/json.h"
#include "common/sqlite_copy.h"
#include "queue/queue.h"

static const char notes[] =
    "\nThe data folder must be empty or new, and no program may run on it. --force puts the\n"
    "databases that are there aside, in a folder with the date in its name; nothing is ever\n"
    "deleted. --json prints the result as JSON.\n"
    "Exit code 0 when restored, 1 when the folder holds databases, 65 when FILE is damaged or its\n"
    "books do not add up, 66 when there is no FILE, 73 when a program runs on the folder, 74 when\n"
    "there is no room or reading or writing failed, 76 when a newer version made FILE, 78 when the\n"
    "folder cannot be used or a setting is wrong.\n";

/* What was found in the restored files. */
struct findings {
    bool is_older;             /* one of them is of an older schema */
    struct doctor_books books; /* unless is_older */
};

/* Problems are errors here: the first one tells enough. */
static bool is_sound(const GPtrArray *problems, GError **error)
{
    if (problems->len == 0)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT, "the backup holds a damaged database: %s",
                (const char *)g_ptr_array_index(problems, 0));
    return false;
}

/* SQLite's own look at the pages of a file that the program cannot open before it is migrated. */
static bool check_pages(const char *folder, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    struct sqlite_copy_query damaged = {
        .sql = "SELECT count(*) FROM pragma_quick_check(1) WHERE quick_check <> 'ok'"};

    if (!sqlite_copy_ask(path, &damaged, 1, error))
        return false;
    if (damaged.value == 0)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT, "the backup holds a damaged database: %s", name);
    return false;
}

/* store NULL: of an older schema. */
static bool check_results(struct store *store, const char *folder, GError **error)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);

    if (store == NULL)
        return check_pages(folder, "eventflow.db", error);
    return store_check(store, STORE_CHECK_QUICK, problems, error) && is_sound(problems, error);
}

/* As check_results. */
static bool check_log(struct queue *queue, const char *folder, GError **error)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);

    if (queue == NULL)
        return check_pages(folder, "queue.db", error);
    return queue_check(queue, QUEUE_CHECK_QUICK, problems, error) && is_sound(problems, error);
}

/* Always false. */
static bool fail_books(const char *text, GError **error)
{
    g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT, "the books of the backup do not add up: %s",
                text);
    return false;
}

/* The counts of an older schema are those of the manifest: they were read from the very moment that
 * was copied. */
static bool check_books(struct findings *found, const struct backup_manifest *m, const char *folder,
                        struct store *store, GError **error)
{
    g_autofree char *text = NULL;

    if (found->is_older)
        return backup_manifest_adds_up(m) || fail_books("see its " BACKUP_MANIFEST_NAME, error);
    if (!doctor_books_read(&found->books, folder, store, error))
        return false;
    text = doctor_books_text(&found->books);
    return found->books.add_up || fail_books(text, error);
}

/* An older schema is no error: the next start migrates it. The file is whole, digests included, so
 * MISSING can mean nothing else. */
static bool note_older(struct findings *found, GError *problem, GError **error)
{
    if (problem == NULL)
        return true;
    if (!g_error_matches(problem, EF_ERROR, EF_ERROR_MISSING)) {
        g_propagate_error(error, problem);
        return false;
    }
    found->is_older = true;
    g_error_free(problem);
    return true;
}

/* The files in staging, opened as the program would, each checked whatever the other one is. */
static bool check_files(struct findings *found, const struct backup_manifest *m, const char *folder,
                        GError **error)
{
    struct store_options store_options = {.folder = folder, .read_only = true};
    struct queue_options queue_options = {.folder = folder, .read_only = true};
    GError *store_problem = NULL, *queue_problem = NULL;
    struct store *store = store_open(&store_sqlite_ops, &store_options, &store_problem);
    struct queue *queue = queue_open(&queue_embedded_ops, &queue_options, &queue_problem);
    bool is_good = note_older(found, store_problem, error);

    if (is_good)
        is_good = note_older(found, queue_problem, error);
    else
        g_clear_error(&queue_problem);
    is_good = is_good && check_results(store, folder, error) && check_log(queue, folder, error) &&
              check_books(found, m, folder, store, error);
    queue_close(queue);
    store_close(store);
    return is_good;
}

static void print_json(const struct backup_command *c, const struct backup_read *from,
                       const struct backup_place *place)
{
    g_autoptr(GString) out = g_string_new(NULL);
    struct json_writer w;

    json_writer_init(&w, out);
    json_open_object(&w);
    json_put_string(&w, "file", c->file);
    json_put_string(&w, "data", c->settings.data);
    json_put_string(&w, "program", from->manifest.program);
    backup_manifest_put(&from->manifest, &w);
    json_put_integer(&w, "waiting", backup_manifest_waiting(&from->manifest));
    json_put_string(&w, "replaced", place->aside);
    json_put_number(&w, "seconds", backup_progress_seconds(&c->progress));
    json_close_object(&w);
    printf("%s\n", out->str);
}

static void print_text(const struct backup_command *c, const struct findings *found,
                       const struct backup_place *place)
{
    g_autofree char *books = doctor_books_text(&found->books);

    if (place->aside != NULL)
        printf("the databases that were there are now in %s\n", place->aside);
    printf("restored to %s in %.1f s; %s\n", c->settings.data,
           backup_progress_seconds(&c->progress),
           found->is_older ? "the next start brings its older schema up to date" : books);
}

/* From an open backup and a locked folder. */
static bool restore(struct backup_command *c, struct backup_read *from, struct backup_place *place,
                    GError **error)
{
    struct findings found = {0};

    if (!backup_place_fill(place, from, error) ||
        !check_files(&found, &from->manifest, place->staging, error) ||
        !backup_progress_note(&c->progress, 0, 0, error) || !backup_place_switch(place, error))
        return false;
    backup_progress_clear(&c->progress);
    if (c->is_json)
        print_json(c, from, place);
    else
        print_text(c, &found, place);
    return true;
}

/* A folder that exists is locked before the long reading, to say at once that it is in use; one
 * that does not is made only when the backup is known to be good. */
static bool prepare(struct backup_command *c, struct backup_read *from, struct backup_place *place,
                    GError **error)
{
    bool is_there = g_file_test(c->settings.data, G_FILE_TEST_IS_DIR);

    return backup_read_open(from, c->file, &c->progress, error) &&
           (!is_there || backup_place_open(place, c->settings.data, c->is_forced, error)) &&
           backup_read_verify(from, error) &&
           (is_there || backup_place_open(place, c->settings.data, c->is_forced, error));
}

static int restore_backup(struct backup_command *c)
{
    struct backup_read from = {.fd = -1};
    struct backup_place place = {.folder.lock_fd = -1};
    g_autoptr(GError) error = NULL;
    int code = EXIT_CODE_OK;

    if (!prepare(c, &from, &place, &error) || !restore(c, &from, &place, &error))
        code = backup_command_fail(c, error);
    backup_place_close(&place, code == EXIT_CODE_OK);
    backup_read_close(&from);
    return code;
}

static int run_restore(int argc, const char *const *argv)
{
    struct backup_command c = {.command = &command_restore};

    return backup_command_run(&c, notes, restore_backup, argc, argv);
}

const struct command command_restore = {
    .name = "restore",
    .summary = "Bring the data of a backup back into an empty data folder",
    .run = run_restore,
    .usage = "FILE [--data DIR] [--force] [--json]",
};
