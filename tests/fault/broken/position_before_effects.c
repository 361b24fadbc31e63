/* Broken on purpose: the place in the queue is saved in a transaction of its own, before the
 * effects of the batch, which follow after a moment: a kill at any time often finds the gap. */
#include "store/store.h"

#define GAP_US 10000

bool __real_store_settle(struct store *s, const struct store_settlement *what, GError **error);
bool __wrap_store_settle(struct store *s, const struct store_settlement *what, GError **error);

bool __wrap_store_settle(struct store *s, const struct store_settlement *what, GError **error)
{
    struct store_settlement position = {.position = what->position};

    if (!__real_store_settle(s, &position, error))
        return false;
    g_usleep(GAP_US);
    return __real_store_settle(s, what, error);
}
