/*-------------------------------------------------------------------------
 *
 * result_reference.c
 *	  {"$ref": "0.rows.0.id"}: the result of an earlier operation as a value.
 *
 * A path begins with the number of the operation, from 0 on, as in the array
 * that prism.transaction() returns.  It is a string with dots, or an array when
 * a key has a dot in it.  What is wrong with a reference is an error of its
 * operation, which may skip it: values come from others as well as from who wrote
 * the list, and a stranger's object must not take the whole list down.
 *
 * src/api/result_reference.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/result_reference.h"
#include "api/statement.h"
#include "base/compat.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#define REFERENCE "$ref"
#define LITERAL "$literal"
#define REFERENCE_HINT \
	"A reference is {\"$ref\": \"0.rows.0.id\"} or {\"$ref\": [0, \"rows\", 0, \"id\"]}: the path to a value in the array of results. {\"$literal\": value} is the value as it is."
#define NOWHERE_HINT \
	"The path is one into the array that prism.transaction() returns: {\"rows\": [objects]}, {\"rows_affected\": number} or {\"id\": uuid} for each operation."

/* How much of a path is shown, how deep one can be, and digits of a place in an array. */
#define SHOWN_BYTES_MAX 200
#define PARTS_MAX 100
#define DIGITS_MAX 9

typedef struct Path
{
	const char *shown;
	int			count;
	char	   *parts[PARTS_MAX];
	uint32		operation;		/* what the first part says */
} Path;

/* ---------- marks ---------- */

static bool
finds_bytes(const char *bytes, Size length, const char *wanted)
{
	Size		wanted_length = strlen(wanted);
	const char *end = bytes + length;

	while (bytes < end && (bytes = memchr(bytes, wanted[0], end - bytes)) != NULL)
	{
		if ((Size) (end - bytes) >= wanted_length && memcmp(bytes, wanted, wanted_length) == 0)
			return true;
		bytes++;
	}
	return false;
}

/* Keys of a jsonb value lie in it as they are.  True may also mean a string that looks like one. */
static bool
may_have_marks(const char *bytes, Size length)
{
	return finds_bytes(bytes, length, REFERENCE) || finds_bytes(bytes, length, LITERAL);
}

pg_noreturn static void
malformed(const char *message, const char *detail)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("%s", message),
			detail != NULL ? errdetail("%s", detail) : 0,
			errhint(REFERENCE_HINT));
}

/* The value behind a key that makes an object something else; it must be alone there. */
static JsonbValue *
marked(const JsonbValue *value, const char *mark)
{
	JsonbContainer *object;
	JsonbValue *inner;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return NULL;
	object = value->val.binary.data;
	inner = getKeyJsonValueFromContainer(object, mark, strlen(mark), NULL);
	if (inner != NULL && JsonContainerSize(object) != 1)
		malformed(psprintf("an object with the key \"%s\" must have no other key", mark),
				  "To pass such an object as it is, write it as {\"$literal\": object}.");
	return inner;
}

/* ---------- paths ---------- */

static const char *
shorten(const char *text)
{
	int			length = strlen(text);

	return length <= SHOWN_BYTES_MAX ? text
		: psprintf("%.*s...", pg_mbcliplen(text, length, SHOWN_BYTES_MAX), text);
}

static bool
is_number(const char *part)
{
	Size		digits = strspn(part, "0123456789");

	return digits > 0 && digits <= DIGITS_MAX && part[digits] == '\0';
}

static void
add_part(Path *path, char *part)
{
	if (path->count == PARTS_MAX)
		malformed("path of a reference is too long", psprintf("The limit is %d parts.", PARTS_MAX));
	path->parts[path->count++] = part;
}

static void
read_string(Path *path, char *text)
{
	char	   *dot;

	path->shown = psprintf("\"%s\"", shorten(text));
	for (; (dot = strchr(text, '.')) != NULL; text = dot + 1)
	{
		*dot = '\0';
		add_part(path, text);
	}
	add_part(path, text);
}

static void
read_array(Path *path, JsonbContainer *array)
{
	path->shown = shorten(JsonbToCString(NULL, array, 0));
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *part = getIthJsonbValueFromContainer(array, i);

		if (part->type == jbvString)
			add_part(path, pnstrdup(part->val.string.val, part->val.string.len));
		else if (part->type == jbvNumeric)
			add_part(path, DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(part->val.numeric))));
		else
			malformed(psprintf("reference %s has a part that is neither a string nor a number", path->shown), NULL);
	}
}

