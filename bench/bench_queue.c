/* Times the embedded queue: durable appends by batch size, then taking everything out again.
 *
 *   bench_queue [FOLDER]     a new folder is made inside FOLDER (default: the temporary folder)
 *
 * Prints messages per second (median of three runs) and the slowest commits. Every commit is a real
 * sync: figures from a tmpfs mean nothing. */
#include "queue/queue.h"

#include "common/clock.h"

#include <glib/gstdio.h>
#include <sys/resource.h>

#define BODY_SIZE 300
#define KEY_SIZE  36
#define RUNS      3

static const struct {
    size_t batch;
    size_t total;
} shapes[] = {{1, 20000}, {16, 200000}, {128, 500000}, {1024, 1000000}};

static struct queue *open_queue(const char *folder)
{
    g_autoptr(GError) error = NULL;
    struct queue *q =
        queue_open(&queue_embedded_ops, &(struct queue_options){.folder = folder}, &error);

    if (q == NULL || !queue_seek(q, 0, &error))
        g_error("%s", error->message);
    return q;
}

/* A batch that is published again and again, with new keys each time. */
struct load {
    struct queue_message *messages;
    char *keys; /* KEY_SIZE bytes each */
    size_t batch;
    uint64_t made; /* keys so far */
};

/* Keys in random order, as most clients send them; no two messages of a run share one. */
static void renew_keys(struct load *load)
{
    for (size_t i = 0; i < load->batch; i++) {
        uint64_t bits = ++load->made * UINT64_C(0x9E3779B97F4A7C15);

        for (size_t k = 0; k < 16; k++, bits >>= 4)
            load->keys[i * KEY_SIZE + k] = "0123456789abcdef"[bits & 15];
    }
}

static void load_init(struct load *load, size_t batch, struct arena *a)
{
    char *body = arena_alloc(a, BODY_SIZE);

    memset(body, 'a', BODY_SIZE);
    *load = (struct load){.batch = batch, .keys = arena_alloc(a, batch * KEY_SIZE)};
    load->messages = ARENA_NEW(a, struct queue_message, batch);
    memset(load->keys, '-', batch * KEY_SIZE);
    for (size_t i = 0; i < batch; i++)
        load->messages[i] = (struct queue_message){
            .published_at_us = clock_now_us(),
            .key = slice_of(load->keys + i * KEY_SIZE, KEY_SIZE),
            .correlation = SLICE("0af7651916cd43dd8448eb211c80319c"),
            .body = slice_of(body, BODY_SIZE),
        };
}

/* Processor time of this process, which other programs on the machine hardly change. */
static double cpu_us(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Publishes total messages; returns messages per second. times_ms gets each commit's time. */
static double time_publish(struct queue *q, struct load *load, size_t total, GArray *times_ms)
{
    int64_t start_us = clock_monotonic_us();

    for (size_t done = 0; done < total; done += load->batch) {
        int64_t before_us;
        g_autoptr(GError) error = NULL;
        double ms;

        renew_keys(load);
        before_us = clock_monotonic_us();
        if (!queue_publish(q, load->messages, load->batch, &error))
            g_error("%s", error->message);
        ms = (double)(clock_monotonic_us() - before_us) / 1000.0;
        g_array_append_val(times_ms, ms);
    }
    return (double)total * 1e6 / (double)(clock_monotonic_us() - start_us);
}

static double time_consume(struct queue *q, size_t total)
{
    struct arena arena = {0};
    int64_t start_us = clock_monotonic_us();
    struct queue_batch batch;

    for (size_t done = 0; done < total; done += batch.count) {
        arena_reset(&arena);
        if (!queue_receive(q, 1024, 0, &arena, &batch, NULL) || batch.count == 0 ||
            !queue_ack(q, batch.messages[batch.count - 1].seq, NULL))
            g_error("the messages cannot be received");
    }
    arena_done(&arena);
    return (double)total * 1e6 / (double)(clock_monotonic_us() - start_us);
}

static void run_shape(const char *folder, size_t batch, size_t total)
{
    g_autofree char *file = g_build_filename(folder, "queue.db", NULL);
    double published[RUNS];
    double consumed[RUNS];
    double publish_cpu_us = 0;
    g_autoptr(GArray) times_ms = g_array_new(FALSE, FALSE, sizeof(double));
    struct arena arena = {0};
    struct load load;
    const double *times;

    load_init(&load, batch, &arena);
    total -= total % batch;
    for (size_t i = 0; i < RUNS; i++) {
        struct queue *q = open_queue(folder);

        publish_cpu_us -= cpu_us();
        published[i] = time_publish(q, &load, total, times_ms);
        publish_cpu_us += cpu_us();
        consumed[i] = time_consume(q, total);
        queue_close(q);
        g_remove(file);
    }
    qsort(published, RUNS, sizeof(double), compare_doubles);
    qsort(consumed, RUNS, sizeof(double), compare_doubles);
    g_array_sort(times_ms, compare_doubles);
    times = (const double *)(const void *)times_ms->data;
    g_print("%6zu %10.0f/s %8.2f us %10.0f/s   %7.2f %7.2f %7.2f ms\n", batch, published[RUNS / 2],
            publish_cpu_us / (double)(total * RUNS), consumed[RUNS / 2], times[times_ms->len / 2],
            times[times_ms->len * 99 / 100], times[times_ms->len - 1]);
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    const char *parent = argc > 1 ? argv[1] : g_get_tmp_dir();
    g_autofree char *folder = g_build_filename(parent, "bench-queue-XXXXXX", NULL);

    if (g_mkdtemp(folder) == NULL)
        g_error("cannot make a folder in %s", parent);
    g_print(" batch    published   cpu each     received   commit p50     p99     max\n");
    for (size_t i = 0; i < G_N_ELEMENTS(shapes); i++)
        run_shape(folder, shapes[i].batch, shapes[i].total);
    g_rmdir(folder);
    return 0;
}
