/* "eventflow send": the lines of a file or pipe as events.
 *
 *    file ──line_reader──▶ trim ──sender──▶ batches ──▶ server
 *
 * The file is read once and in constant memory. What goes on between lines and server stands in
 * sender.c; this file has the flags, the input, the progress line and the closing counts.
 *
 * Deliberately missing: a note of how far it came. Sending the same file again is safe, as every
 * event has an id that does not change.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/line_reader.h"
#include "cli/options.h"
#include "cli/sender.h"
#include "common/clock.h"
#include "common/json.h"
#include "core/event.h"

#define SEND_LINE_MAX        (1024 * 1024) /* bytes */
#define SEND_PROGRESS_US     200000        /* between two progress lines */
#define SEND_BYTE_ORDER_MARK "\xef\xbb\xbf"

/* Filled by the table below. */
struct send_flags {
    char *url;
    int64_t batch; /* events in a request, at most */
    int64_t retry_for_ms;
    bool quiet; /* also no progress line */
    bool json;
};

/* --batch ends where the server's default limit on events in a request ends (--events-max). */
static const struct config_setting SEND_FLAGS[] = {
    {.name = "url",
     .type = CONFIG_TEXT,
     .fallback = OPTIONS_URL,
     .help = "Address of the server",
     .offset = offsetof(struct send_flags, url)},
    {.name = "batch",
     .type = CONFIG_INTEGER,
     .fallback = "500",
     .min = 1,
     .max = 1000,
     .help = "Events in one request (at most 1 MiB in any case)",
     .offset = offsetof(struct send_flags, batch)},
    {.name = "retry-for",
     .type = CONFIG_DURATION,
     .fallback = "60s",
     .help = "How long to try again when the server is away or too busy",
     .offset = offsetof(struct send_flags, retry_for_ms)},
    {.name = "quiet",
     .type = CONFIG_BOOL,
     .help = "Print neither progress nor the closing line",
     .offset = offsetof(struct send_flags, quiet)},
    {.name = "json",
     .type = CONFIG_BOOL,
     .help = "Print the closing counts as JSON",
     .offset = offsetof(struct send_flags, json)},
};

/* One call of the command. */
struct send {
    struct options options;
    struct send_flags flags;
    struct sender sender;
    int fd;              /* of the input; standard input is not closed */
    uint64_t size;       /* bytes of the input, 0 when unknown */
    int64_t started_us;  /* monotonic, as progress_us */
    int64_t progress_us; /* when the last progress line was written */
    bool shows_progress; /* standard error is a terminal, and not --quiet */
};

/* ---- progress and summary -------------------------------------------------------------------- */

/* Since the first line was read, with all waiting. */
static double send_seconds(const struct send *s)
{
    return (double)(clock_monotonic_us() - s->started_us) / G_USEC_PER_SEC;
}

/* Over the line before it. bytes: read so far, which runs ahead of what was sent by up to a batch;
 * the share is of the file's size at the start, so a file that grows must not show more than all.
 * Without a size (a pipe) there is no bar. */
static void send_draw_progress(struct send *s, uint64_t bytes)
{
    static const char full[] = "##############################";
    static const char empty[] = "..............................";
    double seconds = send_seconds(s);
    double share = s->size > 0 ? MIN(1.0, (double)bytes / (double)s->size) : 0;
    int width = (int)(share * (double)(sizeof(full) - 1));

    fprintf(stderr, "\r\033[K");
    if (s->size > 0)
        fprintf(stderr, "[%.*s%s] %3.0f %%  ", width, full, empty + width, share * 100);
    fprintf(stderr, "%" PRIu64 " events, %.0f/s", s->sender.sent,
            seconds > 0 ? (double)s->sender.sent / seconds : 0);
    fflush(stderr);
    /* Whoever prints next wipes the line first. */
    s->sender.has_progress = true;
}

/* At most five times a second: the terminal is slow, and the sending must not wait for it. */
static void send_show_progress(struct send *s, uint64_t bytes)
{
    int64_t now_us = clock_monotonic_us();

    if (!s->shows_progress || now_us - s->progress_us < SEND_PROGRESS_US)
        return;
    s->progress_us = now_us;
    send_draw_progress(s, bytes);
}

/* The whole bar stays above the closing line. */
static void send_finish_progress(struct send *s, uint64_t bytes)
{
    if (!s->shows_progress)
        return;
    send_draw_progress(s, bytes);
    fputc('\n', stderr);
    s->sender.has_progress = false;
}

/* The same counts as the closing line, and the ones it leaves out when they are 0. */
static void send_print_json(const struct send *s)
{
    const struct sender *sender = &s->sender;
    g_autoptr(GString) out = g_string_new(NULL);
    struct json_writer w;

    json_writer_init(&w, out);
    json_open_object(&w);
    json_put_integer(&w, "sent", (int64_t)sender->sent);
    json_put_integer(&w, "accepted", (int64_t)sender->accepted);
    json_put_integer(&w, "rejected", (int64_t)sender->rejected);
    json_put_integer(&w, "identical_lines", (int64_t)sender->identical);
    json_put_number(&w, "seconds", send_seconds(s));
    json_close_object(&w);
    printf("%s\n", out->str);
}

/* Also after trouble: it says how much of the input is accounted for. --json wins over --quiet,
 * because a program that asks for counts wants them. */
static void send_print_summary(struct send *s)
{
    const struct sender *sender = &s->sender;

    sender_clear_progress(&s->sender);
    if (s->flags.json) {
        send_print_json(s);
        return;
    }
    if (s->flags.quiet)
        return;
    printf("sent %" PRIu64 ", accepted %" PRIu64 ", rejected %" PRIu64 " in %.1f s\n", sender->sent,
           sender->accepted, sender->rejected, send_seconds(s));
    if (sender->identical > 0)
        printf("lines without event_id that repeat an earlier line, and so are no new event: "
               "%s%" PRIu64 "\n",
               sender->is_seen_full ? "at least " : "", sender->identical);
}

