/* memory_limit: how much memory this process may use: the machine's, or less in a container.
 *
 * Control groups limit every group on the way from the process up to the root, in version 1 and 2,
 * so the smallest one counts. What it does not do: tell what others use of it. */
#ifndef COMMON_MEMORY_LIMIT_H
#define COMMON_MEMORY_LIMIT_H

#include <stdint.h>

/* Units: bytes; the machine's memory when nothing limits it. root: "" for the system's own files,
 * another folder for tests. Reads a few small files. Any thread. */
uint64_t memory_limit(const char *root);

#endif
