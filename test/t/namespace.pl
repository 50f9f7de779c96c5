# Namespaces and rights beyond one database: allowed endpoints, dump and restore, other encodings, no preload.
use PrismTest;

use File::Basename qw(dirname);

my $node = prism_node('first', conf => "prism.allowed_endpoints = '*.example.org:9092, 10.0.0.*:*, [fd00::*]:9092, Kafka-?:9092'\n");
my $config = '{name: orders, patterns: [{type: outbox, table: orders_outbox}], backend: {type: memory, topic: order-events}}';

# fails_with(node, sql, pattern, name): the statement is refused, and says so.
sub fails_with
{
	my ($on, $sql, $pattern, $name, $database) = @_;
	my ($status, $out, $err) = $on->psql($database // 'postgres', $sql);
	isnt($status, 0, "$name: refused");
	like($err, $pattern, "$name: the reason is told");
	return;
}

sub plan_as_operator
{
	my ($broker) = @_;
	return qq{SET ROLE operator; SELECT DISTINCT action FROM prism.plan('{name: audit, backend: {type: kafka, brokers: ["$broker"]}}') WHERE action <> 'pattern'};
}

# Hosts that a role other than a superuser may name.
$node->safe_psql('postgres', q{
	CREATE ROLE operator;
	CREATE ROLE writer;
	SELECT prism.apply('name: audit');
	SELECT prism.grant('audit', 'admin', 'operator');
});
for my $broker (qw(a.example.org:9092 A-b.EXAMPLE.org 10.0.0.7:19092 [fd00::7]))
{
	is($node->safe_psql('postgres', plan_as_operator($broker)), 'changed', "$broker is allowed");
}
for my $broker (qw(example.org:9092 a.example.org:9093 a.example.org.evil.net:9092 10.0.1.7:9092 kafka-1:9092 [fd00::7:1]:9092),
	'a.b.example.org:9092', '10.0.0.1.evil.net:9092')	# a star ends at a dot
{
	fails_with($node, plan_as_operator($broker), qr/endpoint "\Q$broker\E" is not allowed.*CONTEXT:  line 1, column 48 of the configuration/s, $broker);
}
# The same rule for the option of a foreign server.
$node->safe_psql('postgres', 'GRANT USAGE ON FOREIGN DATA WRAPPER prism_kafka TO operator');
for my $broker (qw(a.example.org:9092 A-b.EXAMPLE.org [fd00::7]))
{
	$node->safe_psql('postgres', qq{SET ROLE operator; CREATE SERVER s FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$broker'); DROP SERVER s});
	pass("$broker is allowed");
}
for my $broker ('a.b.example.org:9092', '10.0.0.1.evil.net:9092', '[fd00::7:1]:9092')
{
	fails_with($node, qq{SET ROLE operator; CREATE SERVER s FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$broker')},
		qr/endpoint "\Q$broker\E" is not allowed/, $broker);
}

# ... and for URLs, whose port is the scheme's unless they have one.
$node->safe_psql('postgres', 'GRANT USAGE ON FOREIGN DATA WRAPPER prism_s3 TO operator');
for my $url (qw(https://a.example.org:9092 https://A-b.EXAMPLE.org:9092/ https://10.0.0.7 https://10.0.0.7:19092 https://[fd00::7]:9092))
{
	$node->safe_psql('postgres', qq{SET ROLE operator; CREATE SERVER s FOREIGN DATA WRAPPER prism_s3 OPTIONS (endpoint '$url'); DROP SERVER s});
	pass("$url is allowed");
}
for my $refused (['https://a.example.org', 'a.example.org:443'], ['https://[fd00::7]', '[fd00::7]:443'], ['https://a.example.org:9093', 'a.example.org:9093'],
	['https://a.example.org.evil.net:9092', 'a.example.org.evil.net:9092'])
{
	fails_with($node, qq{SET ROLE operator; CREATE SERVER s FOREIGN DATA WRAPPER prism_s3 OPTIONS (endpoint '$refused->[0]')},
		qr/endpoint "\Q$refused->[1]\E" is not allowed/, $refused->[0]);
}
fails_with($node, q{SET ROLE operator; CREATE SERVER s FOREIGN DATA WRAPPER prism_s3 OPTIONS (endpoint 'http://a.example.org:9092')},
	qr/only a superuser/i, 'without encryption');

# A dump of the database has the namespaces, the messages and the rights.
$node->safe_psql('postgres', qq{
	SELECT prism.apply('$config');
	SELECT prism.grant('orders', 'publish', 'writer');
	SELECT prism.pause('order-events');
	SELECT prism.publish('order-events', 'before the dump'::bytea);
});
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '--file', $dump, $node->connstr('postgres') ], 'pg_dump');

my $second = prism_node('second', extension => 0);
$second->safe_psql('postgres', 'CREATE ROLE operator; CREATE ROLE writer');
$second->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $second->connstr('postgres'), '-f', $dump ], 'restore');

my $rows = 'SELECT namespace, config, applied_by FROM prism.namespaces ORDER BY 1';
is($second->safe_psql('postgres', $rows), $node->safe_psql('postgres', $rows), 'the namespaces are the same');
is($second->safe_psql('postgres', "SELECT action FROM prism.plan('$config') WHERE action <> 'pattern'"), 'unchanged', 'nothing has drifted');
is($second->safe_psql('postgres', 'SET ROLE writer; SELECT namespace, privileges FROM prism.namespaces'), 'orders|{publish}', 'the rights are the same');
$second->safe_psql('postgres', q{SET ROLE writer; INSERT INTO prism.orders_outbox (payload) VALUES ('after the restore')});
fails_with($second, q{SET ROLE writer; SELECT prism.publish('audit', 'x'::bytea)}, qr/permission denied for topic "audit"/, 'another namespace');
is($second->safe_psql('postgres', q{SELECT payload FROM prism.orders_outbox ORDER BY "position"}),
	"before the dump\nafter the restore", 'the messages are there, and further ones come after them');

# What the dump made as plain objects is the extension's again: it goes with it.
wait_for_value($second, q{
	SELECT count(*) = 0 FROM pg_class c
	WHERE c.relnamespace IN ('prism'::regnamespace, 'prism_log'::regnamespace) AND c.relkind IN ('r', 'v', 'S')
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.refclassid = 'pg_extension'::regclass)});
$second->safe_psql('postgres', 'DROP EXTENSION prism');
is($second->safe_psql('postgres', q{SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'prism%'}), '0', 'nothing is left of it');

# The script of doc/namespaces.md for CI: what it prints, and how it ends.
my ($script) = slurp_file(dirname(__FILE__) . '/../../doc/namespaces.md') =~ /^## All mistakes at once\n.*?^```sh\n(.*?)^```/ms;
my $checked = PostgreSQL::Test::Utils::tempdir();
for (
	[ "namespaces:\n  - name: a\n    needs: {replay: enabled}\n", 0, '' ],
	[ "namespaces:\n  - name: a\n    needs: {\"replä\": 1}\n  - nme: 'b'\n", 1, qq{namespaces.yaml:3:13: 22023: unknown key "replä": Perhaps you meant "replay".\nnamespaces.yaml:4:5: 22023: unknown key "nme": Perhaps you meant "name".\n} ],
	[ '', 1, qq{namespaces.yaml: 22023: configuration is empty: Write at least one namespace, such as "namespaces: [{name: orders}]".\n} ])
{
	my ($document, $status, $told) = @$_;
	append_to_file("$checked/check.sh", "cd '$checked'\n$script") unless -e "$checked/check.sh";
	unlink "$checked/namespaces.yaml";
	append_to_file("$checked/namespaces.yaml", $document);
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres', PGCLIENTENCODING => 'UTF8');
	my $printed = qx{bash '$checked/check.sh'};
	is($? >> 8, $status, "the script for CI ends with $status");
	is($printed, $told, 'and prints what is to be corrected');
}

# YAML is UTF-8, whatever the database's encoding; what does not fit is an error, not something else.
$node->safe_psql('postgres', q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'});
$node->safe_psql('postgres', q{CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'});
$node->safe_psql($_, 'CREATE EXTENSION prism') for qw(latin bytes);
is($node->safe_psql('latin', qq{SET client_encoding = 'UTF8'; SELECT action FROM prism.apply(E'name: plain # \\u00fc\nclient_api: queue')}),
	'created', 'a comment in Latin 1');
is($node->safe_psql('latin', q{SET client_encoding = 'UTF8'; SELECT action FROM prism.apply(E'name: viewed\npatterns: [{type: outbox, table: "\u00fcber"}]')}),
	'created', 'a name in Latin 1');
is($node->safe_psql('latin', q{SET client_encoding = 'UTF8'; SELECT relname = U&'\00fcber' FROM pg_class WHERE oid = (SELECT max(oid) FROM pg_class WHERE relnamespace = 'prism'::regnamespace AND relkind = 'v')}),
	't', 'has become the name of the view');
fails_with($node, q{SET client_encoding = 'UTF8'; SELECT prism.apply(E'name: "\u00fc" # \u00e4\nneed: 1')},
	qr/unknown key "need".*CONTEXT:  line 2, column 1 of the configuration/s, 'a typing error', 'latin');
fails_with($node, q{SELECT prism.apply('name: "\u20ac"')}, qr/configuration has a character that is not in the database's encoding\nDETAIL:  It is U\+20AC; the encoding is LATIN1\.\nCONTEXT:  line 1, column 7 of/, 'a character that Latin 1 does not have', 'latin');
fails_with($node, q{SELECT prism.apply(E'name: \xff')}, qr/configuration is not valid YAML: invalid leading UTF-8 octet\nCONTEXT:  line 1, column 7 of/, 'bytes that are not UTF-8', 'bytes');
is($node->safe_psql('latin', q{SELECT line, "column", code FROM prism.check(E'{name: a, needs: {"x\\\\u00fc": 1},\nbackend: {topic: "\\\\u20ac"}}')}), "2|18|22P05", 'check has a row for the one');
is($node->safe_psql('bytes', q{SELECT line, "column", code FROM prism.check(E'name: a\n\xc3\xbc: \xff')}), '2|4|22023', 'and for the other');

# So are payloads of text and JSON in the log, as consumers and brokers want them; keys and headers have to be able to become it.
is($node->safe_psql('latin', q{SET client_encoding = 'UTF8';
	SELECT count(prism.publish('plain', U&'{"name": "J\00fcrgen"}'::jsonb, U&'Zo\00eb', U&'{"caf\00e9": "x"}')), count(prism.publish('plain', U&'\00dcber'));
	SELECT string_agg(encode(payload, 'hex') || ' ' || coalesce(encode(convert_to(key, 'LATIN1'), 'hex'), ''), ' ') FROM prism.read('plain');
	SELECT count(*) FROM prism.consume('plain', 'g', filter => U&'$.name == "J\00fcrgen"');
	SELECT payload = U&'\00dcber' FROM prism.outbox WHERE key IS NULL}),
	"1|1\n7b226e616d65223a20224ac3bc7267656e227d 5a6feb c39c626572 \n1\nt", 'payloads are UTF-8 in a Latin 1 database, also to a filter and the outbox');
$node->safe_psql('bytes', q{SELECT prism.apply('{name: plain, client_api: queue}')});
fails_with($node, $_, qr/(payload|key|a header) is not in UTF-8.*SQL_ASCII/s, $_, 'bytes')
  for q{SELECT prism.publish('plain', E'\xfc')}, q{SELECT prism.publish('plain', 'x', E'\xfc')}, q{SELECT prism.publish('plain', 'x', headers => E'{"\xfc": "x"}')},
  q{SELECT prism.publish_batch('plain', ARRAY[E'"\xfc"']::json[])};
is($node->safe_psql('bytes', q{SELECT prism.publish('plain', '\xfc'::bytea) IS NOT NULL, prism.publish('plain', E'\xc3\xbc', E'\xc3\xbc') IS NOT NULL}), 't|t', 'what is UTF-8 goes, and so do bytes');

# Keys and headers of messages that share a row are the same text in a database of another encoding.
sub copy_to
{
	my ($from, $to, $encoding) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $to TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	$node->command_ok([ 'pg_dump', '-Fc', '-d', $from, '-f', $node->basedir . '/copy.dump' ], "dump of $from");
	$node->command_ok([ 'pg_restore', '-e', '-d', $to, $node->basedir . '/copy.dump' ], "restore into $to");
	return;
}
my $texts = q{SET client_encoding = 'UTF8'; SELECT string_agg(concat(key, headers::text), ' ' ORDER BY "position") FROM prism.read('plain') WHERE "position" > 1};
my $three = q{SET client_encoding = 'UTF8'; SELECT count(prism.publish('plain', 'x', U&'\00e9' || n, U&'{"caf\00e9": "x"}')) FROM generate_series(1, 3) AS n};
my $wanted = join ' ', map { "\xc3\xa9$_\{\"caf\xc3\xa9\": \"x\"}" } 1 .. 3;
$wanted =~ s/\\//g;
$node->safe_psql('latin', $three);
is($node->safe_psql('latin', $texts), $wanted, 'keys and headers in Latin 1');
copy_to('latin', 'latin_in_utf8', 'UTF8');
is($node->safe_psql('latin_in_utf8', $texts), $wanted, 'in a copy in UTF-8');
$node->safe_psql('latin_in_utf8', $three);
copy_to('latin_in_utf8', 'back_in_latin', 'LATIN1');
is($node->safe_psql('back_in_latin', $texts), "$wanted $wanted", 'from a copy in UTF-8 to one in Latin 1');

# What another session has made of an outbox view, for itself, goes with the view: nobody else could drop it.
my $reader = $node->background_psql('postgres');
$node->safe_psql('postgres', q{SELECT prism.apply('{name: seen, patterns: [{type: outbox, table: seen_outbox}]}'); SELECT prism.publish('seen', 'x')});
$reader->query_safe($_) for
  'CREATE TEMP TABLE kept (n int, seen prism.seen_outbox)',
  'INSERT INTO kept SELECT 1, s FROM prism.seen_outbox s',
  'CREATE INDEX ON kept (seen)',
  q{CREATE FUNCTION pg_temp.topic_of(prism.seen_outbox) RETURNS text LANGUAGE sql AS 'SELECT $1.topic'};
$node->safe_psql('postgres', q{SELECT prism.drop_namespace('seen')});
is($reader->query_safe('SELECT * FROM kept'), 1, 'the session has the rest of its table');
$reader->quit;

# Without the library in shared_preload_libraries nothing is made that could not work.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
fails_with($node, "SELECT prism.apply('$config')", qr/must be loaded at server start.*HINT:.*shared_preload_libraries/s, 'no preload');

done_testing();
