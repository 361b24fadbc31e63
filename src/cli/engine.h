/* engine: the embedded program put together: folder, queue, store, worker, intake, front door.
 *
 *   open:  folder ▸ ports ▸ store ▸ queue ▸ worker ▸ intake ▸ housekeeper ▸ front door
 *   close: the front door first, then the other way round: every part outlives those that use it
 */
#ifndef CLI_ENGINE_H
#define CLI_ENGINE_H

#include <stdbool.h>

#include <glib.h>

#include "cli/settings.h"

struct engine;

/* Opens and starts everything. on_fatal is called at most once, from any thread, when the engine
 * cannot go on. Errors: as data_folder, queue, store and server; everything opened is closed. */
struct engine *engine_open(const struct settings *settings, void (*on_fatal)(void), GError **error);

/* Whether the data folder was made by this run. */
bool engine_was_new(const struct engine *e);

/* Stops taking requests, finishes what is in flight, closes. is_clean: false after a fatal error.
 */
void engine_close(struct engine *e, bool is_clean);

#endif
