# An incident ends at its deadline, by the clock, whatever becomes of who
# began it; and a patient that is started anew is healthy.

use Patient;
use Patient::Incident;
use Patient::Lateness;
use Patient::Traffic;
use Time::HiRes qw(time);

my $late = Patient::Lateness->new;
my $patient = ill_patient();
my @port = (port => $patient->port);

sub posts () { return request(GET => '/api/posts?limit=1', @port)->status }

# Whichever child is asked.
sub is_well ($sentence) {
    is(join(' ', map { posts() } 1 .. 12), join(' ', (200) x 12), $sentence);
}

# New children, none of which was there before, and all of them, so that none is
# born while somebody looks for whom to kill; they serve.
sub await_others (@old) {
    my %old = map { $_ => 1 } @old;

    wait_until(sub {
        my @now = children_of($patient);
        return @now == child_count() && !grep { $old{$_} } @now;
    }, 30) or die 'not all of the children are new';
    wait_until(sub { eval { request(GET => '/livez', @port)->status == 200 } })
        or die 'the new children do not serve';
}

# What becomes of who began it.
my %FATE = (
    'all children are killed' => sub {
        my @old = children_of($patient);
        kill KILL => @old;
        await_others(@old);
    },
    'httpd restarts gracefully' => sub {
        my @old = children_of($patient);
        kill USR1 => $patient->httpd;
        await_others(@old);
    },
    'httpd restarts gracefully and all children are killed' => sub {
        my @old = children_of($patient);
        kill USR1 => $patient->httpd;
        await_others(@old);
        @old = children_of($patient);
        kill KILL => @old;
        await_others(@old);
    },
);

for my $fate (sort keys %FATE) {
    subtest "$fate: it goes on, and ends on time" => sub {
        my $id = arm('db-fail', { mode => 'refused', duration_s => 8 },
            @port);
        my $end = moment(incident($id, @port)->{endsAt});
        is(posts(), 503, 'it is felt');
        $FATE{$fate}->();
        cmp_ok(time, '<', $end, 'all that took less than its time');
        my $then = incident($id, @port);
        is(moment($then->{endsAt}) - $end < 0.1, 1, 'it ends when it was to')
            || diag("$then->{endsAt}");
        is(join(' ', map { posts() } 1 .. 4), join(' ', (503) x 4),
            'it is felt still') if time < $end - 1;

        await_moment($end);
        is_well('at its end all is well');
        $then = await_end($id, @port);
        is($then->{state}, 'recovered', 'it is over');
        cmp_ok(moment($then->{endedAt}) - $end, '<', 1 + $late->since($end),
            'in time');
    };
}

subtest 'the client hangs up: an incident ends on time' => sub {
    my $connection = connection(@port);
    $connection->send($connection->compose(POST => '/api/chaos/db-fail',
        json => { mode => 'refused', duration_s => 3 }));
    $connection->close;
    my $running;
    ok(wait_until(sub {
        ($running) = grep { !defined $_->{endedAt} }
            @{ request(GET => '/api/chaos/incidents', @port)
                ->json->{incidents} };
        return $running;
    }, 2), 'it began');
    is(posts(), 503, 'it is felt');
    await_moment(moment($running->{endsAt}));
    is_well('at its end all is well');
    is(await_end($running->{id}, @port)->{state}, 'recovered', 'it is over');
};

subtest 'the client hangs up: a one-shot ends, too' => sub {
    my $connection = connection(@port);
    $connection->send($connection->compose(POST => '/api/chaos/api-timeout',
        json => { timeout_ms => 1000 }));
    my $running;
    ok(wait_until(sub {
        ($running) = grep { !defined $_->{endedAt} }
            @{ request(GET => '/api/chaos/incidents', @port)
                ->json->{incidents} };
        return $running;
    }, 2), 'it began');
    $connection->close;
    await_end($running->{id}, @port, bound => 5);
    is(chaos('api-timeout', { timeout_ms => 100 }, @port)->status, 200,
        'the next one may begin');
};

