#include "api/executor.h"

#include <glib.h>

/* Lets the threads run on only when the test says so. */
struct gate {
    GMutex lock;
    GCond changed;
    bool is_open;
    int started;
    int finished;
};

static void run_item(void *user, void *item)
{
    struct gate *g = user;

    g_assert_nonnull(item);
    g_mutex_lock(&g->lock);
    g->started++;
    g_cond_broadcast(&g->changed);
    while (!g->is_open)
        g_cond_wait(&g->changed, &g->lock);
    g->finished++;
    g_mutex_unlock(&g->lock);
}

static void wait_started(struct gate *g, int count)
{
    gint64 until = g_get_monotonic_time() + 30 * G_TIME_SPAN_SECOND;

    g_mutex_lock(&g->lock);
    while (g->started < count)
        g_assert_true(g_cond_wait_until(&g->changed, &g->lock, until));
    g_mutex_unlock(&g->lock);
}

static void open_gate(struct gate *g)
{
    g_mutex_lock(&g->lock);
    g->is_open = true;
    g_cond_broadcast(&g->changed);
    g_mutex_unlock(&g->lock);
}

static void gate_init(struct gate *g)
{
    *g = (struct gate){0};
    g_mutex_init(&g->lock);
    g_cond_init(&g->changed);
}

static void gate_done(struct gate *g)
{
    g_mutex_clear(&g->lock);
    g_cond_clear(&g->changed);
}

static void test_refuses_past_its_limit(void)
{
    struct executor *e;
    struct gate g;
    int item;

    gate_init(&g);
    e = executor_open(1, 2, run_item, &g);
    g_assert_true(executor_submit(e, &item));
    wait_started(&g, 1); /* it is with the thread: the queue is empty */
    g_assert_true(executor_submit(e, &item));
    g_assert_true(executor_submit(e, &item));
    g_assert_false(executor_submit(e, &item));
    open_gate(&g);
    wait_started(&g, 3);
    g_assert_true(executor_submit(e, &item));
    executor_close(e);
    g_assert_cmpint(g.finished, ==, 4);
    gate_done(&g);
}

static void test_threads_work_side_by_side(void)
{
    struct executor *e;
    struct gate g;
    int item;

    gate_init(&g);
    e = executor_open(3, 10, run_item, &g);
    for (int i = 0; i < 3; i++)
        g_assert_true(executor_submit(e, &item));
    wait_started(&g, 3);
    open_gate(&g);
    executor_close(e);
    g_assert_cmpint(g.finished, ==, 3);
    gate_done(&g);
}

static void test_close_runs_what_is_queued(void)
{
    struct executor *e;
    struct gate g;
    int item;

    gate_init(&g);
    open_gate(&g);
    e = executor_open(2, 1000, run_item, &g);
    for (int i = 0; i < 500; i++)
        g_assert_true(executor_submit(e, &item));
    executor_close(e);
    g_assert_cmpint(g.finished, ==, 500);
    gate_done(&g);
    executor_close(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/executor/refuses_past_its_limit", test_refuses_past_its_limit);
    g_test_add_func("/executor/threads_work_side_by_side", test_threads_work_side_by_side);
    g_test_add_func("/executor/close_runs_what_is_queued", test_close_runs_what_is_queued);
    return g_test_run();
}
