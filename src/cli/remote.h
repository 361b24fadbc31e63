/* remote: what the commands share that ask a running server and print its answer.
 *
 *   argv ──flags──▶ struct remote ──action (list, show, …)──▶ client ──▶ table or JSON on stdout
 *
 * Trouble is printed on standard error and becomes an exit code.
 */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/table.h"
#include "common/config.h"

/* All flags that such commands have; each command's table names the ones it takes. Texts are owned
 * by the options; flags that a command does not have stay 0 or NULL. */
struct remote_flags {
    char *url;
    bool json;     /* the server's JSON instead of text */
    bool all;      /* failed replay: every open one */
    int64_t limit; /* rows of a list; 0 = all */
    char *status;  /* a choice; "all" = no filter */
    char *reason;  /* "" = any, as the next three */
    char *type;
    char *customer;
    char *source;
};

/* Entries for the flags that every command has, and the offset of the others. */
#define REMOTE_FLAG(member) offsetof(struct remote_flags, member)
#define REMOTE_COMMON_FLAGS                                                                        \
    {.name = "url",                                                                                \
     .type = CONFIG_TEXT,                                                                          \
     .fallback = OPTIONS_URL,                                                                      \
     .help = "Address of the server",                                                              \
     .offset = REMOTE_FLAG(url)},                                                                  \
    {                                                                                              \
        .name = "json", .type = CONFIG_BOOL, .help = "Print the server's JSON instead of text",    \
        .offset = REMOTE_FLAG(json)                                                                \
    }

/* One call of a command. */
struct remote {
    struct options options;
    struct remote_flags flags;
    struct client *client;       /* made before the action runs, freed after it */
    const char *const *operands; /* those behind the action's name */
    size_t operand_count;
};

/* "list", "show", …: the first operand picks one. run prints everything and returns the exit code.
 */
struct remote_action {
    const char *name;
    size_t operands_min;       /* behind the action's name */
    size_t operands_max;       /* SIZE_MAX: any number */
    const char *operands_name; /* what the operands are, for errors */
    int (*run)(struct remote *r);
};

/* A command as remote_run needs it; const data of its file. */
struct remote_command {
    const struct command *command;
    const struct config_setting *flags; /* offsets into struct remote_flags */
    size_t flag_count;
    const struct remote_action *actions;
    size_t action_count;
    const char *notes; /* below the flags in --help */
};

/* Reads flags and action, connects, runs the action. Returns the exit code. */
int remote_run(const struct remote_command *command, int argc, const char *const *argv);

/* Sends a request. EXIT_CODE_OK when the answer is 2xx: *response is then the caller's to free.
 * Else everything has been printed and freed. */
int remote_send(struct remote *r, const struct client_request *request,
                struct client_response *response);

/* A GET whose answer is JSON, read into the arena (which must outlive *value). Codes as above. */
int remote_get(struct remote *r, const char *path, struct arena *a,
               const struct json_value **value);

/* Does one thing with each operand and returns the first code that is not OK. One that fails does
 * not keep the others from their turn, unless the server is away. */
typedef int (*remote_operand_fn)(struct remote *r, const char *operand, void *user);
int remote_for_each(struct remote *r, remote_operand_fn act, void *user);

/* A list that the server gives in pages. */
struct remote_list {
    const char *path; /* with its filters */
    const char *key;  /* the member with the rows */
    const struct table_column *columns;
    size_t column_count;
    const char *nothing; /* what to say when there are no rows */
};

/* Prints all pages, up to flags.limit rows (0 = all): a table, or {key: [rows], "next_cursor"}. */
int remote_print_list(struct remote *r, const struct remote_list *list);

/* Prints text, or the error of an answer: the problem's detail and each of its errors, a line each.
 * what: the thing it is about, e.g. a file's name. */
void remote_print_problem(const char *what, const struct client_response *response);

/* The exit code for an answer that is no success. */
int remote_exit_code(int status);

#endif
