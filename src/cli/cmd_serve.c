#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "api/listener.h"
#include "cli/command.h"
#include "cli/data_folder.h"
#include "cli/engine.h"
#include "cli/examples.h"
#include "cli/exit_code.h"
#include "cli/settings.h"
#include "common/error.h"
#include "common/log.h"

/* The signal flag: set before the process wakes its own main thread. */
static atomic_bool serve_is_fatal;

static void serve_on_fatal(void)
{
    atomic_store(&serve_is_fatal, true);
    kill(getpid(), SIGTERM);
}

/* Blocks the signals in every thread (called before the first one starts); main waits for them. */
static sigset_t serve_block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return set;
}

/* At start, wrong input can only come from the settings: the folder, the addresses. */
static int start_exit_code(const GError *error)
{
    return g_error_matches(error, EF_ERROR, EF_ERROR_INPUT) ? EXIT_CODE_CONFIG
                                                            : exit_code_of(error);
}

static int serve_run(const struct settings *s)
{
    sigset_t signals = serve_block_signals();
    struct engine *engine;
    g_autoptr(GError) error = NULL;
    int number = 0;

    engine = engine_open(s, serve_on_fatal, &error);
    if (engine == NULL) {
        fprintf(stderr, "eventflow: %s\n", error->message);
        return start_exit_code(error);
    }
    log_info(LOG_MSG("started"), LOG_STRING("version", EVENTFLOW_VERSION),
             LOG_STRING("listen", s->listen), LOG_STRING("metrics_listen", s->metrics_listen),
             LOG_STRING("data", s->data));
    if (s->examples && engine_was_new(engine))
        examples_print_hint(s->listen);
    sigwait(&signals, &number);
    log_info(LOG_MSG("stopping: no new requests, finishing those in flight"),
             LOG_STRING("signal", number == SIGINT ? "SIGINT" : "SIGTERM"));
    engine_close(engine, !atomic_load(&serve_is_fatal));
    if (atomic_load(&serve_is_fatal))
        return EXIT_CODE_FATAL;
    log_info(LOG_MSG("stopped"));
    return EXIT_CODE_OK;
}

static bool asks_for_help(int argc, const char *const *argv)
{
    for (int i = 0; i < argc; i++)
        if (g_str_equal(argv[i], "--help") || g_str_equal(argv[i], "-h"))
            return true;
    return false;
}

/* What only a look at the machine can tell; added to the mistakes of the settings, so that a user
 * sees all of them at once. */
static void check_machine(const struct settings *s, GPtrArray *errors)
{
    const char *const addresses[] = {s->listen, s->metrics_listen};
    g_autoptr(GError) folder_error = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
        g_autoptr(GError) error = NULL;

        if (addresses[i] != NULL && !listener_check(addresses[i], s->allow_open, &error))
            g_ptr_array_add(errors, g_strdup(error->message));
    }
    if (s->data != NULL && !data_folder_check(s->data, &folder_error))
        g_ptr_array_add(errors, g_strdup(folder_error->message));
}

static int serve(int argc, const char *const *argv)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    struct settings settings;
    enum log_level level;
    int code = EXIT_CODE_CONFIG;

    if (asks_for_help(argc, argv)) {
        printf("Usage: eventflow serve [SETTINGS]\n\n%s.\n\n", command_serve.summary);
        settings_print_help();
        return EXIT_CODE_OK;
    }
    settings_read(&settings, argc, argv, errors);
    check_machine(&settings, errors);
    if (settings_report(errors)) {
        if (log_level_parse(slice_text(settings.log_level), &level))
            log_set_level(level);
        code = serve_run(&settings);
    }
    settings_done(&settings);
    return code;
}

const struct command command_serve = {
    .name = "serve",
    .summary = "Run everything in one process on an embedded database",
    .run = serve,
    .usage = "[SETTINGS]",
};
