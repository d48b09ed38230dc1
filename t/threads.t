# A child in which no thread can be made any more: what it could not begin it
# begins later, and what it does already goes on.

use Patient;
use POSIX ();
use Patient::Ill;
use Patient::Incident qw(parked);
use Patient::Sql;

my $patient = Patient::Ill->new(PATIENT_CHILDREN => 1, DB_POOL_MAX => 2);
my ($child) = $patient->children;
my $sql = Patient::Sql->open;

# How many threads its user may have; the kernel counts all of them, so with
# one there is no other. Without a number: as many as before.
sub limit_threads ($limit = undef) {
    my ($most) = Patient::Server::slurp("/proc/$child/limits")
        =~ /^Max processes +\S+ +(\S+)/m;

    $limit //= $most;
    return system('prlimit', "--nproc=$limit:", '--pid', $child) == 0;
}

sub threads () { return scalar(my @all = glob "/proc/$child/task/*") }

# The answer comes when all is over: somebody else waits for it.
sub crowd () {
    my $pid = fork // die "fork: $!\n";

    return $pid if $pid;
    $patient->ask(POST => '/api/chaos/pool-exhaustion', json => {
        attempts => 200, hold_s => 20, acquire_ms => 60_000 });
    POSIX::_exit(0);
}

sub once ($name, %body) {
    return $patient->ask(POST => "/api/chaos/$name", json => \%body)
        ->json->{incident};
}

# More than wait for work: for what else is to be done, new ones are needed.
my $before = threads();
my $crowd = crowd();
ok(wait_until(sub { threads() > $before + 20 && parked($sql) >= 2 }, 30),
    'all threads are busy');

my $leak = once('memory-leak', limit_mb => 16);
ok($patient->wait_for_state($leak, 'injected|witnessed'), 'one run goes on');
ok(limit_threads(1), 'there can be no other thread now');

my $expiry = once('jwt-expiry');
ok(!wait_until(sub { $patient->incident($expiry)->{state} ne 'armed' }, 1.3),
    'another run waits');
like($patient->incident($leak)->{state}, qr/\A(?:injected|witnessed)\z/,
    'the first goes on');

ok(limit_threads(), 'there can be threads again');
is(($patient->wait_for_end($expiry) // {})->{state}, 'recovered',
    'the run that waited has happened');
like($patient->incident($leak)->{state}, qr/\A(?:injected|witnessed)\z/,
    'the first goes on');

$patient->ask(POST => '/api/chaos/halt');
{
    local $?;
    waitpid $crowd, 0;
}
ok($patient->wait_for_end($leak), 'and ends when it is told to');

done_testing;
