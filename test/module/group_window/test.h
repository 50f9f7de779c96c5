/*-------------------------------------------------------------------------
 *
 * test.h
 *	  What the files of this test share.
 *
 * test/module/group_window/test.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GROUP_WINDOW_TEST_H
#define GROUP_WINDOW_TEST_H

#include "store/group/group_window.h"

#define WINDOW_SIZE 64
#define RANDOM_ROUNDS 200

extern void ok(bool passed, const char *what);

/* With messages 0 .. messages - 1, without keys. */
extern PrismWindow *new_window(int messages);

/* Begin and finish an acknowledgement. */
extern void finish(PrismWindow *window, int64 offset);

extern void test_random_windows(void);

#endif							/* GROUP_WINDOW_TEST_H */
