/* campaigns: keeps the worker's snapshot of the active campaigns up to date.
 *
 * Cheap when nothing has changed: the store compares one number. So it is called before every batch
 * and, since an idle worker goes round twice a second, a change is live within half a second.
 */
#ifndef WORKER_CAMPAIGNS_H
#define WORKER_CAMPAIGNS_H

#include <stdbool.h>

#include "core/campaign.h"
#include "store/store.h"

/* Replaces *set (NULL at first) when the store has another generation. A stored campaign that
 * cannot be read any more is logged and left out. Errors: those of store_load_campaigns; *set is
 * then unchanged. */
bool campaigns_refresh(struct store *store, struct campaign_set **set, GError **error);

#endif
