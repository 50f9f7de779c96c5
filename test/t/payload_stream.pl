# A payload of a gigabyte that comes in pieces: the memory that takes, and that its bytes are what was sent, whoever has
# sent them, in which transactions, and through whatever happens to the server in between.
# timeout: 900
use PrismTest;

use Digest::SHA qw(sha256_hex);
use FindBin qw($Bin);

my $node = prism_node('main', conf => "shared_buffers = 16MB\nmax_prepared_transactions = 4\nmax_wal_size = 4GB\n");
my $apply = q{SELECT count(*) FROM prism.apply(E'name: stream\npatterns:\n  - type: claim-check\n    storage: postgres\n    threshold: 100')};
my $database = 'postgres';
$node->safe_psql($database, $apply);
my $folder = PostgreSQL::Test::Utils::tempdir('pieces');
my $gigabyte = 1 << 30;

sub open_stream { return $node->safe_psql($database, q{SELECT prism.payload_open('stream')}); }

# What a session says to be told in its own words: the statement that sends so many bytes; their SHA-256 is in the file.
sub copy_of
{
	my ($payload, $bytes, $piece, $file) = @_;
	return qq{\\copy prism.payload_piece FROM PROGRAM '"$Bin/../lib/binary_pieces" $payload $bytes $piece "$file"' (FORMAT binary)\n};
}

# Size and hash of the message last published.
sub published
{
	my ($server) = @_;
	return ($server // $node)->safe_psql($database, q{SET prism.max_inline_payload = 0;
		SELECT (headers ->> 'payload_size') || ' ' || (headers ->> 'payload_sha256') FROM prism.read('stream', 0, 1000) ORDER BY "position" DESC LIMIT 1});
}

# ---------- memory ----------

my $session = $node->background_psql($database, on_error_stop => 1);
my $pid = $session->query_safe('SELECT pg_backend_pid()');

# The most memory that the session has used since the last call, in MB.
sub peak_mb
{
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+) kB/m or die;
	append_to_file("/proc/$pid/clear_refs", '5');
	return int($kb / 1024);
}

my $large = open_stream();
$session->query_safe('SELECT prism.payload_append(prism.payload_open(\'stream\'), \'x\')');
note('a small one: ' . peak_mb() . ' MB');
$session->query_safe(copy_of($large, $gigabyte, 1 << 20, "$folder/large"));
my $peak = peak_mb();
cmp_ok($peak, '<', 64, "COPY of a gigabyte in pieces of a megabyte: at most $peak MB, with 16 MB of shared buffers");
$session->query_safe("SELECT prism.publish_payload('stream', '$large')");
is(published(), "$gigabyte " . slurp_file("$folder/large"), 'its hash was taken on the way');
$peak = peak_mb();
cmp_ok($peak, '<', 64, "publishing it: at most $peak MB");

# Who did not append has it read back: so what was stored is what was sent.
my $other = open_stream();
my $bytes = 300_000_001;
$node->safe_psql($database, copy_of($other, $bytes, 65_536, "$folder/other"));
peak_mb();
$session->query_safe("SELECT prism.publish_payload('stream', '$other')");
is(published(), "$bytes " . slurp_file("$folder/other"), 'another session reads back what was sent');
$peak = peak_mb();
cmp_ok($peak, '<', 64, "for that it takes at most $peak MB");

# A large object, and a value out of line, of which there is never a copy.
$session->query_safe(q{CREATE TABLE source (bytes bytea); ALTER TABLE source ALTER bytes SET STORAGE EXTERNAL});
$node->safe_psql($database, q{INSERT INTO source SELECT string_agg(sha512(i::text::bytea), '') FROM generate_series(1, 2500000) i});
my $object = $node->safe_psql($database, q{SELECT lo_from_bytea(0, bytes) FROM source});
my $sum = $node->safe_psql($database, q{SELECT length(bytes) || ' ' || encode(sha256(bytes), 'hex') FROM source});
peak_mb();
$session->query_safe("SELECT prism.publish_large_object('stream', $object)");
$peak = peak_mb();
is(published(), $sum, 'a large object of 160 MB');
cmp_ok($peak, '<', 64, "takes at most $peak MB");
$session->query_safe(qq{BEGIN; CREATE TEMP TABLE opened AS SELECT prism.payload_open('stream') AS id;
	SELECT prism.payload_append(id, bytes) FROM opened, source; SELECT prism.publish_payload('stream', id) FROM opened; COMMIT});
