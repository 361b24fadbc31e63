/* A registry of families (one name, HELP and TYPE) with their metrics (one set of labels each).
 *
 * Making and rendering take a lock; updating takes none: each value is one atomic number, updated
 * in relaxed order, since no other memory is published through it. A scrape may therefore see one
 * counter a little before another, as any scrape of a running program does.
 * Deliberately missing: removing a metric, summaries, timestamps, and labels chosen by clients. */
#include "common/metrics.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

static const char *const metric_kind_names[] = {
    [METRIC_COUNTER] = "counter",
    [METRIC_GAUGE] = "gauge",
    [METRIC_HISTOGRAM] = "histogram",
};

/* The values are atomic, everything else is immutable after its making. A double travels as its
 * bits, since C has no atomic addition for it. */
struct metric {
    enum metric_kind kind;
    char *labels;           /* rendered, "" for none */
    _Atomic uint64_t count; /* counter: its value */
    _Atomic uint64_t bits;  /* gauge: its value; histogram: the sum */
    double *bounds;         /* histogram: ascending upper limits */
    size_t bound_count;     /* without +Inf */
    _Atomic uint64_t *hits; /* bound_count + 1, each bucket alone (cumulated when rendered) */
};

/* All metrics of one name: they share HELP and TYPE, and stand together when rendered. */
struct metric_family {
    char *name;
    char *help;
    enum metric_kind kind;
    GPtrArray *metrics; /* struct metric *, in order of making */
};

/* The registry: under metrics_lock, lives as long as the process. */
static GMutex metrics_lock;
static GPtrArray *metrics_families; /* struct metric_family *, in order of making */

/* Two or three bounds in each power of ten: good to a factor of two and a half, which is what a
 * quantile from buckets is worth. Batches double because the batch limits do. */
const double METRICS_SECONDS[] = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                  0.01,    0.025,  0.05,    0.1,    0.25,  0.5,    1,
                                  2.5,     5,      10,      30,     60};
