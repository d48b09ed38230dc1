# The worst there is: no connection is left, all CPUs burn, memory fills, and
# users come in crowds. Who is in charge is still heard.

use Patient;
use Patient::Incident;
use Patient::Lateness;
use Patient::Sql;
use Time::HiRes qw(time);

my $late = Patient::Lateness->new;
my $patient = ill_patient(DB_POOL_ACQUIRE_MS => 3000);
my @port = (port => $patient->port);
my $sql = Patient::Sql->open;

# Soon, even where every CPU is taken by somebody of lower priority.
use constant SOON => 1;

# Until every connection of every child is held.
sub await_exhausted () {
    wait_until(sub { metrics(@port)->{pool}{inUse} == 10 * child_count() })
        or die 'the pool is not exhausted';
}

# One user, many connections, all of them waiting.
sub crowd ($size) {
    my @waiting = map { connection(@port) } 1 .. $size;
    $_->send($_->compose(GET => '/api/posts?limit=1')) for @waiting;
    return @waiting;
}

sub is_soon ($method, $path) {
    my $asked = time;
    my $answer = request($method => $path, @port);

    is($answer->status, 200, "$method $path is answered");
    cmp_ok($answer->seconds, '<', SOON + $late->since($asked), 'soon');
}

subtest 'it answers and stops while all at once is wrong' => sub {
    my @before = children_of($patient);
    my %id = map { $_->[0] => arm($_->[0],
        { duration_s => 120, %{ $_->[1] } }, @port) }
        ['pool-exhaustion', { hold_s => 60 }],
        ['high-cpu', { percent => 100 }], ['memory-leak', {}];
    await_exhausted();
    await_state($id{$_}, 'injected', @port) for sort keys %id;

    # More than there are threads in all.
    my @crowd = crowd(150 * child_count());
    ok(wait_until(sub { metrics(@port)->{pool}{waiting} >= 20 }, 2.5),
        'users wait');
    for my $path (qw(/livez /api/metrics /metrics /api/chaos
        /api/chaos/incidents), "/api/chaos/incidents/$id{'high-cpu'}") {
        is_soon(GET => $path);
    }
    my $asked = time;
    is_soon(DELETE => '/api/chaos/high-cpu');
    my $over = moment(await_end($id{'high-cpu'}, @port)->{endedAt}) - $asked;
    cmp_ok($over, '<', SOON + $late->since($asked), 'and over');

    $asked = time;
    is_soon(POST => '/api/chaos/halt');
    for my $name (sort keys %id) {
        $over = moment(await_end($id{$name}, @port)->{endedAt}) - $asked;
        cmp_ok($over, '<', SOON + $late->since($asked),
            "$name is over within a second");
    }
    my %status;
    $status{ eval { $_->read->status } // 0 }++ for @crowd;
    is((grep { !/\A(?:200|503)\z/ } keys %status), 0,
        'all who waited got an answer') || diag(explain(\%status));

    is(join(' ', map { request(GET => '/api/posts?limit=1', @port)->status }
        1 .. 12), join(' ', (200) x 12), 'then all is well');
    is(parked($sql), 0, 'nobody sleeps in the database');
    is(join(' ', children_of($patient)), "@before", 'nobody has died');
};

# Several times: those who go on at the same moment get into each other's way
# now and then alone.
subtest 'who ends queries does so in turn, but does not wait for ever' => sub {
    for (1 .. 5) {
        my $id = arm('pool-exhaustion', { duration_s => 120, hold_s => 60 },
            @port);
        await_exhausted();
        $sql->run("DO GET_LOCK('patient.interrupt', 10)");
        my $asked = time;
        request(DELETE => '/api/chaos/pool-exhaustion', @port);
        my $took = moment(await_end($id, @port)->{endedAt}) - $asked;
        cmp_ok($took, '>', 0.9, 'not while it is the turn of another');
        cmp_ok($took, '<', 4, 'nor all at the same moment');
        $sql->run("DO RELEASE_LOCK('patient.interrupt')");
    }
    is(parked($sql), 0, 'and then all of them');
};

$patient->stop;
done_testing;