static void
read_path(const PrismReferences *references, const JsonbValue *value, Path *path)
{
	path->count = 0;
	if (value->type == jbvString)
		read_string(path, pnstrdup(value->val.string.val, value->val.string.len));
	else if (value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data))
		read_array(path, value->val.binary.data);
	else
		malformed("\"$ref\" must be a string or an array", NULL);

	if (path->count == 0 || !is_number(path->parts[0]))
		malformed(psprintf("reference %s does not begin with the number of an operation", path->shown),
				  "Operations are counted from 0 here, as in the array of results.");
	path->operation = strtoul(path->parts[0], NULL, 10);
	if (path->operation >= references->operations)
		malformed(psprintf("reference %s points to an operation that does not exist", path->shown),
				  psprintf("There are %u operations, counted from 0.", references->operations));
	if (path->operation == references->count)
		malformed(psprintf("reference %s points to its own operation", path->shown),
				  "Operations are counted from 0 here, as in the array of results.");
	if (path->operation > references->count)
		malformed(psprintf("reference %s points to a later operation", path->shown),
				  "Operations run in the order of the array, and are counted from 0 here.");
}

pg_noreturn static void
nowhere(const Path *path, const char *detail)
{
	ereport(ERROR,
			errcode(ERRCODE_SQL_JSON_MEMBER_NOT_FOUND),
			errmsg("reference %s points nowhere", path->shown),
			errdetail("%s", detail),
			errhint(NOWHERE_HINT));
}

static JsonbValue *
step_into(const Path *path, const JsonbValue *value, const char *part)
{
	JsonbContainer *container;
	JsonbValue *found;

	if (value->type != jbvBinary)
		nowhere(path, psprintf("What is before \"%s\" is neither an object nor an array.", shorten(part)));
	container = value->val.binary.data;
	if (JsonContainerIsObject(container))
	{
		found = getKeyJsonValueFromContainer(container, part, strlen(part), NULL);
		if (found == NULL)
			nowhere(path, psprintf("The object has no key \"%s\".", shorten(part)));
		return found;
	}
	if (!is_number(part))
		nowhere(path, psprintf("\"%s\" is no place in an array.", shorten(part)));
	found = getIthJsonbValueFromContainer(container, strtoul(part, NULL, 10));
	if (found == NULL)
		nowhere(path, psprintf("The array has the length %u, and places are counted from 0.", JsonContainerSize(container)));
	return found;
}

/* ---------- results ---------- */

/* One piece of memory holds the elements of an array: PostgreSQL calls it an internal error when they do not fit. */
Datum
prism_result_to_jsonb(char *json)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;

	PG_TRY();
	{
		result = DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_INTERNAL_ERROR)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("result of prism.transaction() is too large"),
				errdetail("An array or object in it has more elements than jsonb can hold."),
				errhint("Return less, or read it with a statement of its own."));
	}
	PG_END_TRY();
	return result;
}

void
prism_references_begin(PrismReferences *references, const Jsonb *operations, StringInfo text)
{
	*references = (PrismReferences) {
		.used = may_have_marks((const char *) operations, VARSIZE(operations)),
		.text = text,
		.operations = JB_ROOT_COUNT(operations),
		.cxt = CurrentMemoryContext
	};
	if (references->used)
		references->results = MemoryContextAllocHuge(CurrentMemoryContext,
													 sizeof(PrismResult) * Max(references->operations, 1));
}

void
prism_references_add(PrismReferences *references, int start, bool skipped)
{
	if (references->used)
		references->results[references->count] = (PrismResult)
	{
		.start = start,
			.length = references->text->len - start,
			.skipped = skipped
	};
	references->count++;
	references->bytes = 0;
}

static Jsonb *
result_value(PrismReferences *references, PrismResult *result)
{
	if (result->value == NULL)
	{
		char	   *json = pnstrdup(references->text->data + result->start, result->length);
		Jsonb	   *value = DatumGetJsonbP(prism_result_to_jsonb(json));
		Jsonb	   *kept = MemoryContextAllocHuge(references->cxt, VARSIZE(value));

		memcpy(kept, value, VARSIZE(value));
		result->value = kept;
	}
	return result->value;
}

/* Its text counts: of some bytes a number can make a hundred thousand digits. */
static int64
scalar_bytes(const JsonbValue *value)
{
	char	   *digits;
	int64		length;

	if (value->type == jbvString)
		return value->val.string.len;
	if (value->type != jbvNumeric)
		return 0;
	digits = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	length = strlen(digits);
	pfree(digits);
	return length;
}

