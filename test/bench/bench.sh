# Sourced by the benches: a server of their own, alternating measurements, medians, the table of README.md beside it.
#
#   PRISM_BENCH_ROUNDS    how often each pair is measured (default: 5)
#   PRISM_BENCH_SECONDS   how long one measurement of a rate takes (default: 5)
#
# Contenders take turns within a round, so that whatever else the machine does meets both; the ratio is the median
# of the rounds' ratios, not the ratio of the medians.
. "$PROJECT/test/lib/common.sh"
. "$PROJECT/test/lib/cluster.sh"

ROUNDS=${PRISM_BENCH_ROUNDS:-5}
SECONDS_EACH=${PRISM_BENCH_SECONDS:-5}
BENCH=$PROJECT/test/bench
PG_BIN=$("$PG_CONFIG" --bindir)
WORK=$PRISM_STATE/bench		# the caller's; below it the server's user has two folders
DATA=$WORK/server/data
declare -A SAMPLES=()

# A fresh server; SETTINGS are more lines of its configuration.
bench_server() {
	trap bench_end EXIT
	trap 'exit 1' INT TERM HUP
	bench_end
	[ -O "$WORK" ] || rm -rf "$WORK"	# an older ./dev gave it to the user
	mkdir -p "$WORK"
	user_folder "$WORK/server" "$WORK/out"
	rm -rf "$DATA"
	cluster_start bench/server "
		fsync = on
		shared_buffers = 512MB
		max_wal_size = 16GB
		checkpoint_timeout = 1h
		autovacuum_naptime = 1h
		${1:-}" || die "the bench's server did not start"
	sql -q -c 'DROP DATABASE IF EXISTS bench WITH (FORCE)' -c 'CREATE DATABASE bench' -d postgres
	export PGDATABASE=bench
	sql -q -c 'CREATE EXTENSION prism'
}

bench_end() {
	release_snapshot
	cluster_stop bench/server || true
	[ ! -d "$WORK/kafka" ] || bench_broker stop
}

bench_broker() {
	user_folder "$WORK/kafka"
	KAFKA_DIR=$WORK/kafka run_service kafka "$@"
}

sql() { PGOPTIONS='-c client_min_messages=warning' "$PG_BIN/psql" -X -A -t -v ON_ERROR_STOP=1 "$@"; }

# rate SCRIPT [OPTION...]: transactions a second of a pgbench script of 4 clients; a failed one ends the bench.
rate() {
	local script=$1 log=$WORK/pgbench.log
	shift
	"$PG_BIN/pgbench" -n -M prepared -c 4 -j 2 -T "$SECONDS_EACH" -f "$script" "$@" >"$log" 2>&1 ||
		{ tail -n 20 "$log" >&2; die "pgbench failed"; }
	! grep -q 'aborted' "$log" || { tail -n 20 "$log" >&2; die "a client was aborted"; }
	sed -n 's/^tps = \([0-9.]*\) .*/\1/p' "$log"
}

# sample NAME VALUE: remembers a measurement of this round.
sample() { SAMPLES[$1]="${SAMPLES[$1]:-} $2"; }
samples() { tr ' ' '\n' <<<"${SAMPLES[$1]# }"; }
median() { sort -g | awk '{ v[NR] = $1 } END { printf "%.4f\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
# percentile FILE P: of the numbers in a file, one a line.
percentile() { sort -g "$1" | awk -v p="$2" '{ v[NR] = $1 } END { i = int(NR * p / 100 + 0.999999); print v[i < 1 ? 1 : i] }'; }
last() { samples "$1" | tail -n 1; }
# ratio A B: the median over the rounds of A / B.
ratio() { paste <(samples "$1") <(samples "$2") | awk '{ print $1 / $2 }' | median; }

table_head() {
	say ""
	say "| what | prism | against | ratio | at least |"
	say "|---|---|---|---|---|"
}

# table_row WHAT A B UNIT AT_LEAST: the medians of A and B and of their ratios.
table_row() {
	printf '| %s | %.0f %s | %.0f %s | %.2f x | %s |\n' "$1" "$(samples "$2" | median)" "$4" "$(samples "$3" | median)" "$4" "$(ratio "$2" "$3")" "$5"
}

table_foot() {
	say ""
	say "$(date -u +%Y-%m-%d), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) CPUs, $("$PG_CONFIG" --version), medians of $ROUNDS rounds."
}

# A session that holds a snapshot until release_snapshot.
hold_snapshot() {
	local pid
	mkfifo "$WORK/holder"
	sql -q >/dev/null <"$WORK/holder" &
	HOLDER=$!
	exec 8>"$WORK/holder"
	rm -f "$WORK/holder"
	echo 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT txid_current();' >&8
	until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND backend_xid IS NOT NULL")" = 1 ]; do sleep 0.05; done
}

release_snapshot() {
	[ -n "${HOLDER:-}" ] || return 0
	exec 8>&-
	wait "$HOLDER" || true
	HOLDER=
}

# instructions LIBRARIES SCRIPT: of one run, from the same data each time.
instructions() {
	command -v valgrind >/dev/null || die "needs valgrind: apt-get install valgrind"
	as_user rm -rf "$WORK/server/copy"
	as_user cp -a "$DATA" "$WORK/server/copy"
	as_user valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file="$WORK/out/callgrind" \
		"$PG_BIN/postgres" --single -D "$WORK/server/copy" -c shared_preload_libraries="$1" -c wal_level=logical -c fsync=off \
		-c autovacuum=off -c shared_buffers=64MB bench <"$2" >"$WORK/backend" 2>&1 ||
		{ tail -n 20 "$WORK/backend" >&2; die "the standalone backend failed"; }
	sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$WORK/out/callgrind"
}
