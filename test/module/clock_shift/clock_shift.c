/*-------------------------------------------------------------------------
 *
 * clock_shift.c
 *	  Clocks that tests can set: the machine's plus what a file says.
 *
 * Loaded by LD_PRELOAD into a server.  The file named by CLOCK_SHIFT_FILE holds
 * two signed 64-bit numbers of seconds as the machine writes them; it is mapped
 * once and read with every call, so that a test changes the time of all
 * processes at once.  The first one is for the clock that can be set: sleeping
 * and waiting go by the monotonic clock and do not notice.  The second one is
 * for the monotonic clock itself, so that minutes pass in a moment; a wait that
 * the kernel counts still takes its time.
 *
 * test/module/clock_shift/clock_shift.c
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NUMBERS 2

typedef int (*ClockFunction) (struct timeval *, void *);
typedef int (*MonotonicClockFunction) (clockid_t, struct timespec *);

static volatile int64_t *shift_s = NULL;
static ClockFunction real_clock = NULL;
static MonotonicClockFunction real_monotonic_clock = NULL;

__attribute__((constructor))
static void
map_shift(void)
{
	const char *path = getenv("CLOCK_SHIFT_FILE");
	int			file = path != NULL ? open(path, O_RDONLY) : -1;
	void	   *mapped;

	real_clock = (ClockFunction) dlsym(RTLD_NEXT, "gettimeofday");
	real_monotonic_clock = (MonotonicClockFunction) dlsym(RTLD_NEXT, "clock_gettime");
	if (file < 0)
		return;
	mapped = mmap(NULL, NUMBERS * sizeof(*shift_s), PROT_READ, MAP_SHARED, file, 0);
	if (mapped != MAP_FAILED)
		shift_s = mapped;
	close(file);
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	int			result = real_clock(now, zone);

	if (result == 0 && shift_s != NULL)
		now->tv_sec += shift_s[0];
	return result;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int			result = real_monotonic_clock(clock, now);

	if (result == 0 && clock == CLOCK_MONOTONIC && shift_s != NULL)
		now->tv_sec += shift_s[1];
	return result;
}
