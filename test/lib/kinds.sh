# Sourced by ./dev: the kinds of tests.  test/README.md says what belongs to which kind and what one result is.

KINDS=(lint build regress isolation pgtap unit tap)
KINDS_ASKED_FOR=(debian cassert)		# take minutes and gigabytes
OTHER_MAJORS=(16 18)
RUN_SECONDS_MAX=4200			# all of them together; a machine at rest takes less than half of it
FILES_AT_ONCE=${PRISM_TEST_JOBS:-$(nproc)}	# of test/t
PASSED=0 FAILED=0 COMPLETE= CHILD=
PATTERNS=()
declare -A RUNNING=()			# pid of a subshell: the file of test/t that it runs

# run_tests [KIND...] [PATTERN...]
run_tests() {
	local word kind kinds=()
	for word; do
		case " ${KINDS[*]} ${KINDS_ASKED_FOR[*]} " in
			*" $word "*) kinds+=("$word") ;;
			*) PATTERNS+=("$word") ;;
		esac
	done
	[ ${#kinds[@]} -gt 0 ] || kinds=("${KINDS[@]}")

	trap finish_tests EXIT
	trap 'exit 1' INT TERM HUP
	set_up
	find_as_user
	LOGS=$PRISM_STATE/test/log
	end_leftovers "$PRISM_STATE/test"
	rm -rf "$PRISM_STATE/test"
	mkdir -p "$LOGS"		# the caller's: he writes them
	user_folder "$PRISM_STATE/test/tap" "$PRISM_STATE/test/tap/ports"

	for kind in "${kinds[@]}"; do
		step "test $kind"
		"test_$kind"
	done
	stop_shared_cluster
	COMPLETE=yes
}

# The last line is the verdict, however we came here.
finish_tests() {
	set +e
	trap '' INT TERM HUP
	end_running $CHILD "${!RUNNING[@]}"
	if [ -z "$COMPLETE" ]; then
		say "FAILED  the run broke off"
		FAILED=$((FAILED + 1))
	fi
	stop_started
	# what another ./dev has started here is not left over
	[ -z "${IN_CHARGE:-}" ] || end_leftovers "$PRISM_STATE/test"
	printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
	if [ "$FAILED" != 0 ] || [ "$PASSED" = 0 ]; then exit 1; fi
	exit 0
}

# end_running [PID...]
end_running() {
	[ $# -gt 0 ] || return 0
	kill -s TERM "$@" 2>/dev/null
	wait "$@"
}

# wanted NAME: no pattern was given, or one of them is a part of the name.
wanted() {
	local pattern
	[ ${#PATTERNS[@]} -gt 0 ] || return 0
	for pattern in "${PATTERNS[@]}"; do
		if [[ $1 == *"$pattern"* ]]; then return 0; fi
	done
	return 1
}

# wanted_names SUFFIX FILE...: the names of the wanted files that exist, without folder and suffix.
wanted_names() {
	local suffix=$1 file name
	shift
	for file; do
		name=$(basename "$file" "$suffix")
		if [ -e "$file" ] && wanted "$name"; then echo "$name"; fi
	done
}

# count_results LOG STATUS: prints "passed failed".  Reads TAP and what pg_regress of PostgreSQL 15 prints instead.
count_results() {
	awk -v status="$2" '
		/^1\.\.[0-9]+/ { planned = substr($1, 4); has_plan = 1 }
		/^ok [0-9]/ { if (toupper($0) ~ /# *(SKIP|TODO)/) failed++; else passed++ }
		/^not ok [0-9]/ { failed++ }
		/^(test| ) .* \.\.\. +ok / { passed++ }
		/^(test| ) .* \.\.\. +FAILED/ { failed++ }
		END {
			if (has_plan && planned != passed + failed && failed == 0) failed = 1
			if (passed + failed == 0 || (status != 0 && failed == 0)) failed = 1
			print passed + 0, failed + 0
		}' "$1"
}

# run_bounded SECONDS NAME COMMAND...: runs it as the unprivileged user, counts, prints a line, and the log on failure.
run_bounded() {
	local bound=$1 name=$2 log=$LOGS/$2.log status=0 begin=$SECONDS passed failed
	shift 2
	if [ $((RUN_SECONDS_MAX - SECONDS)) -lt "$bound" ]; then bound=$((RUN_SECONDS_MAX - SECONDS > 1 ? RUN_SECONDS_MAX - SECONDS : 1)); fi
	# in the background: a shell that waits for it can be interrupted
	"${AS_USER[@]}" timeout -k 20 "$bound" "$@" >"$log" 2>&1 </dev/null 9>&- &
	CHILD=$!
	wait "$CHILD" || status=$?
	CHILD=
	read -r passed failed < <(count_results "$log" "$status")
	PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
	if [ "$failed" = 0 ]; then
		printf 'ok      %-40s %4d passed, %d s\n' "$name" "$passed" $((SECONDS - begin))
		return 0
	fi
	printf 'FAILED  %-40s %4d passed, %d failed, %d s\n' "$name" "$passed" "$failed" $((SECONDS - begin))
	[ "$status" != 124 ] || say "        it was ended after its $bound seconds"
	show "$log" 300
	return 1
}

# result NAME COMMAND...: one result of a command of ours.
result() {
	local name=$1
	shift
	if "$@"; then
		PASSED=$((PASSED + 1))
		printf 'ok      %s\n' "$name"
	else
		FAILED=$((FAILED + 1))
		printf 'FAILED  %s\n' "$name"
	fi
}

# show FILE LINES: its last lines, set off from ours.
show() {
	[ -s "$1" ] || return 0
	say "------- the last lines of $1"
	tail -n "$2" "$1" | sed 's/^/| /'
}

# time_bound FILE DEFAULT: "# timeout: N" (in SQL "-- timeout: N") in its first lines, or the default.
time_bound() {
	local own
	own=$(head -n 10 "$1" | sed -n 's/^\(#\|--\) timeout: \([0-9]*\).*/\2/p')
	echo "${own:-$2}"
}

test_lint() {
	local name
	if is_root && wanted dev; then result "root gives away nothing that a link of the user's leads to" gives_no_links_target; fi
	for name in $(wanted_names '' "$BUILD"/test/lint/*); do
		run_bounded 120 "$name" env PG_CONFIG="$PG_CONFIG" BUILD="$BUILD" "$BUILD/test/lint/$name" || true
	done
}

# The user's folder has links to root's, where root would make the user's folders, and logs.
gives_no_links_target() (
	own=$PRISM_STATE/test/own folder=$PRISM_STATE/test/links
	mkdir "$own"
	user_folder "$folder"
	as_user ln -s "$own" "$folder/socket"
	as_user ln -s "$own/log" "$folder/server.log"
	(user_folder "$folder/socket" "$folder/socket/below") >/dev/null 2>&1
	(cluster_start test/links) >/dev/null 2>&1
	cluster_stop test/links
	[ -O "$own" ] && [ -z "$(find "$own" -mindepth 1)" ] && [ -O "$LOGS" ] && [ "$(stat -c %a "$own")" = 755 ]
)

# The build for the installed major happened before all tests, with warnings as errors: it counts here.
# Each major also runs the demo's story, start and orderly stop of the server included.
test_build() {
	local major
	if wanted "$PG_MAJOR"; then
		result "compiles for $("$PG_CONFIG" --version)" true
		result "tells the demo's story on PostgreSQL $PG_MAJOR" tell_story "$PG_MAJOR" "$BUILD" "$PG_CONFIG"
	fi
	for major in "${OTHER_MAJORS[@]}"; do
		if wanted "$major"; then test_major "$major"; fi
	done
	if wanted package; then test_package; fi
}

# What who packages prism does with it.
test_package() {
	local clang
	clang=$(sed -n 's/^CLANG = //p' "$(dirname "$("$PG_CONFIG" --pgxs)")/../Makefile.global")
	result "compiles without a warning for size" compile_silently "$PRISM_STATE/build/size" "$PG_CONFIG" "$LOGS/build-size.log" COPT=-Os
	result "compiles without a warning by $("$clang" --version | head -n 1)" \
		compile_silently "$PRISM_STATE/build/clang" "$PG_CONFIG" "$LOGS/build-clang.log" CC="$clang" PRISM_CFLAGS='-Werror -Wno-unknown-warning-option -Wno-ignored-optimization-argument -Wno-ignored-attributes'
	result "builds in another folder, installs and removes every file" builds_elsewhere
}

# The sources stay as they are: they may be read-only.
builds_elsewhere() {
	local top=$PRISM_STATE/build/elsewhere log=$LOGS/build-elsewhere.log make=(make -s -f ../source/Makefile PG_CONFIG="$PG_CONFIG" DESTDIR="$PRISM_STATE/build/elsewhere/root")
	rm -rf "$top"
	user_folder "$top/build" "$top/root"
	stage "$top/source"
	as_user chmod -R a-w "$top/source"
	"${AS_USER[@]}" "${make[@]}" -C "$top/build" -j"$(nproc)" all >"$log" 2>&1 &&
		"${AS_USER[@]}" "${make[@]}" -C "$top/build" install >>"$log" 2>&1 &&
		[ "$(find "$top/root" -name "prism*.so" | wc -l)" -ge 3 ] &&
		"${AS_USER[@]}" "${make[@]}" -C "$top/build" uninstall >>"$log" 2>&1 &&
		[ -z "$(find "$top/root" -type f)" ] &&
		"${AS_USER[@]}" "${make[@]}" -C "$top/build" clean >>"$log" 2>&1 &&
		[ -z "$(find "$top/build" -type f)" ] && [ ! -s "$log" ] && return 0
	show "$log" 50
	find "$top/root" "$top/build" -type f
	return 1
}

test_major() {
	local major=$1 config folder=$PRISM_STATE/build/$1
	if ! config=$("$PROJECT/test/services/pg-majors" "$major"); then
		result "PostgreSQL $major can be had" false
		return
	fi
	result "compiles for $("$config" --version)" compile_silently "$folder" "$config" "$LOGS/build-$major.log"
	result "tells the demo's story on PostgreSQL $major" tell_story "$major" "$folder" "$config"
}

# compile_silently FOLDER PG_CONFIG LOG [ARGUMENT...]: anything that the compiler or make says is a failure.
compile_silently() {
	stage "$1"
	if compile "$1" "$2" "${@:4}" >"$3" 2>&1 && [ ! -s "$3" ]; then return 0; fi
	show "$3" 100
	return 1
}

# A Debian with the packages that README names and nothing else builds prism, without a warning: 12, and 13 with a newer compiler.
test_debian() {
	local packages
	packages=$(sed -n 's/.*On Debian the packages are `\([^`]*\)`.*/\1/p' "$PROJECT/README.md")
	result "README names the packages" test -n "$packages"
	result "Debian 12 builds and installs with README's packages" debian_builds bookworm 15 $packages
	result "Debian 13 builds and installs with README's packages" debian_builds trixie 17 ${packages//15/17}
}

# debian_builds RELEASE MAJOR PACKAGE...
debian_builds() {
	local root=$PRISM_STATE/debian/$1 log=$LOGS/debian-$1.log make
	mkdir -p "$PRISM_STATE/debian"
	"$PROJECT/test/services/debian" "$1" "$root" "${@:3}" || return 1
	rm -rf "$root/prism"
	mkdir -p "$root/prism"
	list_sources
	pack_sources | tar -C "$root/prism" -xf -	# root's, as who builds there is root
	make="make -s -C /prism PG_CONFIG=/usr/lib/postgresql/$2/bin/pg_config PRISM_CFLAGS=-Werror"
	chroot "$root" $make -j"$(nproc)" >"$log" 2>&1 && chroot "$root" $make install >>"$log" 2>&1 && [ ! -s "$log" ] &&
		[ -e "$root/usr/lib/postgresql/$2/lib/prism_kafka.so" ] && return 0
	show "$log" 50
	return 1
}

# tell_story MAJOR FOLDER PG_CONFIG: in a subshell, which has another server in its environment.
tell_story() (
	name=test/story-$1 PG_CONFIG=$3 PG_BIN=$("$3" --bindir)
	# errexit does not hold here: the caller asks for our status
	install_built "$2" "$3" >"$LOGS/story-$1.log" 2>&1 &&
		cluster_start "$name" &&
		"$PG_BIN/createdb" story &&
		"$PG_BIN/psql" -X -d story -f "$PROJECT/test/lib/demo.sql" >>"$LOGS/story-$1.log" 2>&1 &&
		"$PG_BIN/psql" -X -d story -f "$PROJECT/test/lib/majors.sql" >>"$LOGS/story-$1.log" 2>&1 &&
		{ [ "$1" -lt 16 ] || "$PG_BIN/psql" -X -d story -f "$PROJECT/test/lib/subscription.sql" >>"$LOGS/story-$1.log" 2>&1; } &&
		cluster_stop "$name" &&
		ends_in_order "$PRISM_STATE/$name/server.log" &&
		no_crash "$PRISM_STATE/$name/server.log" && exit 0
	show "$LOGS/story-$1.log" 30
	show "$PRISM_STATE/$name/server.log" 30
	cluster_stop "$name"
	exit 1
)

# The cluster of regress, isolation and pgtap; it starts with the first of them.
CLUSTER=test/cluster CLUSTER_SETTINGS=
shared_cluster() {
	[ ! -e "$PRISM_STATE/$CLUSTER" ] || return 0
	if ! cluster_start "$CLUSTER" "$CLUSTER_SETTINGS"; then result "the tests' server starts" false; return 1; fi
}

stop_shared_cluster() {
	[ -e "$PRISM_STATE/$CLUSTER" ] || return 0
	step "stopping the server of the tests"
	result "the server stops in order" cluster_stop "$CLUSTER"
	result "no process of it crashed" no_crash "$PRISM_STATE/$CLUSTER/server.log"
}

# pg_regress and pg_isolation_regress: KIND PROGRAM INPUT_FOLDER NAME...
REGRESS_SECONDS_MAX=600 REGRESS_LABEL=
run_regress() {
	local kind=$1 program=$2 input=$3 output=$PRISM_STATE/test/$REGRESS_LABEL$1
	shift 3
	[ $# -gt 0 ] || return 0
	shared_cluster || return 0
	user_folder "$output"
	if ! run_bounded "$REGRESS_SECONDS_MAX" "$REGRESS_LABEL$kind" "$program" --bindir="$PG_BIN" --inputdir="$input" --outputdir="$output" \
		--dbname="prism_$kind" --load-extension=prism "$@"; then
		show "$output/regression.diffs" 1000
		show "$PRISM_STATE/$CLUSTER/server.log" 40
	fi
}

pgxs_program() { echo "$(dirname "$("$PG_CONFIG" --pgxs)")/../../src/test/$1"; }

test_regress() {
	local names
	mapfile -t names < <(wanted_names .sql "$BUILD"/sql/*.sql)
	run_regress regress "$(pgxs_program regress/pg_regress)" "$BUILD" "${names[@]}"
}

test_isolation() {
	local names
	mapfile -t names < <(wanted_names .spec "$BUILD"/test/isolation/specs/*.spec)
	run_regress isolation "$(pgxs_program isolation/pg_isolation_regress)" "$BUILD/test/isolation" "${names[@]}"
}

test_pgtap() {
	local name names
	mapfile -t names < <(wanted_names .sql "$BUILD"/test/pgtap/*.sql)
	[ ${#names[@]} -gt 0 ] || return 0
	shared_cluster || return 0
	if ! "$PG_BIN/createdb" prism_pgtap ||
		! "$PG_BIN/psql" -X -q -d prism_pgtap -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION pgtap' -c 'CREATE EXTENSION prism'; then
		result "pgtap's database" false
		return 0
	fi
	for name in "${names[@]}"; do
		run_bounded "$(time_bound "$BUILD/test/pgtap/$name.sql" 300)" "$name" \
			"$PG_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 -v rfc="$BUILD/test/rfc" -P pager=off -d prism_pgtap -f "$BUILD/test/pgtap/$name.sql" || true
	done
}

test_unit() {
	local name
	for name in $(wanted_names '' "$BUILD"/test/module/*/); do
		run_bounded 300 "$name" make -s -C "$BUILD/test/module/$name" check PG_CONFIG="$PG_CONFIG" || true
	done
}

test_tap() {
	local name names alone=() beside=()
	mapfile -t names < <(wanted_names .pl "$BUILD"/test/t/*.pl)
	[ ${#names[@]} -gt 0 ] || return 0
	step "fetching Kafka, the first time"
	result "Kafka can be had" "$PROJECT/test/services/kafka" install
	if [[ " ${names[*]} " == *drivers* ]]; then result "client libraries can be had" "$PROJECT/test/services/drivers" install; fi
	for name in "${names[@]}"; do
		if head -n 10 "$BUILD/test/t/$name.pl" | grep -q '^# alone'; then alone+=("$name"); else beside+=("$name"); fi
	done
	run_files "$FILES_AT_ONCE" "${beside[@]}"
	run_files 1 "${alone[@]}"
}

# run_files COUNT NAME...: files of test/t, so many of them at once.  Each has its own folder; ports are reserved in one for all.
run_files() {
	local count=$1 name
	shift
	for name; do
		[ ${#RUNNING[@]} -lt "$count" ] || take_report
		(
			trap 'end_running $CHILD; exit 1' TERM
			PASSED=0 FAILED=0
			run_file "$name" || true
			echo "$PASSED $FAILED" >"$LOGS/$name.counts"
		) >"$LOGS/$name.report" 2>&1 &
		RUNNING[$!]=$name
	done
	while [ ${#RUNNING[@]} -gt 0 ]; do take_report; done
}

# Of the next file that ends.  One that did not come to its counts has failed.
take_report() {
	local pid name passed=0 failed=1
	wait -n -p pid "${!RUNNING[@]}" || true
	name=${RUNNING[$pid]}
	unset "RUNNING[$pid]"
	cat "$LOGS/$name.report"
	read -r passed failed <"$LOGS/$name.counts" || say "FAILED  $name broke off"
	PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
}

run_file() {
	local name=$1 folder=$PRISM_STATE/test/tap/$1 log status=0
	user_folder "$folder"
	run_bounded "$(time_bound "$BUILD/test/t/$name.pl" 600)" "$name" env -u PGHOST -u PGPORT -u PGUSER -C "$folder" \
		TESTDIR="$folder" TESTDATADIR="$folder/tmp_check" TESTLOGDIR="$folder/tmp_check/log" PG_TEST_PORT_DIR="$PRISM_STATE/test/tap/ports" \
		PATH="$PG_BIN:$PATH" PG_REGRESS="$(pgxs_program regress/pg_regress)" PRISM_STATE="$PRISM_STATE" \
		prove -v -I "$BUILD/test/lib" -I "$(pgxs_program perl)" "$BUILD/test/t/$name.pl" || status=1
	if [ "$status" != 0 ]; then
		for log in "$folder"/tmp_check/log/*; do show "$log" 80; done
	fi
	end_leftovers "$folder"
	[ "$status" != 0 ] || rm -rf "$folder"
	return "$status"
}

# A statement takes seconds where caches forget everything: files that use each part of the log and wait for no time.
DISCARD_REGRESS=(consume consume_verbs publish redrive seek transaction)
DISCARD_ISOLATION=(consume_ack dead_letter_drop publish_drop publish_order)

# regress and isolation on a server that checks itself, then some of them on one whose caches forget whenever they may.
test_cassert() {
	local -x PG_CONFIG=$PG_CONFIG PGHOST PGPORT PGUSER
	local PG_BIN=$PG_BIN BUILD=$PRISM_STATE/build/cassert CLUSTER CLUSTER_SETTINGS REGRESS_LABEL REGRESS_SECONDS_MAX=1800 RUN_SECONDS_MAX=5400
	step "building a server with assertions, the first time"
	if ! PG_CONFIG=$("$PROJECT/test/services/pg-cassert"); then
		result "a server with assertions can be had" false
		return
	fi
	PG_BIN=$("$PG_CONFIG" --bindir)
	result "compiles for a server with assertions" compile_silently "$BUILD" "$PG_CONFIG" "$LOGS/build-cassert.log"
	if ! install_built "$BUILD" "$PG_CONFIG"; then
		result "prism is installed into it" false
		return
	fi

	CLUSTER=test/cassert CLUSTER_SETTINGS= REGRESS_LABEL=cassert-
	test_regress
	test_isolation
	stop_shared_cluster

	CLUSTER=test/discard CLUSTER_SETTINGS="debug_discard_caches = 1" REGRESS_LABEL=discard-
	run_regress regress "$(pgxs_program regress/pg_regress)" "$BUILD" $(wanted_of "${DISCARD_REGRESS[@]}")
	run_regress isolation "$(pgxs_program isolation/pg_isolation_regress)" "$BUILD/test/isolation" $(wanted_of "${DISCARD_ISOLATION[@]}")
	stop_shared_cluster
}

# wanted_of NAME...: those of them that are wanted.
wanted_of() {
	local name
	for name; do
		if wanted "$name"; then echo "$name"; fi
	done
}
