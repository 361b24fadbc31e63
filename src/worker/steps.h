/* steps: the six steps of the pipeline, in their order. pipeline.h says what each is for.
 *
 * A step looks at the items that are still open and may end them. false = the run as a whole
 * cannot go on; EF_ERROR_INPUT then means "one of these items", anything else the infrastructure.
 */
#ifndef WORKER_STEPS_H
#define WORKER_STEPS_H

#include "worker/pipeline.h"

typedef bool (*step_fn)(struct pipeline *p, struct item *items, size_t count, GError **error);

struct pipeline_step {
    const char *name;
    step_fn fn;
};

bool step_decode(struct pipeline *p, struct item *items, size_t count, GError **error);
bool step_validate(struct pipeline *p, struct item *items, size_t count, GError **error);
bool step_dedupe(struct pipeline *p, struct item *items, size_t count, GError **error);
bool step_enrich(struct pipeline *p, struct item *items, size_t count, GError **error);
bool step_match(struct pipeline *p, struct item *items, size_t count, GError **error);
bool step_settle(struct pipeline *p, struct item *items, size_t count, GError **error);

#endif
