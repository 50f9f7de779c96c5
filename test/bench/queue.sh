# Sourced by the benches of consumers, after bench.sh: a topic and its peers, filled and drained.
#
# The peers are what people build by hand, in test/bench/peers: all do the same job, hand the payload to the client
# and are done with the message when the client goes on.

CONSUMERS=4
declare -A TAKE=() ACKNOWLEDGE=()

TAKE[prism]="SELECT m.\"position\", m.payload, prism.ack(m) FROM prism.consume('bench', 'g', :count) AS m"
# By ctid: a join by id costs it a third of its speed.
TAKE[skip_locked]="DELETE FROM skip_locked WHERE ctid = ANY (ARRAY(
	SELECT ctid FROM skip_locked ORDER BY id LIMIT :count FOR UPDATE SKIP LOCKED)) RETURNING id, payload"
TAKE[visibility_timeout]="UPDATE visibility_timeout SET vt = clock_timestamp() + interval '30 s', read_count = read_count + 1
	WHERE ctid = ANY (ARRAY(SELECT ctid FROM visibility_timeout WHERE vt <= clock_timestamp()
		ORDER BY id LIMIT :count FOR UPDATE SKIP LOCKED)) RETURNING id, payload"
ACKNOWLEDGE[visibility_timeout]="DELETE FROM visibility_timeout WHERE id = ANY (\$1)"

# postgres_client NAME: compiles test/bench/NAME.c to $WORK/NAME.
postgres_client() {
	local flags
	read -ra flags < <(pkg-config --cflags --libs libpq)
	cc -O2 -Wall -Wextra -o "$WORK/$1" "$BENCH/$1.c" "${flags[@]}" -lpthread || die "$1.c does not compile"
}

# queue_server [SETTINGS]: as bench_server; with a function payloads(first, last) that gives 100 bytes for each message,
# others for each, which do not compress: a log that keeps many messages in a row must not be helped by that.
queue_server() {
	bench_server "synchronous_commit = off
		${1:-}"
	make_payloads
}

make_payloads() {
	sql -q <<-SQL
		CREATE TABLE noise (bytes bytea);
		INSERT INTO noise SELECT string_agg(decode(md5(n::text || random()), 'hex'), '') FROM generate_series(1, 62507) AS n;
		CREATE FUNCTION payloads(first bigint, last bigint) RETURNS SETOF bytea LANGUAGE plpgsql AS \$\$
		DECLARE noise bytea := (SELECT bytes FROM noise);
		BEGIN
			RETURN QUERY SELECT substr(noise, 1 + (n * 7919 % 1000000)::int, 100) FROM generate_series(first, last) AS n;
		END \$\$;
	SQL
}

# fill NAME COUNT: an empty queue with so many messages in it, and all that it left written to the disk.
fill() {
	if [ "$1" = prism ]; then
		sql -q -c "SELECT prism.drop_namespace('bench', true) FROM prism.namespaces" -c "SELECT prism.apply('name: bench')" \
			-c "SELECT prism.create_group('bench', 'g')" >/dev/null
		publish_many "$2"
	else
		sql -q -c "DROP TABLE IF EXISTS $1" -f "$BENCH/peers/$1.sql" \
			-c "INSERT INTO $1 (payload) SELECT payloads(1, $2)" -c "VACUUM ANALYZE $1"
	fi
	sql -q -c CHECKPOINT
}

# In transactions of 1000, as many publishers would have done.
publish_many() {
	sql -q -c "DO \$\$ BEGIN FOR i IN 1 .. $1 / 1000 LOOP
		PERFORM prism.publish_batch('bench', ARRAY(SELECT payloads(i * 1000, i * 1000 + 999))); COMMIT; END LOOP; END \$\$"
}

# drain NAME COUNT BATCH [STATEMENT]: takes all COUNT messages, BATCH at a time; prints messages a second.
drain() {
	local statement=${4:-${TAKE[$1]}} taken seconds
	read -r taken seconds < <("$WORK/drain" $CONSUMERS "${statement//:count/$3}" ${ACKNOWLEDGE[$1]:+"${ACKNOWLEDGE[$1]}"})
	[ "$taken" = "$2" ] || die "$1: $taken messages of $2 were taken"
	awk -v n="$taken" -v s="$seconds" 'BEGIN { printf "%.0f\n", n / s }'
}
