/* Timing by repetition, and the readings of /proc. */
#include "match/measure.h"

#include <malloc.h>
#include <time.h>

#include <glib.h>

#define RUNS_MAX     2000
#define WARM_SECONDS 0.02
#define RUN_ITEMS    8 /* a run has that many items at least, however slow they are */

static double seconds_of(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double measure_cpu_seconds(void)
{
    return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

double measure_wall_seconds(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

static int compare_doubles(gconstpointer a, gconstpointer b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

double measure_median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* Warms caches and predictors, and finds how many items fit into a run: all of them, unless
 * MEASURE_RUNS times that would take longer than there is time. */
static size_t warm_up(measure_fn run, void *user, size_t items, double seconds)
{
    double began = measure_cpu_seconds();
    double used;
    size_t done = 0;
    size_t count = MIN(RUN_ITEMS, items);

    do {
        run(user, count);
        done += count;
        count = MIN(count * 2, items);
        used = measure_cpu_seconds() - began;
    } while (done < 2 * items && used < MAX(WARM_SECONDS, seconds / MEASURE_RUNS));
    count = (size_t)(seconds / MEASURE_RUNS / (used / (double)done));
    return CLAMP(count, MIN(RUN_ITEMS, items), items);
}

double measure_ns(measure_fn run, void *user, size_t items, double seconds)
{
    double times[RUNS_MAX];
    size_t count = warm_up(run, user, items, seconds);
    double began = measure_cpu_seconds();
    double now = began;
    size_t runs = 0;

    while (runs < MEASURE_RUNS || (runs < RUNS_MAX && now - began < seconds)) {
        double from = measure_cpu_seconds();

        run(user, count);
        now = measure_cpu_seconds();
        times[runs++] = (now - from) * 1e9 / (double)count;
    }
    return measure_median(times, runs);
}

/* A line of /proc/self/status, in KiB there. */
static size_t status_bytes(const char *name)
{
    g_autofree char *text = NULL;
    const char *at;

    if (!g_file_get_contents("/proc/self/status", &text, NULL, NULL))
        return 0;
    at = strstr(text, name);
    return at != NULL ? (size_t)g_ascii_strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

size_t measure_resident(void)
{
    malloc_trim(0);
    return status_bytes("VmRSS:");
}

size_t measure_peak(void)
{
    return status_bytes("VmHWM:");
}

/* Source: proc(5), clear_refs: 5 resets the peak. Where that is forbidden the peak is the process's
 * whole one. */
void measure_reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");

    if (file == NULL)
        return;
    fputs("5", file);
    fclose(file);
}