/* What a value that was found takes, as jsonb and as text. */
static int64
found_bytes(const JsonbValue *value)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	part;
	int64		bytes;

	if (value->type != jbvBinary)
		return scalar_bytes(value);
	bytes = value->val.binary.len;
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &part, false)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if ((token == WJB_ELEM || token == WJB_VALUE) && part.type == jbvNumeric)
			bytes += scalar_bytes(&part);
	}
	return bytes;
}

static JsonbValue *
follow(PrismReferences *references, const JsonbValue *reference)
{
	Path		path;
	PrismResult *result;
	JsonbValue *value = palloc(sizeof(JsonbValue));
	Jsonb	   *root;

	read_path(references, reference, &path);
	result = &references->results[path.operation];
	if (result->skipped)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("reference %s points to an operation that was skipped", path.shown),
				errdetail("Operation %u, counted from 0, failed, and its effects are undone.", path.operation),
				errhint("What depends on it needs \"on_error\": \"skip\" as well."));
	root = result_value(references, result);
	value->type = jbvBinary;
	value->val.binary.data = &root->root;
	value->val.binary.len = VARSIZE(root) - VARHDRSZ;
	for (int i = 1; i < path.count; i++)
		value = step_into(&path, value, path.parts[i]);

	references->bytes += found_bytes(value);
	if (references->bytes > PRISM_RESULT_BYTES_MAX)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("references of an operation bring too much"),
				errdetail("The limit is %d bytes.", PRISM_RESULT_BYTES_MAX));
	return value;
}

/* ---------- values with references in them ---------- */

static bool
has_key(const JsonbValue *value, const char *key)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data) &&
		getKeyJsonValueFromContainer(value->val.binary.data, key, strlen(key), NULL) != NULL;
}

bool
prism_is_reference(const PrismReferences *references, const JsonbValue *value)
{
	return references != NULL && (has_key(value, REFERENCE) || has_key(value, LITERAL));
}

static bool
is_plain(const PrismReferences *references, const JsonbValue *value)
{
	return references == NULL || !references->used || value->type != jbvBinary ||
		!may_have_marks((const char *) value->val.binary.data, value->val.binary.len);
}

/* What a mark stands for; NULL: the value has none. */
static JsonbValue *
find_meant(PrismReferences *references, const JsonbValue *value)
{
	JsonbValue *inner = marked(value, REFERENCE);

	return inner != NULL ? follow(references, inner) : marked(value, LITERAL);
}

static JsonbValue *push_parts(PrismReferences *references, JsonbParseState **state, const JsonbValue *value);

static void
push_part(PrismReferences *references, JsonbParseState **state, JsonbIteratorToken token, JsonbValue *part)
{
	JsonbValue *meant = find_meant(references, part);

	if (meant != NULL || part->type != jbvBinary)
		(void) pushJsonbValue(state, token, meant != NULL ? meant : part);
	else
		(void) push_parts(references, state, part);
}

/* An array or object, part by part, into the one that all levels build: a copy for each would cost depth times size. */
static JsonbValue *
push_parts(PrismReferences *references, JsonbParseState **state, const JsonbValue *value)
{
	JsonbIterator *iterator = JsonbIteratorInit(value->val.binary.data);
	JsonbIteratorToken token;
	JsonbValue	part;
	JsonbValue *built = NULL;

	check_stack_depth();
	while ((token = JsonbIteratorNext(&iterator, &part, true)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_ELEM || token == WJB_VALUE)
			push_part(references, state, token, &part);
		else
			built = pushJsonbValue(state, token, token == WJB_KEY ? &part : NULL);
	}
	return built;
}

JsonbValue *
prism_references_resolve(PrismReferences *references, JsonbValue *value)
{
	JsonbParseState *state = NULL;
	JsonbValue *meant;
	JsonbValue *result;
	Jsonb	   *packed;

	if (is_plain(references, value))
		return value;
	if ((meant = find_meant(references, value)) != NULL)
		return meant;
	packed = JsonbValueToJsonb(push_parts(references, &state, value));
	result = palloc(sizeof(JsonbValue));
	result->type = jbvBinary;
	result->val.binary.data = &packed->root;
	result->val.binary.len = VARSIZE(packed) - VARHDRSZ;
	return result;
}
