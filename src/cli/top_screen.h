/* top_screen: the terminal while "eventflow top" has it: alternate screen, no cursor, keys as they
 * come. Whatever ends it, the terminal is left as it was.
 */
#ifndef CLI_TOP_SCREEN_H
#define CLI_TOP_SCREEN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include <glib.h>

/* One thread; one at a time. */
struct top_screen {
    bool is_open;
    bool has_keys;         /* standard input is a terminal */
    struct termios before; /* its settings, when has_keys */
    sigset_t signals;      /* held back; read through signal_fd */
    sigset_t mask_before;
    int signal_fd;
    int width, height; /* of the window */
};

/* Why a wait ended. */
enum top_event { TOP_EVENT_TIME, TOP_EVENT_RESIZED, TOP_EVENT_QUIT };

/* Takes the terminal; standard output is one. */
void top_screen_open(struct top_screen *s);
void top_screen_close(struct top_screen *s); /* accepts a closed one */

/* Replaces what is shown. Lines end with newlines. */
void top_screen_draw(struct top_screen *s, const GString *lines);

/* Waits for time to pass, a key, or a signal. until_us: monotonic. */
enum top_event top_screen_wait(struct top_screen *s, int64_t until_us);

#endif