/* ---- the input ------------------------------------------------------------------------------- */

/* Opens the input and learns its size; a pipe has none. false: reported. */
static bool send_open(struct send *s, const char *file)
{
    struct stat info;

    s->fd = g_str_equal(file, "-") ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &info) != 0) {
        fprintf(stderr, "eventflow send: %s: %s\n", file, g_strerror(errno));
        return false;
    }
    /* The size of anything but a file says nothing about what will come. */
    s->size = S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
    return true;
}

/* The line's event: without white space, and without the mark that some editors begin files with.
 * Empty for a blank line. */
static struct slice send_event_of(const struct line *line)
{
    struct slice mark = SLICE(SEND_BYTE_ORDER_MARK);
    struct slice text = line->text;

    /* Only the first line can have it; anywhere else it is part of the data, and wrong. */
    if (line->number == 1 && slice_starts_with(text, mark))
        text = slice_of(text.data + mark.size, text.size - mark.size);
    return event_trim(text);
}

/* A line that is too long or no event is reported and counted, and sending goes on; only trouble
 * with the server ends it. Blank lines are nothing. */
static int send_line(struct send *s, const struct line *line)
{
    struct slice text = send_event_of(line);

    if (line->is_too_long)
        sender_reject(&s->sender, line->number, "the line is longer than 1 MiB");
    else if (text.size > 0)
        return sender_add(&s->sender, text, line->number);
    return EXIT_CODE_OK;
}

/* All lines of the input. Trouble with reading decides the exit code, as it means that a part of
 * the input was never looked at. */
static int send_lines(struct send *s, const char *file)
{
    struct line_reader reader;
    struct line line = {0};
    g_autoptr(GError) error = NULL;
    int code = EXIT_CODE_OK;

    line_reader_init(&reader, s->fd, SEND_LINE_MAX);
    /* Ends with the input, or with trouble of either side. */
    while (code == EXIT_CODE_OK && line_reader_next(&reader, &line, &error)) {
        code = send_line(s, &line);
        send_show_progress(s, reader.bytes);
    }
    line_reader_done(&reader);
    if (code == EXIT_CODE_OK)
        code = sender_flush(&s->sender); /* what could be read is sent, even if the rest cannot */
    if (code == EXIT_CODE_OK && error == NULL)
        send_finish_progress(s, reader.bytes);
    if (error != NULL) {
        sender_clear_progress(&s->sender);
        fprintf(stderr, "eventflow send: %s: %s\n", file, error->message);
        return exit_code_of(error);
    }
    return code;
}

/* ---- the command ----------------------------------------------------------------------------- */

/* Everything between opened input and exit code. Rejected lines become the exit code last: any
 * other trouble says more. */
static int send_file(struct send *s, const char *file)
{
    const struct sender_options options = {.url = s->flags.url,
                                           .batch_max = (size_t)s->flags.batch,
                                           .retry_for_ms = s->flags.retry_for_ms};
    g_autoptr(GError) error = NULL;
    int code;

    if (!sender_init(&s->sender, &options, &error)) {
        code = options_refuse(&s->options, "--url: %s", error->message);
    } else {
        s->started_us = clock_monotonic_us();
        code = send_lines(s, file);
        send_print_summary(s);
    }
    /* Known only after the last answer. */
    if (code == EXIT_CODE_OK && s->sender.rejected > 0)
        code = EXIT_CODE_DATA;
    sender_done(&s->sender);
    return code;
}

/* Checks what the flags' table cannot: that there is one file, and that it opens. */
static int send_run(struct send *s)
{
    const char *file;
    int code;

    if (s->options.operands->len != 1)
        return options_refuse(&s->options, "say which one file to send ('-' is standard input)");
    file = g_ptr_array_index(s->options.operands, 0);
    if (!send_open(s, file))
        return EXIT_CODE_NO_INPUT;
    /* Not into a log file: there every update would be a line's worth of noise. */
    s->shows_progress = !s->flags.quiet && isatty(STDERR_FILENO) == 1;
    code = send_file(s, file);
    if (s->fd != STDIN_FILENO)
        close(s->fd);
    return code;
}

/* Everything a call needs lives in one struct on the stack; options_done is safe after any failure.
 */
static int run_send(int argc, const char *const *argv)
{
    struct send s = {
        .options = {
            .command = &command_send,
            .table = SEND_FLAGS,
            .count = G_N_ELEMENTS(SEND_FLAGS),
            .notes = "FILE holds one event a line (NDJSON); '-' is standard input. An event\n"
                     "without \"event_id\" gets one made from the content of its line, so a file\n"
                     "can be sent again after a break without counting anything twice. Two\n"
                     "identical lines without \"event_id\" are therefore ONE event: give them ids\n"
                     "if they are two.\n\n"
                     "Exit codes: 0 all accepted, 65 some rejected, 66 no such file, 69 server\n"
                     "away or too busy for too long.\n"}};
    int code;

    s.options.settings = &s.flags;
    if (options_load(&s.options, argc, argv, &code))
        code = send_run(&s);
    options_done(&s.options);
    return exit_code_flushed(code);
}

const struct command command_send = {
    .name = "send",
    .summary = "Send events from a file, one JSON object a line",
    .run = run_send,
    .usage = "FILE|- [--url URL] [--batch N] [--retry-for DURATION] [--quiet] [--json]",
};
