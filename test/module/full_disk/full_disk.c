/*-------------------------------------------------------------------------
 *
 * full_disk.c
 *	  Disks that tests can fill without filling them: statvfs(), with what a
 *	  file says for what is left.
 *
 * Loaded by LD_PRELOAD into a server.  The file named by FULL_DISK_FILE holds a
 * number of bytes in decimal; while it is not there, the disk's own is told.
 *
 * test/module/full_disk/full_disk.c
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

typedef int (*StatvfsFunction) (const char *, struct statvfs *);

int
statvfs(const char *restrict path, struct statvfs *restrict disk)
{
	StatvfsFunction real = (StatvfsFunction) dlsym(RTLD_NEXT, "statvfs");
	const char *name = getenv("FULL_DISK_FILE");
	FILE	   *file = name != NULL ? fopen(name, "r") : NULL;
	int			result = real(path, disk);
	long long	left;

	if (file == NULL)
		return result;
	if (result == 0 && fscanf(file, "%lld", &left) == 1)
		disk->f_bavail = left / disk->f_frsize;
	fclose(file);
	return result;
}
