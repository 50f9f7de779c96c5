# The proxy of test/lib/tcp_proxy.py as an object; see there for what each command does.
package PrismTest::Proxy;

use strict;
use warnings;

use File::Basename qw(dirname);
use IO::Handle;
use IPC::Open2;
use Time::HiRes qw(sleep);

# Kafka's numbers of the requests that tests hold back or lose.
our %API_KEY = (
	Produce            => 0,
	Metadata           => 3,
	OffsetFetch        => 9,
	FindCoordinator    => 10,
	InitProducerId     => 22,
	AddPartitionsToTxn => 24,
	AddOffsetsToTxn    => 25,
	EndTxn             => 26,
	TxnOffsetCommit    => 28);

# PrismTest::Proxy->new(listen_port, upstream_port)
sub new
{
	my ($class, $listen_port, $upstream_port) = @_;
	my $self = bless { port => $listen_port }, $class;

	$self->{pid} = open2($self->{out}, $self->{in}, dirname(__FILE__) . '/../tcp_proxy.py', $listen_port, $upstream_port);
	$self->{in}->autoflush(1);
	my $answer = readline $self->{out};
	die "the proxy did not start\n" unless defined $answer && $answer eq "ready\n";
	return $self;
}

sub address { return "127.0.0.1:$_[0]{port}"; }

sub command
{
	my ($self, $command) = @_;

	print "# proxy: $command\n" unless $command =~ /^(held|lost|seen|connections)/;
	print { $self->{in} } "$command\n";
	my $answer = readline $self->{out};
	die "the proxy has ended\n" unless defined $answer;
	chomp $answer;
	die "the proxy did not understand \"$command\"\n" if $answer eq 'unknown command';
	return $answer;
}

sub pass        { return $_[0]->command('pass'); }
sub cut         { return $_[0]->command('cut'); }
sub reset       { return $_[0]->command('reset'); }
sub swallow     { return $_[0]->command('swallow'); }
sub release     { return $_[0]->command('release'); }
sub held        { return $_[0]->command('held'); }
sub lost        { return $_[0]->command('lost'); }
sub connections { return $_[0]->command('connections'); }
sub seen        { return $_[0]->command('seen ' . api_key($_[1])); }

# hold(request, count => n, reset => 1), lose(request, ...): request by name or number
sub hold { my ($self, @rule) = @_; return $self->fault('hold', @rule); }
sub lose { my ($self, @rule) = @_; return $self->fault('lose', @rule); }

sub fault
{
	my ($self, $kind, $request, %rule) = @_;
	die "reset needs a count\n" if $rule{reset} && !$rule{count};
	return $self->command(join ' ', $kind, api_key($request), $rule{count} // (), $rule{reset} ? 'reset' : ());
}

# rewrite(from, to): as many bytes
sub rewrite { my ($self, @bytes) = @_; return $self->command('rewrite ' . join ' ', map { unpack 'H*', $_ } @bytes); }

sub api_key
{
	my ($request) = @_;
	return $request if $request =~ /^\d+$/;
	return $API_KEY{$request} // die "unknown request \"$request\"\n";
}

# wait_until(what, at_least [, request]): until held, lost, seen ... has reached a number.
sub wait_until
{
	my ($self, $what, $at_least, @argument) = @_;
	my $value;

	for (1 .. 20 * $PostgreSQL::Test::Utils::timeout_default)
	{
		$value = $self->$what(@argument);
		return $value if $value >= $at_least;
		sleep 0.05;
	}
	die "the proxy's \"$what\" is still $value, waited for $at_least\n";
}

sub stop
{
	my ($self) = @_;
	return unless $self->{pid};
	close $self->{in};
	local $?;
	waitpid $self->{pid}, 0;
	delete $self->{pid};
	return;
}

sub DESTROY { $_[0]->stop; return; }

1;
