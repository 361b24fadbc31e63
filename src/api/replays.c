/* replays: a set of failure ids behind one lock.
 *
 * Touched once for each failure that is replayed, which is rare, so nothing finer is needed. It
 * only grows by what one process has replayed: 8 bytes and a slot each. */
#include "api/replays.h"

#include <glib.h>

struct replays {
    GMutex lock;     /* guards ids */
    GHashTable *ids; /* under lock; int64_t *, owned */
};

struct replays *replays_new(void)
{
    struct replays *r = g_new0(struct replays, 1);

    g_mutex_init(&r->lock);
    r->ids = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    return r;
}

void replays_free(struct replays *r)
{
    if (r == NULL)
        return;
    g_hash_table_unref(r->ids);
    g_mutex_clear(&r->lock);
    g_free(r);
}

bool replays_claim(struct replays *r, int64_t failure_id)
{
    bool is_new;

    g_mutex_lock(&r->lock);
    is_new = g_hash_table_add(r->ids, g_memdup2(&failure_id, sizeof(failure_id)));
    g_mutex_unlock(&r->lock);
    return is_new;
}

/* An id that was never claimed is no error. */
void replays_release(struct replays *r, int64_t failure_id)
{
    g_mutex_lock(&r->lock);
    g_hash_table_remove(r->ids, &failure_id);
    g_mutex_unlock(&r->lock);
}
