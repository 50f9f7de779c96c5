# Another server, brokers or topic for a namespace: refused while messages wait, the whole log when none do, and what is the same cluster.
use PrismTest;

my $node = prism_node('main');
my $kafka = prism_kafka();
my ($nowhere, $unused) = map { '127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;    # nobody listens there
my %guarantee = (least => 'at_least_once', once => 'exactly_once');
my $first = 'begins with the first message that the log keeps';
my %beginning = (least => $first, once => "goes on at the position that the other side has of it, or $first if there is none");

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub server { my ($name, $addresses) = @_; return sql("CREATE SERVER $name FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$addresses')"); }

sub config { my ($topic, $backend) = @_; return "{name: $topic, needs: {delivery_guarantee: $guarantee{$topic}}, backend: {type: kafka, $backend}}"; }

sub plan_of { return sql(q{SELECT string_agg(concat_ws('|', action, part, mode, reason), E'\n') FROM prism.plan($$} . config(@_) . q{$$) WHERE action NOT IN ('pattern', 'unchanged')}); }

sub apply { return sql('SELECT string_agg(action, $$ $$) FROM prism.apply($$' . config(@_) . '$$)'); }

sub error_of
{
	my ($query) = @_;
	my ($code, $out, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\n$query");
	return $error =~ /ERROR:  (\w{5}): ([^\n]*)/ ? "$1: $2" : $error;
}

sub publish { my ($topic, $first, $last) = @_; return sql("SELECT count(prism.publish('$topic', i::text, key => 'k')) FROM generate_series($first, $last) i"); }

sub sink_id { my ($topic) = @_; return sql("SELECT sink_id FROM prism.sink JOIN prism.topic USING (topic_id) WHERE topic.name = '$topic'"); }

sub is_sent { my ($topic) = @_; return wait_for_value($node, "SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = '$topic'"); }

sub is_paused { my ($topic) = @_; return wait_for_value($node, "SELECT state = 'paused' FROM prism.sinks WHERE topic = '$topic'"); }

sub numbers { my ($topic) = @_; return join ' ', map { (split / /)[1] } $kafka->lines($topic); }

server('kafka', $kafka->address);
server('same', "$unused, " . $kafka->address);
server('other', $nowhere);

for my $topic (sort keys %guarantee)
{
	apply($topic, 'server: kafka');
	publish($topic, 1, 3);
	is_sent($topic);
	sql("SELECT prism.pause('$topic')");
	is_paused($topic);
	publish($topic, 4, 5);
	my $sink = sink_id($topic);

	# ---------- messages wait ----------
	for my $elsewhere ([ 'server: other', 'backend.server' ], [ "brokers: ['$nowhere']", 'backend.server' ], [ 'topic_prefix: moved', 'backend.topic' ], [ 'topic: renamed', 'backend.topic' ])
	{
		my ($backend, $part) = @$elsewhere;
		my $config = config($topic, $backend);
		my $refused = qq{55000: messages of topic "$topic" wait for their sink};
		is(sql(qq{SELECT part || ' ' || detail FROM prism.plan(\$\$$config\$\$) WHERE action = 'refused'}), "$part $refused", "$topic, $backend: prism.plan() shows that it is refused");
		is(error_of("SELECT prism.apply(\$\$$config\$\$)"), $refused, 'and prism.apply() refuses it');
	}
	is(sink_id($topic) . ' ' . sql("SELECT lag_messages FROM prism.sinks WHERE topic = '$topic'"), "$sink 2", "$topic: nothing has changed");

	# ---------- another way to the same cluster ----------
	is(plan_of($topic, 'server: same'), 'changed|backend.server|online|goes on at its position', "$topic: an address in common makes it the same cluster");
	apply($topic, 'server: same');
	like(plan_of($topic, "brokers: ['" . $kafka->address . "']"), qr/^changed\|backend.server\|online\|goes on at its position$/m, "$topic: so do brokers");
	is(sink_id($topic), $sink, "$topic: the sink is the same one");
	is(sql("SELECT server || ' ' || lag_messages FROM prism.sinks WHERE topic = '$topic'"), 'same 2', 'at its position');
	sql("SELECT prism.resume('$topic')");
	is_sent($topic);
	is(numbers($topic), '1 2 3 4 5', "$topic: each message arrives once");
	is(plan_of($topic, 'server: same'), '', 'and nothing is left to do');

	# ---------- nothing waits ----------
	is(plan_of($topic, 'server: same, topic_prefix: moved'), "changed|backend.topic|online|$beginning{$topic}; the former one has all of its own", "$topic: another topic there");
	is(apply($topic, 'server: same, topic_prefix: moved'), 'changed', "$topic: is taken when nothing waits");
	is_sent($topic);
	is(numbers("moved.$topic"), '1 2 3 4 5', "$topic: what the log keeps is sent to it, from the first message on");
	is(numbers($topic), '1 2 3 4 5', 'and nothing more to the former one');
	publish($topic, 6, 6);
	is_sent($topic);
	is(numbers("moved.$topic"), '1 2 3 4 5 6', "$topic: and it goes on there");
	isnt(sink_id($topic), $sink, 'it is another sink');

	# a pause is the operator's word about the topic: it holds at the new place
	sql("SELECT prism.pause('$topic')");
	is_paused($topic);
	is(apply($topic, 'server: other, topic_prefix: moved'), 'changed', "$topic: another server");
	is_paused($topic);
	is(sql("SELECT server || ' ' || lag_messages FROM prism.sinks WHERE topic = '$topic'"), 'other 6', 'begins with all of the log, when it is resumed');

	# ---------- the server says where it is ----------
	like(plan_of($topic, 'server: same, topic_prefix: moved'), qr/^refused\|backend.server/, "$topic: with all of it waiting there is no way back at once");
}
sql('ALTER SERVER other OPTIONS (SET bootstrap_servers ' . "'" . $kafka->address . "')");
for my $topic (sort keys %guarantee)
{
	is(plan_of($topic, 'server: other, topic_prefix: moved'), '', "$topic: another address of the same server is no change");
	sql("SELECT prism.resume('$topic')");
	is_sent($topic);
}
is(numbers('moved.least'), '1 2 3 4 5 6 1 2 3 4 5 6', 'at least once: the new sink has sent all of it');
is(numbers('moved.once'), '1 2 3 4 5 6', 'exactly once: the position kept there says that it had it');

done_testing();
