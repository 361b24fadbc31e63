/* fault_point: named places where a test can make the program fail, die or wait. Test builds only.
 *
 *   if (EF_FAULT("queue.publish.commit"))      in a release: if (false)
 *       rc = SQLITE_IOERR_FSYNC;
 *
 * EVENTFLOW_TEST_FAULT says what happens where, rules separated by commas:
 *
 *   queue.publish.commit=fail            the first time the point is passed, EF_FAULT is true
 *   queue.publish.commit=kill@7          the 7th time the process gets SIGKILL
 *   worker.match~poison=abort@1+         from the first time on, when the subject is "poison"
 *   store.settle.commit=wait:300@2+      300 ms, every time from the second on
 *
 * EVENTFLOW_TEST_FAULT_HITS names a file to which every process appends the name of each point when
 * it first passes it, and name!action when a rule first applies there: the fault tests fail when a
 * point in the sources was never passed, or a fault that they asked for never happened.
 */
#ifndef COMMON_FAULT_POINT_H
#define COMMON_FAULT_POINT_H

#include <stdbool.h>

#include "common/slice.h"

#ifdef EF_TEST_HOOKS
/* What the rules say for this place now. subject: what it is about, may be empty. Any thread. */
bool fault_point_pass(const char *name, struct slice subject);
#define EF_FAULT(name)                fault_point_pass((name), (struct slice){0})
#define EF_FAULT_ABOUT(name, subject) fault_point_pass((name), (subject))
#else
#define EF_FAULT(name)                false
#define EF_FAULT_ABOUT(name, subject) false
#endif

#endif
