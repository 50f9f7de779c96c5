# Sourced by ./dev: the demo, and the shell on its server.

demo() {
	local kafka=
	case ${1:-} in
		'') ;;
		--kafka) kafka=yes ;;
		*) help >&2; exit 2 ;;
	esac
	set_up
	trap stop_demo EXIT
	trap 'exit 1' INT TERM HUP
	step "starting a server with prism preloaded, in $PRISM_STATE/demo"
	stop_demo
	rm -rf "${PRISM_STATE:?}/demo/data"	# an older build may have made it
	cluster_start demo || die "the demo's server did not start"
	"$PG_BIN/psql" -X -q -d postgres -v ON_ERROR_STOP=1 \
		-c 'CREATE DATABASE demo'
	rm -f "$PRISM_STATE/demo/with_kafka"
	"$PG_BIN/psql" -X -d demo -f "$PROJECT/test/lib/demo.sql"
	demo_queue
	demo_payload
	[ -z "$kafka" ] || demo_kafka
	no_crash "$PRISM_STATE/demo/server.log" || die "a process of the server crashed: $PRISM_STATE/demo/server.log"
	say ""
	step "stopping what was started; \"./dev psql\" starts it again and gives you a shell, \"./dev clean\" removes it"
}

# Two consumers of one group, one of which is killed in its work, and a replay.
demo_queue() {
	say ""
	say "STEP 6  Two workers share a queue. What a worker has taken, nobody else gets; the messages of one customer"
	say "        go to one worker at a time, in order: parcels 5 and 6 wait for what worker 1 has. It is killed in the"
	say "        middle of its transaction: its messages and its work go back together, and worker 2 does them."
	say ""
	"$PG_BIN/psql" -X -q -d demo -v ON_ERROR_STOP=1 -f "$PROJECT/test/lib/demo_queue.sql"
	worker_start 1
	worker_start 2
	local ship="WITH taken AS (SELECT m.*, prism.ack(m) FROM prism.consume('parcels', 'shipping', 3) AS m)
    INSERT INTO shipped SELECT convert_from(payload, 'UTF8'), key, :'worker', attempt FROM taken RETURNING *;"
	worker_ask 1 'BEGIN;'
	worker_ask 1 "$ship"
	worker_ask 2 'BEGIN;'
	worker_ask 2 "$ship"
	worker_ask 2 'COMMIT;'
	say "        ... kill -9 of worker 1"
	say ""
	kill -s KILL "${WORKER_PID[1]}"
	wait "${WORKER_PID[1]}" 2>/dev/null || true
	worker_ask 2 "CALL prism.wait('parcels', 'shipping', '10 s');"
	worker_ask 2 "${ship/, 3)/)}"
	worker_ask 2 "SELECT count(*) AS shipped, count(DISTINCT parcel) AS different FROM shipped;"
	say "STEP 7  A group can begin again wherever it likes: seek, and the same messages come in the same order."
	say ""
	worker_ask 2 "SELECT prism.seek('parcels', 'shipping', 'earliest');"
	worker_ask 2 "SELECT m.position, m.key, convert_from(m.payload, 'UTF8') AS payload, prism.ack(m) FROM prism.consume('parcels', 'shipping') AS m;"
	exec {WORKER_IN[2]}>&-
	wait "${WORKER_PID[2]}"
}

demo_payload() {
	say ""
	say "STEP 8  A payload of 200 MB lies beside the log, so that no other message waits for it. What comes out is what"
	say "        went in: its SHA-256 says so."
	say ""
	"$PG_BIN/psql" -X -q -d demo -f "$PROJECT/test/lib/demo_payload.sql"
}

declare -A WORKER_PID=() WORKER_IN=() WORKER_OUT=()

# worker_start NUMBER: a session of its own, a psql between two pipes.
worker_start() {
	local in out pipes=$PRISM_STATE/worker$1
	rm -f "$pipes.in" "$pipes.out"
	mkfifo "$pipes.in" "$pipes.out"
	"$PG_BIN/psql" -X -q -d demo -P footer=off -v ON_ERROR_STOP=1 -v worker="worker $1" <"$pipes.in" >"$pipes.out" 2>&1 9>&- &
	WORKER_PID[$1]=$!
	exec {in}>"$pipes.in" {out}<"$pipes.out"
	rm -f "$pipes.in" "$pipes.out"
	WORKER_IN[$1]=$in WORKER_OUT[$1]=$out
}

# worker_ask NUMBER STATEMENT: shows the statement and its result.
worker_ask() {
	local line
	sed "s/^/worker $1: /" <<<"$2"
	printf '%s\n\\echo end of answer\n' "$2" >&"${WORKER_IN[$1]}"
	while IFS= read -r line <&"${WORKER_OUT[$1]}" && [ "$line" != 'end of answer' ]; do say "$line"; done
}

demo_kafka() {
	local broker
	step "starting a Kafka broker (the first time its jars are fetched)"
	"$PROJECT/test/services/kafka" install
	demo_broker wipe
	broker=$(demo_broker start)
	as_user touch "$PRISM_STATE/demo/with_kafka"
	"$PG_BIN/psql" -X -d demo -v broker="$broker" -f "$PROJECT/test/lib/demo_kafka.sql"
	say ""
	say "STEP 11  The same records, read from the broker at $broker by kcat, which knows nothing of prism:"
	say ""
	read_back "$broker" shipments 3
	say ""
	say "        And what prism says of the way there:"
	say ""
	"$PG_BIN/psql" -X -d demo -P footer=off -c 'SELECT topic, sink, target, state, position, lag_messages, messages_total FROM prism.sinks'
}

# The demo's broker has a folder of its own: its records are gone with the next demo.
demo_broker() {
	user_folder "$PRISM_STATE/demo/kafka"
	KAFKA_DIR=$PRISM_STATE/demo/kafka run_service kafka "$1"
}

# read_back BROKER TOPIC RECORDS: waits until they are there and prints them.
read_back() {
	local command=(kcat -b "$1" -C -t "$2" -o beginning -e -q -X isolation.level=read_committed) end=$((SECONDS + PRISM_WAIT))
	until [ "$("${command[@]}" -f '.\n' 2>/dev/null | wc -l)" -ge "$3" ]; do
		if [ $SECONDS -ge $end ]; then
			tail -n 20 "$PRISM_STATE/demo/server.log" >&2
			die "topic \"$2\" does not hold $3 records after $PRISM_WAIT s"
		fi
	done
	"${command[@]}" -f 'partition %p  offset %o  key %k\n  headers  %h\n  payload  %s\n'
}

stop_demo() {
	cluster_stop demo || true
	[ ! -d "$PRISM_STATE/demo/kafka" ] || demo_broker stop
}

# A shell on the demo's server, which runs as long as the shell, its broker too if the demo had one.
# Beside another ./dev that has the server running, one more shell on it.
demo_psql() {
	make_state
	find_postgres
	[ -e "$PRISM_STATE/demo/data" ] || die "run ./dev demo first"
	if ! in_charge; then
		cluster_address demo
		"$PG_BIN/pg_isready" -q || die "another ./dev is at work in $PRISM_STATE"
		say "the server ends with the ./dev that has started it"
		"$PG_BIN/psql" -d demo "$@" 9>&-
		return
	fi
	trap stop_demo EXIT
	if [ -e "$PRISM_STATE/demo/with_kafka" ]; then
		local broker
		broker=$(demo_broker start)
		say "Kafka answers at $broker"
	fi
	cluster_start demo || die "the demo's server did not start"
	"$PG_BIN/psql" -d demo "$@"
}
