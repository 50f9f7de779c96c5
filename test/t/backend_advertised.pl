# Brokers say of themselves where they are: prism.allowed_endpoints holds for that too, and their words are cleaned.
use PrismTest;

my $node = prism_node('main');
my $kafka = PrismTest::Kafka->new->start;
my $proxy = $kafka->proxy;
# At this address the broker tells everybody to come to another one: the proxy's.
my ($first, $advertised) = ("127.0.0.1:$kafka->{upstream_port}", $kafka->proxied_address);
my $refusal = qr/a broker advertises "\Q$advertised\E", which prism.allowed_endpoints does not match: have it added, or use a foreign server that a superuser owns/;

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

sub allow
{
	my ($patterns) = @_;
	$node->append_conf('postgresql.conf', "prism.allowed_endpoints = '$patterns'\n");
	$node->reload;
	wait_for_value($node, q{SELECT current_setting('prism.allowed_endpoints')}, $patterns);
	return;
}

# A namespace with one message; of another role than a superuser when one is given.
sub forward
{
	my ($topic, $backend, %param) = @_;
	my $guarantee = $param{guarantee} // 'at_least_once';
	my $role = $param{role} ? "SELECT prism.apply('name: $topic'); SELECT prism.grant('$topic', 'admin', '$param{role}'); SET ROLE $param{role}; " : '';
	sql("${role}SELECT prism.apply('{name: $topic, patterns: [outbox], needs: {delivery_guarantee: $guarantee}, backend: {type: kafka, $backend}}')", $param{database});
	sql("SELECT prism.publish('$topic', 'first')", $param{database});
	return;
}

# The error of a sink, read until it matches; a sink says something else while it connects.
sub error_like
{
	my ($topic, $pattern, %param) = @_;
	my $query = "SELECT error FROM prism.sinks WHERE topic = '$topic' AND state IN ('waiting', 'backoff', 'stopped')";
	my $error;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		sql("SELECT prism.publish('$topic', 'more')", $param{database}) if $param{publish};
		$error = sql($query, $param{database});
		return $error if $error =~ $pattern;
		select undef, undef, undef, 0.1;
	}
	die "the error of \"$topic\" is \"$error\", waited for $pattern\n";
}

# With a message each time: one that is sent over a connection from before is no sign.
sub refused { return error_like($_[0], qr/advertises/, publish => 1); }

sub runs
{
	my ($topic, $database) = @_;
	wait_for_value($node, "SELECT state = 'running' AND error IS NULL AND lag_messages = 0 FROM prism.sinks WHERE topic = '$topic'", 't', $database);
	return 1;
}

sub arrived { return join ' ', $kafka->lines($_[0], format => '%s'); }

# ---------- who is not superuser ----------
allow($first);
sql('CREATE ROLE app; GRANT USAGE ON FOREIGN DATA WRAPPER prism_kafka TO app');
sql("SET ROLE app; CREATE SERVER own FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$first')");
forward('inline', "brokers: [\"$first\"]", role => 'app');
forward('least', 'server: own', role => 'app');
forward('once', 'server: own', role => 'app', guarantee => 'exactly_once');
like(refused($_), $refusal, "$_: an address that the setting does not match is refused, and told") for qw(inline least once);
is($proxy->seen(18), 0, 'nobody has spoken there');
ok(log_count($node, qq{server "own": librdkafka: a broker advertises "$advertised"}), 'the log tells as well');

# ---------- who is ----------
sql("CREATE SERVER free FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$first')");
forward('free', 'server: free');
ok(runs('free'), "a superuser's server leads where it says");
like(arrived('free'), qr/^first\b/, 'and it arrives');
sql('ALTER SERVER own OWNER TO CURRENT_USER');
ok(runs($_), "$_: likewise when a superuser takes the server over") for qw(least once);
like(arrived('once'), qr/^first\b/, 'nothing is lost by it');
like(refused('inline'), $refusal, 'which is nothing to brokers named in a namespace');
sql('ALTER SERVER own OWNER TO app');
like(refused('least'), $refusal, 'given back, the setting holds again');

# ---------- the setting ----------
allow("$first, $advertised");
ok(runs($_), "$_: allowed by a reload") for qw(inline least);
like(arrived('inline'), qr/^first\b/, 'and it arrives');
allow($first);
like(refused('inline'), $refusal, 'no longer allowed by the next one');
forward('boss', "brokers: [\"$first\"]");
ok(runs('boss') && runs('inline'), 'brokers that a superuser named lead where they say');
like(arrived('inline'), qr/^first\b/, 'and all arrives');
sql(q{SELECT prism.drop_namespace('boss', true)});
like(refused('inline'), $refusal, 'until nothing of his is left');
my $again = "prism.apply('{name: inline, patterns: [outbox], needs: {delivery_guarantee: at_least_once}, backend: {type: kafka, brokers: [\"$first\"]}}')";
is(sql("SET ROLE app; SELECT action FROM $again"), 'unchanged', 'who is not superuser changes nothing by the same configuration');
is(sql("SELECT action FROM $again"), 'changed', 'a superuser allows what they advertise by it');
ok(runs('inline'), 'and it runs');
is(sql("SELECT action FROM $again; SET ROLE app; SELECT action FROM $again"), "unchanged\nunchanged", 'once');

sql(q{SELECT prism.drop_namespace(topic, true) FROM prism.sinks});

# ---------- what they say ----------
# Nine bytes for nine: escape, C1 in UTF-8 and broken UTF-8.
my $odd = "x\e[2J\xC2\x9B\xFFy";
sql(q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'});
sql('CREATE EXTENSION prism', 'latin');
$proxy->rewrite('127.0.0.1', $odd);
for my $database ('postgres', 'latin')
{
	sql("CREATE SERVER odd FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$advertised')", $database);
	forward('odd', 'server: odd', database => $database, guarantee => 'exactly_once');
	my $error = error_like('odd', qr/x.*y:/s, database => $database);
	like($error, qr/x \[2J.{1,3}y:/, "$database: a broker's words are shown without control characters");
	unlike($error, qr/[^ -~]/, "$database: nor bytes that are no text");
	sql('ALTER SERVER odd OWNER TO app', $database);
	unlike(error_like('odd', qr/advertises/, database => $database), qr/[^ -~]/, "$database: not when they are refused either");
}
ok(log_count($node, 'Failed to resolve'), 'librdkafka has its say in the log');
unlike(slurp_file($node->logfile), qr/\e|\xC2\x9B|\xFF/, 'without them');

# A name that librdkafka repeats: what is of the catalogue is cleaned likewise.
$proxy->pass;
for my $database ('postgres', 'latin')
{
	sql(q{UPDATE prism.sink SET config = config || '{"topic": "caf\u00e9\u009b"}'}, $database);
	sql("SELECT prism.apply('name: other')", $database);    # a change of the catalogue that all hear of
	unlike(error_like('odd', qr/look up topic "caf/, database => $database), qr/\xC2\x9B|\x9B/, "$database: the topic in a message has no control character");
}
done_testing();
