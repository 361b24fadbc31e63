/* top_view: what "eventflow top" shows, as text. Pure: numbers and a size in, lines out.
 *
 *   accepted    12,345/s  ▁▂▃▅▇█▇▅  1,234,567 in all
 *
 * Each line is at most as wide as the window, counted in characters; colours are SGR sequences
 * within a line. Nothing here moves a cursor.
 */
#ifndef CLI_TOP_VIEW_H
#define CLI_TOP_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "cli/top_sample.h"

#define TOP_HISTORY 61 /* samples kept: 60 steps from one to the next */
#define TOP_WINDOW  10 /* steps that percentiles look back */

/* The samples so far. */
struct top_history {
    struct top_sample samples[TOP_HISTORY]; /* oldest first */
    int count;
};

/* How to show them. */
struct top_view {
    const struct top_history *history;
    const char *url;
    const char *time; /* of the drawing, for people: it goes on while the server is away */
    const char *away; /* why the server does not answer; NULL: it does */
    double away_seconds;
    double now_seconds; /* since 1970, for the server's age */
    int width, height;  /* of the window; height 0: as many lines as there are */
    bool is_colour, is_utf8;
    bool is_live; /* with sparklines and how to leave */
};

/* Adds a sample; the oldest falls out when the history is full. */
void top_history_add(struct top_history *h, const struct top_sample *sample);

/* What is counted in rates, from the last two samples; 0 while there is only one. */
enum top_rate { TOP_ACCEPTED, TOP_PROCESSED, TOP_FAILED, TOP_DUPLICATE, TOP_MATCHES, TOP_RATES };

/* The rate in the step that ends step samples before the newest one, per second; negative: there is
 * no such step. */
double top_rate_at(const struct top_history *h, enum top_rate rate, int step);

/* Appends the lines, each with a newline. */
void top_view_render(const struct top_view *v, GString *out);

/* Appends the same numbers as one line of JSON. */
void top_view_json(const struct top_view *v, GString *out);

/* Appends one character for each value, oldest first, as high as its share of the largest one;
 * negative values are gaps. */
void top_sparkline(const double *values, int count, bool is_utf8, GString *out);

#endif
