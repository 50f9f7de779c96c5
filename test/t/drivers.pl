# Client libraries that leave the type of a parameter to the server: bytes arrive as they were, or are refused with
# an error that says what to write; they are never stored as other bytes.  And the programs of doc/languages.md do
# what they say.
use PrismTest;

use File::Basename qw(dirname);

my $script = dirname(__FILE__) . '/../services/drivers';
my $node = prism_node('drivers', start => 0);
$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'");		# pgjdbc knows no sockets
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS prism');
$node->safe_psql('postgres', q{SELECT prism.apply('name: drivers')});
my $user = $node->safe_psql('postgres', 'SELECT current_user');
local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGUSER => $user, PGDATABASE => 'postgres');

my %outcome;
for my $language (qw(go node python))
{
	my ($out, $err) = run_command([ $script, 'run', $language ]);
	is($err, '', "$language runs");
	$outcome{ $1 } = $2 while $out =~ /^(\S+) (.*)$/mg;
}

my %stored = map { split /=/ } split /\n/,
  $node->safe_psql('postgres', q{SELECT m.key || '=' || encode(m.payload, 'hex') FROM prism.read('drivers', 0, 1000) m});
my %expected = (bytes => '00ff10', json => unpack('H*', '{"a": "\\\\"}'), 'json-object' => unpack('H*', '{"a":"\\\\"}'));

for my $name (sort keys %outcome)
{
	my ($what) = $name =~ /-(bytes|json-object|json)(?:-array|-typed)?$/;
	if ($outcome{$name} eq 'ok')
	{
		is($stored{$name}, $expected{$what}, "$name: what was given is stored");
	}
	else
	{
		# 22021: the driver sent the very bytes, and as text they cannot be taken; pgx finds itself that an array is no text
		like($outcome{$name}, $name =~ /^pgx-.*-batch-/ ? qr/^(22023|client failed to encode)/ : qr/^(22023|22021)$/, "$name: it is refused");
		ok(!exists $stored{$name}, "$name: and nothing is stored");
		unlike($name, qr/typed$/, "$name: it had no type");
	}
}

# Each driver's way to write bytes as text is among them.
is($outcome{$_}, '22023', "$_ is refused, with the way out") for qw(pgx-exec-bytes pgx-simple_protocol-bytes node-bytes-array node-batch-bytes pg8000-bytes);
is(scalar(grep { $_ eq 'ok' } @outcome{ grep { /typed/ } keys %outcome }), scalar(grep { /typed/ } keys %outcome), 'with a type each is taken');

# The programs of the document, chapter by chapter: each publishes with an order, consumes and acknowledges.
my $document = slurp_file(dirname(__FILE__) . '/../../doc/languages.md');
my ($tables) = $document =~ /^```sql\n(.*?)^```/ms;
$node->safe_psql('postgres', $tables);

my ($folder, $done) = (PostgreSQL::Test::Utils::tempdir(), 0);
my $chapter = qr/^## (\S+)\n(?:(?!## |```)[^\n]*\n)*```(?:python|js|go|java)\n(.*?)^```/ms;
while ($document =~ /$chapter/g)
{
	my ($name, $program) = ($1, $2);
	my $server = '127.0.0.1:' . $node->port . "/postgres?user=$user";
	append_to_file("$folder/$name", $program =~ s{localhost:5432/shop}{$server}r);
	my ($out, $err) = run_command([ $script, 'document', $name, $folder ]);
	is($err, '', "$name: the program of the document runs");
	$done++;
	is($node->safe_psql('postgres', q{SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM shipment),
		(SELECT count(*) FROM prism.read('shop', 0, 1000) m JOIN orders o ON m.key = 'order-' || o.id),
		(SELECT lag_messages || ' ' || in_flight FROM prism.groups WHERE topic = 'shop' AND consumer_group = 'shipping')}),
		"$done|$done|$done|0 0", "$name: order, message, shipment and acknowledgement");
}
is($done, scalar(() = $document =~ /^## (?!Poolers)/mg), 'each chapter has a program');
done_testing();
