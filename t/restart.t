# A graceful restart, a child that dies, and the stop: who is being served
# shall notice as little as can be. A patient of its own.

use Patient;
use Patient::Ill;
use Patient::Log;
use Patient::Server;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(time);

my $patient = Patient::Server->new;
my $port = $patient->port;
my $user = sign_in(port => $port);
my $book = "$patient->{dir}/book";
my $stop = "$patient->{dir}/stop";
my @workers;

my $httpd = $patient->httpd;

# Asks one thing after the other and writes down what came.
sub work () {
    open my $out, '>>', $book or die $!;
    until (-e $stop) {
        my $answer = eval { request(GET => '/api/posts?limit=1',
            port => $port) };
        syswrite $out, ($answer ? $answer->status : "none $@") . "\n";
    }
    POSIX::_exit(0);
}

END {
    if (@workers) {
        local $?;
        POSIX::close(POSIX::creat($stop, 0600));
        waitpid $_, 0 for @workers;
    }
}

sub answers () { return split /\n/, Patient::Server::slurp($book) }

# The children that have answered since then.
sub children_since ($mark) {
    my %pids = map { $_->{pid} => 1 } grep { $_->{type} eq 'REQUEST' }
        $patient->log->since($mark);
    return sort keys %pids;
}

for (1 .. 3) {
    my $pid = fork // die "fork: $!";
    work() unless $pid;
    push @workers, $pid;
}
wait_until(sub { answers() >= 50 }) or die 'no load';

subtest 'a graceful restart costs no request and no count' => sub {
    for my $round (1 .. 2) {
        my $mark = $patient->log->mark;
        my ($old) = children_since(0);
        my $before = request(GET => '/api/metrics', port => $port)->json;
        my $connection = connection(port => $port);
        is($connection->request(GET => '/livez')->status, 200,
            'a connection that stays open');

        kill USR1 => $httpd;
        ok(wait_until(sub { (children_since($mark))[-1] // 0 and
            grep { $_ != $old } children_since($mark) }, 30),
            'another child serves');
        my $count = answers();
        ok(wait_until(sub { answers() >= $count + 100 }), 'and goes on');
        my $after = request(GET => '/api/metrics', port => $port)->json;
        cmp_ok($after->{requests}{total}, '>',
            $before->{requests}{total} + 100, 'the counts go on');
        cmp_ok($after->{uptime}, '>=', $before->{uptime},
            'and so does the uptime');
        is(request(GET => '/livez', port => $port)->status, 200, 'it lives');
    }
    my @failed = grep { $_ ne '200' } answers();
    is(@failed, 0, 'nobody noticed') || diag(explain(\@failed));
    my @alarms = grep { $_->{level} !~ /\A(?:info|debug)\z/
        && !Patient::Log::is_stall($_) } $patient->log->since;
    is(@alarms, 0, 'and the log has nothing to complain of')
        || diag(explain(\@alarms));
    ok(wait_until(sub { request(GET => '/api/metrics', port => $port)
        ->json->{children} == 1 }, 30), 'the old children are gone');
};

POSIX::close(POSIX::creat($stop, 0600));
waitpid $_, 0 for splice @workers;

