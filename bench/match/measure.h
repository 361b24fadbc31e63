/* measure: time and memory of what the matcher's benchmark runs.
 *
 * Times are the thread's own processor time: what other programs take meanwhile is not in them.
 */
#ifndef MATCH_MEASURE_H
#define MATCH_MEASURE_H

#include <stddef.h>

/* Seconds of processor time of this thread. */
double measure_cpu_seconds(void);

/* Seconds on the wall, for what may use further threads. */
double measure_wall_seconds(void);

/* Does the thing being timed to the items from 0 to count - 1. */
typedef void (*measure_fn)(void *user, size_t count);

/* Nanoseconds an item: the median of at least MEASURE_RUNS runs over the first items (all of them
 * when that is quick enough), after a warm-up, for about that many seconds together. */
#define MEASURE_RUNS 5
double measure_ns(measure_fn run, void *user, size_t items, double seconds);

/* The median; values are put in order. */
double measure_median(double *values, size_t count);

/* Resident memory of the process now, and the most there was since measure_reset_peak. Free memory
 * is given back to the system first. Units: bytes. */
size_t measure_resident(void);
size_t measure_peak(void);
void measure_reset_peak(void);

#endif
