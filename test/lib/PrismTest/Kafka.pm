# One Kafka broker of a test's own, with its data in the test's folder; test/services/kafka does the work.
package PrismTest::Kafka;

use strict;
use warnings;

use File::Basename qw(basename dirname);
use File::Path qw(rmtree);
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrismTest::Proxy;
use Time::HiRes qw(sleep);

my $script = dirname(__FILE__) . '/../../services/kafka';
my @all;

# new(name => 'kafka', properties => { name => value }): not started yet, ports chosen
sub new
{
	my ($class, %param) = @_;
	my $name = $param{name} // 'kafka';
	my $self = bless { name => $name, properties => $param{properties} // {} }, $class;

	$self->{dir} = "${PostgreSQL::Test::Utils::tmp_check}/t_" . basename($0, '.pl') . "_$name";
	$self->{$_} = PostgreSQL::Test::Cluster::get_free_port() for qw(port controller_port upstream_port proxied_port);
	push @all, $self;
	return $self;
}

# Runs test/services/kafka; returns what it prints, dies with what it says.
sub run
{
	my ($self, @command) = @_;
	my ($out, $err) = ('', '');
	my $extra = join "\n", map { "$_=$self->{properties}{$_}" } sort keys %{ $self->{properties} };

	local %ENV = (%ENV,
		KAFKA_DIR             => $self->{dir},
		KAFKA_PORT            => $self->{port},
		KAFKA_CONTROLLER_PORT => $self->{controller_port},
		KAFKA_UPSTREAM_PORT   => $self->{upstream_port},
		KAFKA_PROXIED_PORT    => $self->{proxied_port},
		KAFKA_EXTRA           => $extra);
	print "# kafka $self->{name}: @command\n";
	IPC::Run::run([ $script, @command ], '<', '/dev/null', '>', \$out, '2>', \$err)
	  or die "kafka @command failed:\n$out$err\n";
	return $out;
}

sub start  { my ($self) = @_; $self->run('start'); return $self; }
sub stop   { return $_[0]->run('stop'); }
sub kill9  { return $_[0]->run('kill'); }
sub freeze { return $_[0]->run('freeze'); }
sub thaw   { return $_[0]->run('thaw'); }

# tool('org.apache.kafka.tools.TopicCommand', ...): --bootstrap-server is added
sub tool
{
	my ($self, $class, @arguments) = @_;
	return $self->run('tool', $class, '--bootstrap-server', $self->address, @arguments);
}

# set(name => value): server properties from the next start on
sub set
{
	my ($self, %properties) = @_;
	$self->{properties} = { %{ $self->{properties} }, %properties };
	return;
}

# For bootstrap_servers: the broker itself, and the broker behind the proxy.
sub address { return "127.0.0.1:$_[0]{port}"; }

sub proxied_address { return $_[0]->proxy->address; }

# The proxy in front of the second listener, started at first use.
sub proxy
{
	my ($self) = @_;
	$self->{proxy} //= PrismTest::Proxy->new($self->{proxied_port}, $self->{upstream_port});
	return $self->{proxy};
}

sub create_topic
{
	my ($self, $topic, %param) = @_;
	$self->tool('org.apache.kafka.tools.TopicCommand', '--create', '--topic', $topic,
		'--partitions', $param{partitions} // 1, '--replication-factor', 1);
	return;
}

# The names of the broker's topics, its own left out.
sub topics
{
	my ($self) = @_;
	my $list = kcat($self->address, '-L', '-J');
	return sort grep { !/^__/ } map { $_->{topic} } @{ JSON::PP::decode_json($list)->{topics} };
}

# lines(topic, format => '%k %s', isolation => 'read_committed' | 'read_uncommitted', partition => n):
# everything that is in the topic now, one line a record; the fast way to read many.
sub lines
{
	my ($self, $topic, %param) = @_;
	my $format = $param{format} // '%k %s';
	return split /\n/, $self->consume($topic, %param, arguments => [ '-f', "$format\n" ]);
}

# records(topic, ...): the same as hashes {partition, offset, key, payload, ts, headers => {name => value}};
# key and payload are undef where the record has none.
sub records
{
	my ($self, $topic, %param) = @_;
	my @records = map { JSON::PP::decode_json($_) } split /\n/, $self->consume($topic, %param, arguments => ['-J']);
	$_->{headers} = { @{ $_->{headers} // [] } } for @records;
	return @records;
}

sub consume
{
	my ($self, $topic, %param) = @_;
	my $isolation = $param{isolation} // 'read_committed';
	return kcat($self->address, '-C', '-t', $topic, '-o', 'beginning', '-e', '-q',
		'-X', "isolation.level=$isolation",
		defined $param{partition} ? ('-p', $param{partition}) : (),
		@{ $param{arguments} });
}

# wait_for_records(topic, n, ...): until the topic holds at least n; returns its lines.
sub wait_for_records
{
	my ($self, $topic, $wanted, %param) = @_;
	my ($last, @lines) = ('');

	for (1 .. 5 * $PostgreSQL::Test::Utils::timeout_default)
	{
		@lines = ();
		eval { @lines = $self->lines($topic, %param); 1 } or $last = $@;
		return @lines if @lines >= $wanted;
		sleep 0.2;
	}
	die "topic \"$topic\" holds " . scalar(@lines) . " records, waited for $wanted $last\n";
}

sub kcat
{
	my ($address, @arguments) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'kcat', '-b', $address, '-X', 'fetch.wait.max.ms=20', @arguments ],
		'<', '/dev/null', '>', \$out, '2>', \$err)
	  or die "kcat @arguments failed: $err\n";
	return $out;
}

# The broker must not outlive the test; its log stays.
END
{
	local $?;
	for my $kafka (@all)
	{
		$kafka->{proxy}->stop if $kafka->{proxy};
		eval { $kafka->run('kill') if -e "$kafka->{dir}/pid"; 1 } or print "# $@";
		rmtree("$kafka->{dir}/data");
	}
}

1;
