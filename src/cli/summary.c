#include "cli/summary.h"

#include <stdint.h>

/* All or nothing: half of the books do not add up. */
bool summary_read(const struct json_value *root, const struct summary_member *members, size_t count,
                  void *out)
{
    for (size_t i = 0; i < count; i++) {
        int64_t *value = (int64_t *)(void *)((char *)out + members[i].offset);

        if (!json_integer(json_get(root, slice_text(members[i].name)), 0, INT64_MAX, value))
            return false;
    }
    return true;
}
