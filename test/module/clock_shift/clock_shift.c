/*-------------------------------------------------------------------------
 *
 * clock_shift.c
 *	  A clock that tests can set: gettimeofday() plus what a file says.
 *
 * Loaded by LD_PRELOAD into a server.  The file named by CLOCK_SHIFT_FILE holds
 * a signed 64-bit number of seconds as the machine writes it; it is mapped
 * once and read with every call, so that a test changes the time of all
 * processes at once.  Sleeping and waiting go by the monotonic clock and do
 * not notice, as with a real clock that is set.
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
#include <unistd.h>

typedef int (*ClockFunction) (struct timeval *, void *);

static volatile int64_t *shift_s = NULL;
static ClockFunction real_clock = NULL;

__attribute__((constructor))
static void
map_shift(void)
{
	const char *path = getenv("CLOCK_SHIFT_FILE");
	int			file = path != NULL ? open(path, O_RDONLY) : -1;
	void	   *mapped;

	real_clock = (ClockFunction) dlsym(RTLD_NEXT, "gettimeofday");
	if (file < 0)
		return;
	mapped = mmap(NULL, sizeof(*shift_s), PROT_READ, MAP_SHARED, file, 0);
	if (mapped != MAP_FAILED)
		shift_s = mapped;
	close(file);
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	int			result = real_clock(now, zone);

	if (result == 0 && shift_s != NULL)
		now->tv_sec += *shift_s;
	return result;
}
