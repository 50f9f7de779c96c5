# TLS, SASL and access control of a real broker: what is set by foreign servers and user mappings, and what is told.
use PrismTest;

my $node = prism_node('main', conf => "log_statement = none\nlog_min_error_statement = panic\n");
my $kafka = PrismTest::Kafka->new;
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $keys = PostgreSQL::Test::Utils::tempdir;
my %password = (prism => 'canary-of-prism', stranger => 'canary-of-stranger');

sub openssl
{
	my (@command) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'openssl', @command ], '<', '/dev/null', '>', \$out, '2>', \$err) or die "openssl @command: $err\n";
	return;
}

# An authority, and the broker's certificate made out to 127.0.0.1.
my @new_key = ('-newkey', 'rsa:2048', '-nodes');
openssl('req', '-x509', @new_key, '-keyout', "$keys/ca.key", '-out', "$keys/ca.pem", '-subj', '/CN=authority', '-days', '2');
openssl('req', '-x509', @new_key, '-keyout', "$keys/other.key", '-out', "$keys/other.pem", '-subj', '/CN=other', '-days', '2');
openssl('req', @new_key, '-keyout', "$keys/broker.key", '-out', "$keys/broker.csr", '-subj', '/CN=broker');
append_to_file("$keys/names", "subjectAltName = IP:127.0.0.1\n");
openssl('x509', '-req', '-in', "$keys/broker.csr", '-CA', "$keys/ca.pem", '-CAkey', "$keys/ca.key", '-CAcreateserial',
	'-out', "$keys/broker.pem", '-days', '2', '-extfile', "$keys/names");
append_to_file("$keys/keystore.pem", slurp_file("$keys/broker.key") . slurp_file("$keys/broker.pem"));

my $users = join ' ', map { qq(user_$_="$password{$_}") } sort keys %password;
$kafka->set(
	'listeners' => "PLAIN://127.0.0.1:$kafka->{port},SAFE://127.0.0.1:$port,CONTROLLER://127.0.0.1:$kafka->{controller_port}",
	'advertised.listeners' => "PLAIN://127.0.0.1:$kafka->{port},SAFE://127.0.0.1:$port",
	'listener.security.protocol.map' => 'PLAIN:PLAINTEXT,SAFE:SASL_SSL,CONTROLLER:PLAINTEXT',
	'listener.name.safe.ssl.keystore.type' => 'PEM',
	'listener.name.safe.ssl.keystore.location' => "$keys/keystore.pem",
	'listener.name.safe.sasl.enabled.mechanisms' => 'PLAIN',
	'listener.name.safe.plain.sasl.jaas.config' => "org.apache.kafka.common.security.plain.PlainLoginModule required $users;",
	'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
	'super.users' => 'User:ANONYMOUS;User:prism');
$kafka->start;

sub sql { my ($sql) = @_; $node->safe_psql('postgres', $sql); return; }

sub user
{
	my ($user, $password) = @_;
	sql("DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER kafka");
	sql("CREATE USER MAPPING FOR CURRENT_USER SERVER kafka OPTIONS (sasl_username '$user', sasl_password '$password')");
	return;
}

sub set_authority
{
	my ($action, $file) = @_;
	sql("ALTER SERVER kafka OPTIONS ($action ssl_ca_pem '" . slurp_file($file) . "')");
	return;
}

sub wait_for_error
{
	my ($pattern, $states, $promise) = @_;
	wait_for_value($node,
		"SELECT state IN ($states) AND error ~* '$pattern' FROM prism.sinks WHERE topic = 'orders'");
	pass($promise);
	note $node->safe_psql('postgres', "SELECT state, error FROM prism.sinks WHERE topic = 'orders'");
	return;
}

sql("CREATE SERVER kafka FOREIGN DATA WRAPPER prism_kafka
     OPTIONS (bootstrap_servers '127.0.0.1:$port', security_protocol 'sasl_ssl', sasl_mechanisms 'PLAIN')");
set_authority('ADD', "$keys/other.pem");
user('prism', $password{prism});
for my $topic ('orders', 'payments')
{
	my $guarantee = $topic eq 'orders' ? 'at_least_once' : 'exactly_once';
	sql("SELECT * FROM prism.apply('{name: $topic, patterns: [outbox], needs: {delivery_guarantee: $guarantee}, backend: {type: kafka, topic: $topic}}')");
	sql("SELECT prism.publish('$topic', n::text, key => 'k') FROM generate_series(1, 10) n");
}

wait_for_error('certificate verify failed', q('waiting', 'backoff', 'stopped'), 'an authority that did not sign the broker is not believed');
is_deeply([ $kafka->topics ], [], 'and nothing was sent');

# in this order: with the right authority the right password would be enough at once
user('prism', 'canary-wrong');
set_authority('SET', "$keys/ca.pem");
wait_for_error('authentication', q('waiting', 'backoff', 'stopped'), 'a wrong password is told');

user('stranger', $password{stranger});
wait_for_error('allow the operations .* on', q('stopped'), 'a user without rights is told what to allow');
is_deeply([ $kafka->topics ], [], 'still nothing was sent');

user('prism', $password{prism});
is_deeply([ $kafka->wait_for_records('orders', 10) ], [ map { "k $_" } 1 .. 10 ], 'all arrives when the password is right');
is_deeply([ $kafka->wait_for_records('payments', 10) ], [ map { "k $_" } 1 .. 10 ], 'in transactions too');

# Nothing secret is to be seen.
my $views = $node->safe_psql('postgres', 'SELECT * FROM prism.sinks; SELECT * FROM prism.workers; SELECT * FROM pg_stat_activity');
my @secrets = ('canary', 'PRIVATE KEY');
is_deeply([ grep { index($views, $_) >= 0 } @secrets ], [], 'no view shows a secret');
is_deeply([ grep { log_count($node, $_) } @secrets ], [], 'nor does the log');

done_testing();
