# Sourced by the benches of consumers, after bench.sh: a topic and its peers, filled and drained.
#
# The peers are what people build by hand, in test/bench/peers: all do the same job, hand the payload to the client
# and are done with the message when the client goes on.

CONSUMERS=4
declare -A TAKE=() ACKNOWLEDGE=()

# 100 bytes that do not compress, as an SQL expression.
PAYLOAD="'\\x$(head -c 100 /dev/urandom | od -An -v -tx1 | tr -d ' \n')'::bytea"

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

# fill NAME COUNT: an empty queue with so many messages in it, and all that it left written to the disk.
fill() {
	if [ "$1" = prism ]; then
		sql -q -c "SELECT prism.drop_namespace('bench', true) FROM prism.namespaces" -c "SELECT prism.apply('name: bench')" \
			-c "SELECT prism.create_group('bench', 'g')" >/dev/null
		publish_many "$2"
	else
		sql -q -c "DROP TABLE IF EXISTS $1" -f "$BENCH/peers/$1.sql" \
			-c "INSERT INTO $1 (payload) SELECT $PAYLOAD FROM generate_series(1, $2)" -c "VACUUM ANALYZE $1"
	fi
	sql -q -c CHECKPOINT
}

# In transactions of 1000, as many publishers would have done.
publish_many() {
	sql -q -c "DO \$\$ BEGIN FOR i IN 1 .. $1 / 1000 LOOP
		PERFORM prism.publish_batch('bench', array_fill($PAYLOAD, ARRAY[1000])); COMMIT; END LOOP; END \$\$"
}

# drain NAME COUNT BATCH [STATEMENT]: takes all COUNT messages, BATCH at a time; prints messages a second.
drain() {
	local statement=${4:-${TAKE[$1]}} taken seconds
	read -r taken seconds < <("$WORK/drain" $CONSUMERS "${statement//:count/$3}" ${ACKNOWLEDGE[$1]:+"${ACKNOWLEDGE[$1]}"})
	[ "$taken" = "$2" ] || die "$1: $taken messages of $2 were taken"
	awk -v n="$taken" -v s="$seconds" 'BEGIN { printf "%.0f\n", n / s }'
}