subtest 'whose child is killed, a one-shot does not block the next' => sub {
    my $connection = connection(@port);
    $connection->send($connection->compose(POST => '/api/chaos/api-timeout',
        json => { timeout_ms => 30_000 }));
    my $running;
    ok(wait_until(sub {
        ($running) = grep { !defined $_->{endedAt} }
            @{ request(GET => '/api/chaos/incidents', @port)
                ->json->{incidents} };
        return $running && $running->{state} eq 'injected';
    }, 2), 'it runs');
    my @old = children_of($patient);
    kill KILL => @old;
    await_others(@old);
    is(await_end($running->{id}, @port, bound => 10)->{state}, 'invalid',
        'it counts as one that did not happen');
    is(chaos('api-timeout', { timeout_ms => 100 }, @port)->status, 200,
        'the next one may begin');
};

subtest 'one child of three dies: whoever watches, it ends on time' => sub {
    my $three = ill_patient(PATIENT_CHILDREN => 3);
    my @its_port = (port => $three->port);
    my @children;

    ok(wait_until(sub { @children = children_of($three); @children == 3 }),
        'there are three');
    for my $child (@children) {
        my $id = arm('db-fail', { mode => 'refused', duration_s => 2 },
            @its_port);
        my $end = moment(incident($id, @its_port)->{endsAt});
        kill KILL => $child;
        my $over = moment(await_end($id, @its_port)->{endedAt}) - $end;
        cmp_ok($over, '<', 1 + $late->since($end), "without $child");
    }
    $three->stop;
};

# Every kind that lasts, at once; then the whole server goes.
my %RESTART = (
    'a stop and a start' => sub {
        my ($status, $output) = $patient->stop;
        is($status, 0, 'it stops') || diag($output);
        ($status, $output) = $patient->ctl('start');
        is($status, 0, 'it starts') || diag($output);
        $patient->{running} = 1;
    },
    'a restart that is not graceful' => sub {
        my @old = children_of($patient);
        kill HUP => $patient->httpd;
        await_others(@old);
    },
);
for my $restart (sort keys %RESTART) {
    subtest "$restart: it is healthy" => sub {
        my @ids = map { arm($_->[0], { duration_s => 300, %{ $_->[1] } },
            @port) } ['db-fail', { mode => 'refused' }], ['api-timeout', {}],
            ['jwt-expiry', {}];
        is(posts(), 503, 'it is ill');
        $RESTART{$restart}->();
        is_well('users are served');
        my $all = request(GET => '/api/chaos/incidents', @port)->json;
        is(scalar @{ $all->{incidents} }, 0, 'nothing is known of before');
        my $user = sign_in(@port);
        is(new_post($user, @port)->{title}, 'A title', 'a post');
        my $answer = request(GET => '/api/auth/verify', @port,
            token => $user->{token});
        is($answer->json->{user}{exp} - $answer->json->{user}{iat}, 86_400,
            'with a token of a day');
    };
}

subtest 'under traffic, nobody fails before it or after it' => sub {
    my $traffic = Patient::Traffic->new(sub ($n) {
        return request(GET => '/api/posts?limit=1', @port);
    }, 3);
    wait_until(sub { $traffic->answers >= 50 }) or die 'no traffic';
    my $armed = time;
    my $id = arm('db-fail', { mode => 'refused', duration_s => 2 }, @port);
    my $begun = time;
    my $end = moment(incident($id, @port)->{endsAt});
    await_end($id, @port);
    wait_until(sub { ($traffic->tally($end + 0.1)->{200} // 0) >= 50 });
    my @answers = $traffic->stop;
    my @wrong = grep { $_->{status} != 200
        && ($_->{at} + $_->{seconds} < $armed || $_->{at} > $end) } @answers;
    is(@wrong, 0, 'nobody else') || diag(explain(\@wrong));
    my @during = grep { $_->{at} > $begun + 0.001  # as exact as they are
        && $_->{at} + $_->{seconds} < $end } @answers;
    cmp_ok(@during, '>', 0, 'many came meanwhile');
    is((grep { $_->{status} != 503 } @during), 0, 'and all of them failed');
    cmp_ok(incident($id, @port)->{evidence}{during}{felt}, '>=',
        scalar @during, 'the figures have them all');
};

$patient->stop;
done_testing;
