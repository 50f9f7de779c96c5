# Sourced by the benches that need a broker, after bench.sh.

# A server and a broker of this bench's own; BROKER is its address. What is in it goes with the next one.
bench_kafka() {
	bench_server "$@"
	"$PROJECT/test/services/kafka" install
	bench_broker stop
	bench_broker wipe
	BROKER=$(bench_broker start)
	sql -q -c "CREATE SERVER kafka FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$BROKER')"
}

# client NAME: compiles test/bench/NAME.c to $WORK/NAME.
client() {
	cc -O2 -Wall -Wextra -Wno-unused-parameter -o "$WORK/$1" "$BENCH/$1.c" -lrdkafka || die "$1.c does not compile"
}

# forwarding NAME GUARANTEE [BATCH]: a namespace of that name whose topic goes to Kafka.
forwarding() {
	local publisher=
	[ -z "${3:-}" ] || publisher=", publisher: {batch_size: $3}"
	sql -q <<-SQL >/dev/null
		SELECT prism.apply(\$\$
		name: $1
		patterns: [{type: outbox$publisher}]
		backend: {type: kafka, server: kafka, partitions: 1, replication: 1}
		needs: {delivery_guarantee: $2}
		\$\$);
	SQL
}

# until_sql QUERY: until it says t; dies with what the sinks say when it never does.
until_sql() {
	local end=$((SECONDS + 4 * PRISM_WAIT))
	until [ "$(sql -c "$1")" = t ]; do
		if [ $SECONDS -ge $end ]; then
			sql -x -c 'TABLE prism.sinks' >&2
			tail -n 20 "$WORK/server/server.log" >&2
			die "waited in vain for: $1"
		fi
		sleep 0.05
	done
}
