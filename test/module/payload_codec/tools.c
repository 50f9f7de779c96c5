/*-------------------------------------------------------------------------
 *
 * tools.c
 *	  What is stored is what the programs of each format read, as one stream.
 *
 * test/module/payload_codec/tools.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#undef printf
#undef snprintf

#include "test.h"

static void
write_file(const char *name, const void *bytes, Size length)
{
	FILE	   *file = fopen(name, "wb");

	if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0)
	{
		perror(name);
		exit(1);
	}
}

/* Does the program make of what is stored what was published? */
static bool
program_reads(const char *program, PrismPayloadEncoding encoding, const unsigned char *raw, Size bytes)
{
	Stored		stored = encode(encoding, raw, bytes);
	char		folder[] = "/tmp/prism_codec.XXXXXX";
	char		stored_file[100];
	char		raw_file[100];
	char		command[400];
	bool		same;

	if (mkdtemp(folder) == NULL)
		return false;
	snprintf(stored_file, sizeof(stored_file), "%s/stored", folder);
	snprintf(raw_file, sizeof(raw_file), "%s/raw", folder);
	write_file(stored_file, stored.bytes, stored.length);
	write_file(raw_file, raw, bytes);
	snprintf(command, sizeof(command), "%s <%s | cmp - %s", program, stored_file, raw_file);
	same = stored.encoding == encoding && system(command) == 0;
	unlink(stored_file);
	unlink(raw_file);
	rmdir(folder);
	free_stored(&stored);
	return same;
}

bool
program_reads_payloads(const char *program, PrismPayloadEncoding encoding)
{
	static const Size sizes[] = {1000, BLOCK, 3 * BLOCK + 4711};
	bool		all = true;

	for (int i = 0; i < (int) lengthof(sizes); i++)
	{
		unsigned char *raw = some_text(sizes[i], i + 1);

		/* something that comes again and again, for lz4 */
		for (Size at = 64; at + 64 <= sizes[i]; at += 128)
			memcpy(raw + at, raw, 64);
		all = program_reads(program, encoding, raw, sizes[i]) && all;
		free(raw);
	}
	return all;
}