const size_t METRICS_SECONDS_COUNT = G_N_ELEMENTS(METRICS_SECONDS);
const double METRICS_BATCH[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
const size_t METRICS_BATCH_COUNT = G_N_ELEMENTS(METRICS_BATCH);

/* ---- the registry ---------------------------------------------------------------------------- */

/* [a-zA-Z_:][a-zA-Z0-9_:]*
 * Source: https://prometheus.io/docs/concepts/data_model/ */
static bool metric_name_is_valid(const char *name)
{
    for (const char *p = name; *p != '\0'; p++)
        if (!g_ascii_isalpha(*p) && *p != '_' && *p != ':' && (p == name || !g_ascii_isdigit(*p)))
            return false;
    return name[0] != '\0';
}

/* Gets or makes the family; under metrics_lock. The help of the first call stays. Families are few
 * and looked for at start only, so a list keeps them in the order in which they are shown. */
static struct metric_family *metrics_family(const char *name, const char *help,
                                            enum metric_kind kind)
{
    struct metric_family *family;

    if (metrics_families == NULL)
        metrics_families = g_ptr_array_new();
    for (guint i = 0; i < metrics_families->len; i++) {
        family = g_ptr_array_index(metrics_families, i);
        if (strcmp(family->name, name) == 0) {
            g_assert(family->kind == kind); /* one name, one kind: a mistake of ours */
            return family;
        }
    }
    g_assert(metric_name_is_valid(name));
    family = g_new0(struct metric_family, 1);
    family->name = g_strdup(name);
    family->help = g_strdup(help);
    family->kind = kind;
    family->metrics = g_ptr_array_new();
    g_ptr_array_add(metrics_families, family);
    return family;
}

/* Gets or makes the metric; under metrics_lock. Labels are compared as text: the same labels in
 * another order would be another metric. */
static struct metric *metrics_get(struct metric_family *family, const char *labels)
{
    const char *wanted = labels != NULL ? labels : "";
    struct metric *m;

    for (guint i = 0; i < family->metrics->len; i++) {
        m = g_ptr_array_index(family->metrics, i);
        if (strcmp(m->labels, wanted) == 0)
            return m;
    }
    m = g_new0(struct metric, 1);
    m->kind = family->kind;
    m->labels = g_strdup(wanted);
    g_ptr_array_add(family->metrics, m);
    return m;
}

/* A metric that is nothing but its atomic values, so that it is complete when the lock is left. */
static struct metric *metrics_register(const char *name, const char *help, const char *labels,
                                       enum metric_kind kind)
{
    struct metric *m;

    g_mutex_lock(&metrics_lock);
    m = metrics_get(metrics_family(name, help, kind), labels);
    g_mutex_unlock(&metrics_lock);
    return m;
}

struct metric *metrics_counter(const char *name, const char *help, const char *labels)
{
    return metrics_register(name, help, labels, METRIC_COUNTER);
}

struct metric *metrics_gauge(const char *name, const char *help, const char *labels)
{
    return metrics_register(name, help, labels, METRIC_GAUGE);
}

struct metric *metrics_histogram(const char *name, const char *help, const char *labels,
                                 const double *bounds, size_t count)
{
    struct metric *m;

    /* Out of order, a value would be counted in the wrong bucket: a mistake in a table of ours. */
    for (size_t i = 1; i < count; i++)
        g_assert(bounds[i - 1] < bounds[i]);
    g_mutex_lock(&metrics_lock);
    m = metrics_get(metrics_family(name, help, METRIC_HISTOGRAM), labels);
    /* Filled under the lock, so that no rendering sees a histogram without buckets. Asked for
     * again with other bounds, it would count in buckets that the caller does not know: a mistake
     * of ours. */
    if (m->hits != NULL) {
        g_assert(m->bound_count == count &&
                 memcmp(m->bounds, bounds, count * sizeof(*bounds)) == 0);
    } else {
        m->bounds = g_memdup2(bounds, count * sizeof(*bounds));
        m->bound_count = count;
        m->hits = (_Atomic uint64_t *)g_malloc0((count + 1) * sizeof(*m->hits));
    }
    g_mutex_unlock(&metrics_lock);
    return m;
}

/* ---- updates: no lock, any thread ------------------------------------------------------------ */

/* The bits of a double and back; memcpy is the way that aliasing rules allow, and costs nothing. */
static uint64_t metric_to_bits(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static double metric_from_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Adds without a lock: tries again until no other thread came between. Sums of many small numbers
 * lose their last digits, which no graph shows. */
static void metric_add_double(_Atomic uint64_t *bits, double by)
{
    uint64_t seen = atomic_load_explicit(bits, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(bits, &seen,
                                                  metric_to_bits(metric_from_bits(seen) + by),
                                                  memory_order_relaxed, memory_order_relaxed))
        ; /* seen now holds what another thread wrote: add to that */
}

void metric_add(struct metric *m, uint64_t n)
{
    g_assert(m->kind == METRIC_COUNTER);
    atomic_fetch_add_explicit(&m->count, n, memory_order_relaxed);
}

void metric_set(struct metric *m, double value)
{
    g_assert(m->kind == METRIC_GAUGE);
    atomic_store_explicit(&m->bits, metric_to_bits(value), memory_order_relaxed);
}

void metric_change(struct metric *m, double by)
{
    g_assert(m->kind == METRIC_GAUGE);
    metric_add_double(&m->bits, by);
}

/* A bound belongs to its bucket (le means "less or equal"). From the smallest on: common values lie
 * low, and a binary search over at most 20 bounds would not be faster. */
void metric_observe_n(struct metric *m, double value, uint64_t n)
{
    size_t i = 0;

    g_assert(m->kind == METRIC_HISTOGRAM);
    while (i < m->bound_count && value > m->bounds[i])
        i++;
    atomic_fetch_add_explicit(&m->hits[i], n, memory_order_relaxed);
    metric_add_double(&m->bits, value * (double)n);
}

void metric_observe(struct metric *m, double value)
{
    metric_observe_n(m, value, 1);
}

/* All observations. There is no counter beside the buckets, so the two cannot disagree. */
static uint64_t metric_hit_count(const struct metric *m)
{
    uint64_t count = 0;

    for (size_t i = 0; i <= m->bound_count; i++)
        count += atomic_load_explicit(&m->hits[i], memory_order_relaxed);
    return count;
}

/* For tests and for answers that repeat a metric; a counter above 2^53 loses its last digits. */
double metric_value(const struct metric *m)
{
    if (m->kind == METRIC_HISTOGRAM)
        return (double)metric_hit_count(m);
    if (m->kind == METRIC_COUNTER)
        return (double)atomic_load_explicit(&m->count, memory_order_relaxed);
    return metric_from_bits(atomic_load_explicit(&m->bits, memory_order_relaxed));
}

/* ---- rendering ------------------------------------------------------------------------------- */
/* Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4) */

/* The shortest text that reads back as the same number, so that bounds read "0.005" and not
 * "0.0050000000000000001". Independent of the locale: a decimal comma would break every scrape. */
static void metrics_append_double(GString *out, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    if (!isfinite(value)) {
        g_string_append(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    if (fabs(value) < 1e15 && value == trunc(value)) { /* 10 rather than 1e+01 */
        g_string_append_printf(out, "%.0f", value);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        char format[8];

        g_snprintf(format, sizeof(format), "%%.%dg", digits);
        g_ascii_formatd(text, sizeof(text), format, value);
        if (g_ascii_strtod(text, NULL) == value)
            break;
    }
    g_string_append(out, text);
}

/* In HELP only the backslash and the line feed are escaped; quotes stand as they are. */
static void metrics_append_help(GString *out, const char *help)
{
    for (const char *p = help; *p != '\0'; p++)
        if (*p == '\\' || *p == '\n')
            g_string_append(out, *p == '\n' ? "\\n" : "\\\\");
        else
            g_string_append_c(out, *p);
}

/* Appends name, suffix and labels up to the space before the value. Labels came rendered, so their
 * values are escaped already. */
static void metrics_append_name(GString *out, const char *name, const char *suffix,
                                const char *labels)
{
    g_string_append(out, name);
    g_string_append(out, suffix);
    if (labels[0] != '\0')
        g_string_append_printf(out, "{%s}", labels);
    g_string_append_c(out, ' ');
}

/* The name of bucket i with its upper bound as the label le, behind the metric's own labels. */
static void metrics_append_bucket(GString *out, const char *name, const struct metric *m, size_t i)
{
    g_string_append_printf(out, "%s_bucket{%s%sle=\"", name, m->labels,
                           m->labels[0] != '\0' ? "," : "");
    metrics_append_double(out, i < m->bound_count ? m->bounds[i] : INFINITY);
    g_string_append(out, "\"} ");
}

/* Buckets are kept apart and added up here: each line tells how many values lie at or below its
 * bound, as the format wants it. */
static void metrics_render_histogram(GString *out, const char *name, const struct metric *m)
{
    uint64_t count = 0;

    for (size_t i = 0; i <= m->bound_count; i++) {
        count += atomic_load_explicit(&m->hits[i], memory_order_relaxed);
        metrics_append_bucket(out, name, m, i);
        g_string_append_printf(out, "%" G_GUINT64_FORMAT "\n", count);
    }
    metrics_append_name(out, name, "_sum", m->labels);
    metrics_append_double(out,
                          metric_from_bits(atomic_load_explicit(&m->bits, memory_order_relaxed)));
    g_string_append_c(out, '\n');
    /* The same number as +Inf, even while other threads count on. */
    metrics_append_name(out, name, "_count", m->labels);
    g_string_append_printf(out, "%" G_GUINT64_FORMAT "\n", count);
}

/* The lines of one set of labels. Counters are written as integers: as a double they would lose
 * ones above 2^53. */
static void metrics_render_one(GString *out, const char *name, const struct metric *m)
{
    if (m->kind == METRIC_HISTOGRAM) {
        metrics_render_histogram(out, name, m);
        return;
    }
    metrics_append_name(out, name, "", m->labels);
    if (m->kind == METRIC_COUNTER)
        g_string_append_printf(out, "%" G_GUINT64_FORMAT,
                               atomic_load_explicit(&m->count, memory_order_relaxed));
    else
        metrics_append_double(out, metric_value(m));
    g_string_append_c(out, '\n');
}

/* HELP and TYPE stand once, before the first line of the name, as the format demands. */
static void metrics_render_family(GString *out, const struct metric_family *family)
{
    g_string_append_printf(out, "# HELP %s ", family->name);
    metrics_append_help(out, family->help);
    g_string_append_printf(out, "\n# TYPE %s %s\n", family->name, metric_kind_names[family->kind]);
    for (guint i = 0; i < family->metrics->len; i++)
        metrics_render_one(out, family->name, g_ptr_array_index(family->metrics, i));
}

/* The lock keeps out new metrics; updates go on meanwhile and never wait. */
void metrics_render(GString *out)
{
    g_mutex_lock(&metrics_lock);
    for (guint i = 0; metrics_families != NULL && i < metrics_families->len; i++)
        metrics_render_family(out, g_ptr_array_index(metrics_families, i));
    g_mutex_unlock(&metrics_lock);
}
