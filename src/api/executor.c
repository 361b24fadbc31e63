/* executor: a GAsyncQueue with a bound, and threads that empty it.
 *
 * The bound is a counter beside the queue: submit takes a place before it pushes, a thread gives
 * it back when it takes the item out. So items that run do not count, only those that wait.
 * Deliberately missing: order. With several threads a later item may be done before an earlier
 * one. */
#include "api/executor.h"

#include <stdatomic.h>

#include <glib.h>

/* waiting is counted here because g_async_queue_length would count the ends of threads, too. */
struct executor {
    GAsyncQueue *queue;
    GPtrArray *threads;     /* GThread, owned */
    _Atomic size_t waiting; /* items in the queue */
    size_t queue_max;       /* immutable, like the rest */
    executor_fn run;
    void *user;
};

/* The thread: runs items until it meets its end. */
static void *executor_main(void *data)
{
    struct executor *e = data;
    void *item;

    /* The executor itself is the item that ends a thread. */
    while ((item = g_async_queue_pop(e->queue)) != e) {
        atomic_fetch_sub(&e->waiting, 1);
        e->run(e->user, item);
    }
    return NULL;
}

/* Threads are started once and live until close: a look-up never waits for a new thread. */
struct executor *executor_open(int threads, size_t queue_max, executor_fn run, void *user)
{
    struct executor *e = g_new0(struct executor, 1);

    e->queue = g_async_queue_new();
    e->threads = g_ptr_array_new();
    e->queue_max = queue_max;
    e->run = run;
    e->user = user;
    for (int i = 0; i < threads; i++) {
        char name[16];

        g_snprintf(name, sizeof(name), "executor-%d", i);
        g_ptr_array_add(e->threads, g_thread_new(name, executor_main, e));
    }
    return e;
}

/* The item is the executor's from the push on: a thread may have run it before this call
 * returns. */
bool executor_submit(struct executor *e, void *item)
{
    /* Taken first and given back, so that two loops cannot both take the last place. */
    if (atomic_fetch_add(&e->waiting, 1) >= e->queue_max) {
        atomic_fetch_sub(&e->waiting, 1);
        return false;
    }
    g_async_queue_push(e->queue, item);
    return true;
}

/* Nobody submits any more. What is queued is still run, since whoever waits for it must get an
 * answer. */
void executor_close(struct executor *e)
{
    if (e == NULL)
        return;
    /* Behind everything that is queued: one end for each thread. */
    for (guint i = 0; i < e->threads->len; i++)
        g_async_queue_push(e->queue, e);
    for (guint i = 0; i < e->threads->len; i++)
        g_thread_join(g_ptr_array_index(e->threads, i));
    g_ptr_array_unref(e->threads);
    g_async_queue_unref(e->queue);
    g_free(e);
}
