/* banned: functions that this code base does not use, made a compile error.
 *
 * The build includes this header first in every file of ours (-include), so nobody can forget it.
 * The system headers that declare the names come before the poison, because a poisoned name may
 * not be declared afterwards. scripts/check holds the same list for what a compiler cannot see.
 */
#ifndef COMMON_BANNED_H
#define COMMON_BANNED_H

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <glib.h>

#undef alloca /* a macro here; poison takes plain names only */
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets atoi atol
#pragma GCC poison gmtime localtime ctime asctime rand system alloca

#endif
