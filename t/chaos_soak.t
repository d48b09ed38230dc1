# 200 random starts, stops, halts, killed children and graceful restarts, under
# traffic: at the end the patient is healthy and nothing is left over. The
# seed is printed; PATIENT_SOAK_SEED replays it. A patient of its own. Run by
# hand, for it takes over a minute: make test PATIENT_TESTS=t/chaos_soak.t

use Patient;
use Patient::Ill;
use Patient::Sql;
use POSIX ();

my $STEPS = 200;
my $seed = $ENV{PATIENT_SOAK_SEED} // time ^ $$;
diag("PATIENT_SOAK_SEED=$seed");
srand $seed;

my $patient = Patient::Ill->new(DB_POOL_ACQUIRE_MS => 1000,
    PATIENT_CHILDREN => 3);
my $port = $patient->port;
my $user = sign_in(port => $port);
new_post($user, port => $port, title => "Post $_") for 1 .. 5;

my %BODY = (
    'db-fail'         => { mode => 'refused' },
    'pool-exhaustion' => {},
    'memory-leak'     => { limit_mb => 32 },
    'slow-query'      => { rows => 2000 },
    'api-timeout'     => { timeout_ms => 300 },
    'jwt-expiry'      => {},
    'high-cpu'        => { percent => 20 },
);
my @NAMES = sort keys %BODY;

sub count ($statement) { return (sql($statement))[0][0] }
sub ask ($method, $path, %with) {
    return eval { $patient->ask($method, $path, %with) };
}

# Threads, shared memory and open files of what is left when it is quiet.
sub shared_segments () {
    my $text = Patient::Server::slurp('/proc/' . $patient->httpd . '/maps');
    return scalar(() = $text =~ m{/dev/zero|/dev/shm|/SYSV}g);
}

my $segments = shared_segments();
my $users = count('SELECT COUNT(*) FROM users');
my $stop = "$patient->{dir}/stop";

# Two visitors, who take what comes.
my @visitors = map {
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        until (-e $stop) {
            ask(GET => '/api/posts?limit=5');
            ask(GET => '/api/auth/verify', token => $user->{token});
            ask(POST => '/api/posts', token => $user->{token}, json => {});
            select undef, undef, undef, 0.02;
        }
        POSIX::_exit(0);
    }
    $pid;
} 1, 2;

END {
    if (@visitors) {
        local $?;
        POSIX::close(POSIX::creat($stop, 0600));
        waitpid $_, 0 for @visitors;
    }
}

my %ACTION = (
    start => sub {
        my $name = $NAMES[rand @NAMES];
        ask(POST => "/api/chaos/$name",
            json => { duration_s => 1 + int rand 3, %{ $BODY{$name} } });
    },
    stop => sub { ask(DELETE => '/api/chaos/' . $NAMES[rand @NAMES]) },
    halt => sub { ask(POST => '/api/chaos/halt') },
    kill => sub {
        my @children = $patient->children;
        kill KILL => $children[rand @children] if @children;
    },
    restart => sub { kill USR1 => $patient->httpd },
);
my @DRAW = (('start') x 12, ('stop') x 4, 'halt', ('kill') x 2, 'restart');
my %done;

for my $step (1 .. $STEPS) {
    my $what = $DRAW[rand @DRAW];
    $ACTION{$what}->();
    $done{$what}++;
    # Each step is seen by the patient before the next one.
    wait_until(sub { my $answer = ask(GET => '/livez');
        $answer && $answer->status == 200 }) or last;
}

subtest 'the patient has lived through it' => sub {
    is($done{start} + $done{stop} + $done{halt} + $done{kill}
        + $done{restart}, $STEPS, join ', ', map { "$done{$_} x $_" }
        sort keys %done);
};

subtest 'all that began has ended' => sub {
    ok(wait_until(sub {
        my $answer = ask(GET => '/api/chaos/incidents') or return;
        return !grep { $_->{state} !~ /\A(?:recovered|invalid)\z/ }
            @{ $answer->json->{incidents} };
    }, 40), 'every incident') || diag(explain(
        ask(GET => '/api/chaos/incidents')->json));
};

POSIX::close(POSIX::creat($stop, 0600));
waitpid $_, 0 for @visitors;
@visitors = ();

subtest 'the patient is healthy' => sub {
    ok(wait_until(sub { my $answer = ask(GET => '/health');
        $answer && $answer->status == 200 }), '/health');
    is(ask(GET => '/api/posts?limit=5')->status, 200, 'the list');
    is(ask(POST => '/api/posts', token => $user->{token},
        json => { title => 'After' })->status, 201, 'a new post');
    my $claims = ask(GET => '/api/auth/verify',
        token => sign_in(port => $port)->{token})->json->{user};
    is($claims->{exp} - $claims->{iat}, 86400, 'a token of 24 hours');
};

subtest 'nothing is left over' => sub {
    is(count('SELECT COUNT(*) FROM users'), $users + 1, 'no row of users');
    is(count(q{SELECT COUNT(*) FROM information_schema.tables
        WHERE table_name = 'author_directory'}), 0, 'no table');
    my $sleepers = q{SELECT COUNT(*) FROM information_schema.processlist
        WHERE info LIKE '%SLEEP(%' AND info NOT LIKE '%information_schema%'};
    ok(wait_until(sub { count($sleepers) == 0 }, 10), 'no query');
    is(shared_segments(), $segments, 'no memory segment');
    ok(wait_until(sub { my @children = $patient->children;
        @children == 3 }, 40), 'three children')
        || diag(join ' ', $patient->children);
    my $metrics = ask(GET => '/api/metrics')->json;
    is($metrics->{children}, 3, 'as the board has it');
    is($metrics->{pool}{inUse}, 0, 'no connection is lent');
    is($metrics->{pool}{waiting}, 0, 'nobody waits');
    is($metrics->{requests}{inFlight}, 1, 'no request but this one');
    my @threads = map { scalar(() = glob "/proc/$_/task/*") }
        $patient->children;
    my %counts = map { $_ => 1 } @threads;
    is(scalar keys %counts, 1, "no thread: @threads");
};

undef $patient;
done_testing;
