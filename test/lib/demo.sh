# Sourced by ./dev: the demo, and the shell on its server.

demo() {
	local kafka=
	case ${1:-} in
		'') ;;
		--kafka) kafka=yes ;;
		*) help >&2; exit 2 ;;
	esac
	trap stop_demo EXIT
	trap 'exit 1' INT TERM HUP
	set_up
	step "starting a server with prism preloaded, in $PRISM_STATE/demo"
	stop_demo
	cluster_start demo || die "the demo's server did not start"
	"$PG_BIN/psql" -X -q -d postgres -v ON_ERROR_STOP=1 \
		-c 'SET client_min_messages = warning' -c 'DROP DATABASE IF EXISTS demo WITH (FORCE)' -c 'CREATE DATABASE demo'
	rm -f "$PRISM_STATE/demo/with_kafka"
	"$PG_BIN/psql" -X -d demo -f "$PROJECT/test/lib/demo.sql"
	[ -z "$kafka" ] || demo_kafka
	no_crash "$PRISM_STATE/demo/server.log" || die "a process of the server crashed: $PRISM_STATE/demo/server.log"
	say ""
	step "stopping what was started; \"./dev psql\" starts it again and gives you a shell, \"./dev clean\" removes it"
}

demo_kafka() {
	local broker
	step "starting a Kafka broker (the first time its jars are fetched)"
	"$PROJECT/test/services/kafka" install
	demo_broker wipe
	broker=$(demo_broker start)
	touch "$PRISM_STATE/demo/with_kafka"
	"$PG_BIN/psql" -X -d demo -v broker="$broker" -f "$PROJECT/test/lib/demo_kafka.sql"
	say ""
	say "STEP 8  The same records, read from the broker at $broker by kcat, which knows nothing of prism:"
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
demo_psql() {
	make_state
	find_postgres
	[ -e "$PRISM_STATE/demo/data" ] || die "run ./dev demo first"
	trap stop_demo EXIT
	if [ -e "$PRISM_STATE/demo/with_kafka" ]; then
		local broker
		broker=$(demo_broker start)
		say "Kafka answers at $broker"
	fi
	cluster_start demo || die "the demo's server did not start"
	"$PG_BIN/psql" -d demo "$@"
}
