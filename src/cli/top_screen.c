/* Taking the terminal and giving it back.
 *
 * Signals and keys come through one poll(): nothing is done in a handler, so each way out (a key, a
 * signal, a terminal that is gone, Ctrl-Z) runs through the same code, which restores what was
 * there. Each picture is one write, drawn over the one before. Deliberately missing: curses, whose
 * database of terminals is not needed for six sequences that all of today's terminals know.
 */
#include "cli/top_screen.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/clock.h"

/* Source: ECMA-48 and xterm's control sequences (ctlseqs). */
#define ENTER "\033[?1049h\033[?25l" /* alternate screen, no cursor */
#define LEAVE "\033[?25h\033[?1049l"

#define WIDTH_DEFAULT  80 /* of a terminal that does not say */
#define HEIGHT_DEFAULT 24

/* A terminal that is gone gets nothing, and needs nothing. */
static void print(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t got = write(STDOUT_FILENO, text, size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return;
        text += got;
        size -= (size_t)got;
    }
}

/* Asked again at each SIGWINCH; serial lines and some test tools report 0 columns. */
static void measure(struct top_screen *s)
{
    struct winsize size;
    bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;

    s->width = is_known ? size.ws_col : WIDTH_DEFAULT;
    s->height = is_known && size.ws_row > 0 ? size.ws_row : HEIGHT_DEFAULT;
}

/* Keys come without waiting for a newline and are not shown; Ctrl-C stays a signal. */
static void take_terminal(const struct top_screen *s)
{
    struct termios raw = s->before;

    if (s->has_keys) {
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    print(ENTER, strlen(ENTER));
}

/* In reverse. */
static void give_terminal(const struct top_screen *s)
{
    print(LEAVE, strlen(LEAVE));
    if (s->has_keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &s->before);
}

/* Signals are read, not handled: so the terminal is given back by ordinary code. */
void top_screen_open(struct top_screen *s)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};

    *s = (struct top_screen){.is_open = true};
    sigemptyset(&s->signals);
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        sigaddset(&s->signals, numbers[i]);
    sigprocmask(SIG_BLOCK, &s->signals, &s->mask_before);
    signal(SIGPIPE, SIG_IGN);
    s->signal_fd = signalfd(-1, &s->signals, SFD_CLOEXEC | SFD_NONBLOCK);
    s->has_keys = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &s->before) == 0;
    measure(s);
    take_terminal(s);
}

void top_screen_close(struct top_screen *s)
{
    if (!s->is_open)
        return;
    give_terminal(s);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    /* What waits was the reason to end, or came together with it. */
    while (sigtimedwait(&s->signals, NULL, &(struct timespec){0}) > 0)
        continue;
    sigprocmask(SIG_SETMASK, &s->mask_before, NULL);
    s->is_open = false;
}

/* Line over line, each cleared behind its end, so that nothing flickers. No newline after the last
 * one: it would scroll a full window. */
void top_screen_draw(struct top_screen *s, const GString *lines)
{
    g_auto(GStrv) parts = g_strsplit(lines->str, "\n", -1);
    g_autoptr(GString) out = g_string_new("\033[H");

    /* What stands behind the last newline is nothing. */
    for (int i = 0; i < s->height && parts[i] != NULL && parts[i + 1] != NULL; i++)
        g_string_append_printf(out, "%s%s\033[K", i > 0 ? "\r\n" : "", parts[i]);
    g_string_append(out, "\033[J");
    print(out->str, out->len);
}

/* Ctrl-Z: the shell gets its terminal for a while. */
static void suspend(struct top_screen *s)
{
    give_terminal(s);
    raise(SIGSTOP);
    measure(s);
    take_terminal(s);
}

/* false: no signal, or one that only wants a look at the time. */
static bool take_signal(struct top_screen *s, enum top_event *event)
{
    struct signalfd_siginfo info;

    if (read(s->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return false;
    *event = TOP_EVENT_QUIT;
    if (info.ssi_signo == SIGWINCH || info.ssi_signo == SIGTSTP) {
        if (info.ssi_signo == SIGTSTP)
            suspend(s);
        measure(s);
        *event = TOP_EVENT_RESIZED;
    }
    return true;
}

/* Whether a key says to leave; a terminal that is gone does. */
static bool is_quit_key(short events)
{
    char keys[64];
    ssize_t got;

    if ((events & (POLLIN | POLLHUP | POLLERR)) == 0)
        return false;
    got = read(STDIN_FILENO, keys, sizeof(keys));
    if (got <= 0)
        return (events & (POLLHUP | POLLERR)) != 0;
    return memchr(keys, 'q', (size_t)got) != NULL || memchr(keys, 'Q', (size_t)got) != NULL;
}

/* Rounded up to whole milliseconds: rounded down it would wake early and spin until the time. A
 * terminal that is gone wakes it at once, through its end of file. */
enum top_event top_screen_wait(struct top_screen *s, int64_t until_us)
{
    for (;;) {
        int64_t left_ms = (until_us - clock_monotonic_us() + 999) / 1000;
        struct pollfd files[] = {{.fd = s->signal_fd, .events = POLLIN},
                                 {.fd = s->has_keys ? STDIN_FILENO : -1, .events = POLLIN}};
        enum top_event event;

        poll(files, G_N_ELEMENTS(files), (int)CLAMP(left_ms, 0, G_MAXINT));
        if (files[0].revents != 0 && take_signal(s, &event))
            return event;
        if (is_quit_key(files[1].revents))
            return TOP_EVENT_QUIT;
        if (clock_monotonic_us() >= until_us)
            return TOP_EVENT_TIME;
    }
}