subtest 'a child that dies is replaced, and what it held is free' => sub {
    my $mark = $patient->log->mark;
    request(GET => '/api/posts', port => $port);
    my $child;
    wait_until(sub { ($child) = children_since($mark) });
    my @held = map { connection(port => $port) } 1 .. 5;
    $_->send($_->compose(POST => '/api/auth/login', json => {
        email => $user->{email}, password => $user->{password} })) for @held;

    kill SEGV => $child;
    ok(wait_until(sub {
        my $answer = eval { request(GET => '/api/posts', port => $port) };
        return $answer && $answer->status == 200;
    }, 30), 'another one serves');
    my $line = $patient->log->wait_for($mark, sub ($l) {
        $l->{type} ne 'REQUEST' && $l->{level} =~ /error|fatal/
            && ($l->{error} // $l->{message} // '') =~ /\b$child\b/ });
    ok($line, 'the log says that a child died, as an error');
    ok(wait_until(sub {
        my $metrics = request(GET => '/api/metrics', port => $port)->json;
        return $metrics->{pool}{inUse} == 0 && $metrics->{children} == 1
            && $metrics->{requests}{inFlight} <= 1;
    }), 'nothing counts as held by the dead one')
        || diag(explain(request(GET => '/api/metrics', port => $port)->json));
};

subtest 'SIGUSR2 takes leave of the connections, and lets nobody new in' => sub {
    my $leaving = Patient::Server->new;
    my $port = $leaving->port;
    my $httpd = $leaving->httpd;
    my $kept = connection(port => $port);
    is($kept->request(GET => '/livez')->header('Connection'), undef,
        'a connection that is kept');
    my $slow = connection(port => $port);
    my $request = $slow->compose(GET => '/livez');
    $slow->send(substr $request, 0, -2);

    kill USR2 => $httpd;
    ok(wait_until(sub { !eval { connection(port => $port) } }),
        'nobody new is let in');
    for my $connection ($kept, $slow) {
        $connection->send($connection == $kept ? $request
            : substr $request, -2);
        my $answer = $connection->read;
        is($answer->status, 200, 'who is in is served');
        is($answer->header('Connection'), 'close', 'and told that it is over');
        is($connection->rest, '', 'as it is');
    }
    is(($leaving->stop)[0], 0, 'it stops');
};

subtest 'no request is lost when it stops in the middle of traffic' => sub {
    my $busy = Patient::Server->new;
    open my $out, '-|', "$FindBin::Bin/image/traffic", $busy->port, $stop . 2
        or die "traffic: $!\n";
    ok(wait_until(sub { request(GET => '/api/metrics', port => $busy->port)
        ->json->{requests}{total} > 500 }, 60), 'there is traffic');
    is(($busy->stop)[0], 0, 'it stops');
    my $sum = JSON::PP->new->decode(readline $out);
    is(join("\n", @{ $sum->{lost} }), '', 'whoever was let in has an answer');
    is(join(' ', keys %{ $sum->{status} }), '200', 'a good one');
};

subtest 'who is being served when it stops gets the answer' => sub {
    my @held = map { connection(port => $port) } 1 .. 6;
    my $idle = connection(port => $port);
    $idle->request(GET => '/livez');
    $_->send($_->compose(POST => '/api/auth/login', json => {
        email => $user->{email}, password => $user->{password} })) for @held;
    wait_until(sub { request(GET => '/api/metrics', port => $port)
        ->json->{requests}{inFlight} >= 3 }, 5);

    my $start = time;
    my ($status, $output) = $patient->stop;
    is($status, 0, 'it stops') || diag($output);
    cmp_ok(time - $start, '<', 24, 'without waiting for who asks nothing');
    is(join(' ', map { eval { $_->read('POST')->status } // "none: $@" }
        @held), join(' ', (200) x 6), 'all six');
    is(join("\n", map { my $line = $_; my @f = Patient::Log::faults($line);
        @f ? "@f: $line" : () } $patient->log->raw_since), '',
        'every line of it all is sound');
};

subtest 'children killed amid restarts leave as many as there were' => sub {
    my $three = Patient::Ill->new(PATIENT_CHILDREN => 3);

    for (1 .. 6) {
        $three->restart;
        kill 'KILL', ($three->children)[0];
    }
    # httpd looks once a second, and may fork first and reap then.
    my $since;
    ok(wait_until(sub {
        my @children = $three->children;
        $since = @children == 3 ? $since // time : undef;
        return $since && time - $since > 4;
    }, 40), 'three, and they stay') || diag(join ' ', $three->children);
    is($three->ask(GET => '/api/metrics')->json->{children}, 3,
        'as the board has it');
    $three->stop;
};

done_testing;
