/* "eventflow backup FILE": both databases, the results first, in one file, while the program runs.
 *
 * The work is done by backup_write.c; here are the arguments and what is printed.
 */
#include <stdio.h>

#include "cli/backup_command.h"
#include "cli/backup_write.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "common/json.h"

static const char notes[] =
    "\nFILE is a plain tar of manifest.json, eventflow.db and queue.db. It appears under its name\n"
    "only when it is complete and durable (until then: FILE.partial). --force replaces an\n"
    "existing FILE, --json prints the result as JSON. 'eventflow restore FILE' is the way back.\n"
    "Exit code 0 when FILE is made, 1 when it exists or cannot be replaced, 65 when a database is\n"
    "damaged, 66 when there is none, 69 when one stayed busy, 73 when another backup writes FILE,\n"
    "74 when there is no room or FILE cannot be written, 78 when a setting is wrong.\n";

static void print_json(const struct backup_command *c, const struct backup_write *b)
{
    g_autoptr(GString) out = g_string_new(NULL);
    struct json_writer w;

    json_writer_init(&w, out);
    json_open_object(&w);
    json_put_string(&w, "file", c->file);
    json_put_integer(&w, "size", b->size);
    backup_manifest_put(&b->manifest, &w);
    json_put_integer(&w, "waiting", backup_manifest_waiting(&b->manifest));
    json_put_number(&w, "seconds", backup_progress_seconds(&c->progress));
    json_close_object(&w);
    printf("%s\n", out->str);
}

static void print_text(const struct backup_command *c, const struct backup_write *b)
{
    const struct backup_manifest *m = &b->manifest;
    g_autofree char *size = g_format_size((guint64)b->size);

    printf("%s: %s in %.1f s; %" G_GINT64_FORMAT " events (%" G_GINT64_FORMAT
           " processed, %" G_GINT64_FORMAT " failed, %" G_GINT64_FORMAT
           " duplicate, %" G_GINT64_FORMAT " waiting), %" G_GINT64_FORMAT " matches\n",
           c->file, size, backup_progress_seconds(&c->progress), m->accepted, m->processed,
           m->failed, m->duplicate, backup_manifest_waiting(m), m->matches);
}

static int make_backup(struct backup_command *c)
{
    struct backup_write b = {.folder = c->settings.data,
                             .file = c->file,
                             .is_forced = c->is_forced,
                             .progress = &c->progress};
    g_autoptr(GError) error = NULL;
    int code = EXIT_CODE_OK;

    if (!backup_write(&b, &error))
        code = backup_command_fail(c, error);
    backup_progress_clear(&c->progress);
    if (code == EXIT_CODE_OK)
        (c->is_json ? print_json : print_text)(c, &b);
    backup_manifest_done(&b.manifest);
    return code;
}

static int run_backup(int argc, const char *const *argv)
{
    struct backup_command c = {.command = &command_backup};

    return backup_command_run(&c, notes, make_backup, argc, argv);
}

const struct command command_backup = {
    .name = "backup",
    .summary = "Make a consistent copy of all data, also while the program runs",
    .run = run_backup,
    .usage = "FILE [--data DIR] [--force] [--json]",
};
