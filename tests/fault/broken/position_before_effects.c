/* Broken on purpose: the place in the queue is saved in a transaction of its own, before the
 * effects of the batch. */
#include "store/store.h"

bool __real_store_settle(struct store *s, const struct store_settlement *what, GError **error);
bool __wrap_store_settle(struct store *s, const struct store_settlement *what, GError **error);

bool __wrap_store_settle(struct store *s, const struct store_settlement *what, GError **error)
{
    struct store_settlement position = {.position = what->position};

    return __real_store_settle(s, &position, error) && __real_store_settle(s, what, error);
}