$peak = peak_mb();
is(published(), $sum, 'a piece of 160 MB out of a table');
cmp_ok($peak, '<', 64, "takes at most $peak MB");
$session->quit;

# ---------- what happens in between: in a database of its own, which is dumped ----------

my $sent = '';
$node->safe_psql('postgres', 'CREATE DATABASE between');
$database = 'between';
$node->safe_psql($database, 'CREATE EXTENSION prism');
$node->safe_psql($database, $apply);

sub append
{
	my ($payload, $text, $begin, $end) = @_;
	$node->safe_psql($database, ($begin // '') . "SELECT prism.payload_append('$payload', '$text');" . ($end // ''));
	return;
}

my $stream = open_stream();
append($stream, $sent = 'before ' x 100);

# In two phases: others wait until the second one.
append($stream, 'prepared ' x 1000, 'BEGIN;', q{PREPARE TRANSACTION 'pieces'});
my ($result, undef, $error) = $node->psql($database, "SET lock_timeout = '10ms'; SELECT prism.payload_append('$stream', 'too early')");
like($error, qr/lock timeout/, 'who appends waits for a transaction that was prepared');
($result, undef, $error) = $node->psql($database, "BEGIN; SELECT prism.publish_payload('stream', prism.payload_open('stream')); PREPARE TRANSACTION 'message'");
like($error, qr/cannot PREPARE a transaction that has published/, 'a message cannot be prepared');
$node->restart;
$node->safe_psql($database, q{COMMIT PREPARED 'pieces'});
append($stream, 'rolled back ' x 1000, 'BEGIN;', q{PREPARE TRANSACTION 'pieces'});
$node->safe_psql($database, q{ROLLBACK PREPARED 'pieces'});
$sent .= 'prepared ' x 1000;
append($stream, 'after ' x 500);
$sent .= 'after ' x 500;

# The session has hashed what it prepared, and it was rolled back: what it publishes is hashed anew.
my $mine = open_stream();
$node->safe_psql($database, <<"SQL");
SELECT prism.payload_append('$mine', repeat('a', 1000)::bytea);
BEGIN; SELECT prism.payload_append('$mine', repeat('b', 1000)::bytea); PREPARE TRANSACTION 'pieces';
ROLLBACK PREPARED 'pieces';
SELECT prism.payload_append('$mine', repeat('c', 1000)::bytea);
SELECT prism.publish_payload('stream', '$mine');
SQL
is(published(), '2000 ' . sha256_hex('a' x 1000 . 'c' x 1000), 'a piece that was prepared and rolled back is in no hash');

# A session killed in the middle of a piece takes the server down with it: what had committed is there.
my $busy = $node->background_psql($database, on_error_stop => 0);
$pid = $busy->query_safe('SELECT pg_backend_pid()');
$busy->query_until(qr/begun/, "BEGIN;\nSELECT prism.payload_append('$stream', 'lost');\n\\echo begun\n");
kill_process($pid);
wait_for_value($node, 'SELECT true');
eval { $busy->quit };
append($stream, 'at last');
$sent .= 'at last';

# In the middle of a stream the database is dumped, and goes on elsewhere; here as well.
my $copy = prism_node('copy', extension => 0);
$copy->safe_psql('postgres', 'CREATE DATABASE between');
my $dump = PostgreSQL::Test::Utils::tempdir('dump') . '/stream.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr($database) ], 'a stream is dumped as far as it is');
$copy->command_ok([ 'pg_restore', '-d', $copy->connstr($database), $dump ], 'and restored');
for my $server ($node, $copy)
{
	$server->safe_psql($database, "SELECT prism.payload_append('$stream', ' goes on')");
	$server->safe_psql($database, "SELECT prism.publish_payload('stream', '$stream')");
	is(published($server), length("$sent goes on") . ' ' . sha256_hex("$sent goes on"), $server->name . ': the stream goes on, and is whole');
}

# What nobody publishes is given up.
my $forgotten = $node->safe_psql($database, q{SELECT prism.payload_open('stream', valid => '1 second')});
append($forgotten, 'x');
wait_for_value($node, "SELECT count(*) = 0 FROM prism.open_payload WHERE payload_id = '$forgotten'", 't', $database);
($result, undef, $error) = $node->psql($database, "SELECT prism.payload_append('$forgotten', 'too late')");
like($error, qr/there is no such stream/, 'a stream that has expired is gone');

done_testing();
