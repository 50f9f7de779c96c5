# Sourced by forward_*: how fast a backlog goes out, against a bare librdkafka producer, and the forwarder's memory.
#
#   PRISM_BENCH_MESSAGES   the backlog (default: 1000000)
. "$PROJECT/test/bench/bench.sh"
. "$PROJECT/test/bench/kafka.sh"

MESSAGES=${PRISM_BENCH_MESSAGES:-1000000}
BYTES=200
CHUNK=10000

# forward_bench GUARANTEE LABEL AT_LEAST [RECORDS_A_TRANSACTION]
forward_bench() {
	local round transaction=${4:-}
	bench_kafka 'synchronous_commit = off'
	client producer
	for ((round = 1; round <= ROUNDS; round++)); do
		forwarding forward "$1" "$transaction"
		until_sql "SELECT state = 'running' FROM prism.sinks"
		sql -q -c "SELECT prism.pause('forward')" >/dev/null
		until_sql "SELECT state = 'paused' FROM prism.sinks"
		make_backlog
		if [ $((round % 2)) = 1 ]; then
			measure_forward
			measure_producer "$transaction"
		else
			measure_producer "$transaction"
			measure_forward
		fi
		sql -q -c "SELECT prism.drop_namespace('forward')" -c CHECKPOINT >/dev/null
		say "round $round: forwarder $(last forward), producer $(last producer) records a second, memory of the forwarder $(last memory) MB"
	done
	table_head
	table_row "forwarding a backlog of $MESSAGES messages of $BYTES bytes, $2, against a bare producer" forward producer 'a second' "$3"
	printf '| memory of the forwarder over that backlog, beside shared buffers | %s MB | | | below 96 MB |\n' "$(samples memory | sort -g | tail -n 1)"
	table_foot
}

make_backlog() {
	local i
	for ((i = 0; i < MESSAGES; i += CHUNK)); do
		echo "SELECT prism.publish_batch('forward', array_fill(convert_to(repeat('x', $BYTES), 'UTF8'), ARRAY[$CHUNK]));"
	done | sql -q >/dev/null
}

# From prism.resume() to the position behind the last message.
measure_forward() {
	local pid peak=0 now done_file=$WORK/forwarded
	pid=$(sql -c "SELECT pid FROM prism.workers WHERE kind = 'forwarder'")
	rm -f "$done_file"
	sql -q >"$done_file.new" <<-SQL &
		SELECT next_position AS last FROM prism.topics WHERE topic = 'forward' \gset
		SELECT extract(epoch FROM clock_timestamp()) AS began \gset
		SELECT prism.resume('forward') \gset
		SELECT set_config('bench.last', :'last', false) \gset
		DO \$\$ BEGIN
			WHILE (SELECT "position" IS NULL OR "position" < current_setting('bench.last')::bigint FROM prism.sinks) LOOP
				PERFORM pg_sleep(0.01);
			END LOOP;
		END \$\$;
		SELECT round($MESSAGES / (extract(epoch FROM clock_timestamp()) - :began));
	SQL
	local watcher=$!
	while kill -0 $watcher 2>/dev/null; do
		now=$(awk '/^Rss(Anon|File)/ { kb += $2 } END { print int(kb / 1024) }' "/proc/$pid/status" 2>/dev/null || echo 0)
		if [ "${now:-0}" -gt "$peak" ]; then peak=$now; fi
		sleep 0.1
	done
	wait $watcher || die "the backlog did not go out"
	sample forward "$(tail -n 1 "$done_file.new")"
	sample memory "$peak"
}

measure_producer() { sample producer "$("$WORK/producer" "$BROKER" forward "$MESSAGES" "$BYTES" $1)"; }
