# build/patient-chaos with a database: the scenarios without a server, their
# lines, and that nothing of theirs is left. What it says of wrong usage is
# looked at by t/unit/chaos_cli.c.

use Patient;
use File::Temp ();
use POSIX ();
use Patient::Incident qw(moment);
use Patient::Log;
use Patient::Response;
use Patient::Sql;
use Time::HiRes qw(time);

my $program = "$FindBin::Bin/../build/patient-chaos";
my $dir = File::Temp->newdir('patient-tool-XXXXXX', TMPDIR => 1);

# Starts it with @args, in this process's environment.
sub start (@args) {
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$dir/out";
        open STDERR, '>', "$dir/err";
        { exec $program, @args }
        POSIX::_exit(127);
    }
    return $pid;
}

sub slurp ($file) {
    open my $in, '<:raw', $file or die "$file: $!\n";
    local $/ = undef;
    return readline($in) // '';
}

# Waits for its end: its status as a shell gives it, its report and its lines.
sub finish ($pid) {
    local $?;
    waitpid $pid, 0;
    my $status = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    my @lines = split /\n/, slurp("$dir/err");

    is(join(', ', map { Patient::Log::faults($_) } @lines), '',
        'its lines are sound');
    return ($status, eval { Patient::Response::decode(slurp("$dir/out")) },
        map { eval { Patient::Log::decode($_) } // {} } @lines);
}

sub run (@args) { return finish(start(@args)) }

# What the database does for the tool right now, that matches.
sub queries ($like) {
    return sql("SELECT id FROM information_schema.processlist "
        . "WHERE info LIKE '$like' AND id <> CONNECTION_ID()");
}

sub rows () {
    return join ' ', map { (sql("SELECT COUNT(*) FROM $_"))[0][0] }
        qw(users posts);
}

sub tables () {
    return join ' ', sort map { $_->[0] } sql('SHOW TABLES');
}

subtest 'pool-exhaustion: as many get through as the time allows' => sub {
    local $ENV{DB_POOL_MAX} = 2;
    my ($begin, $status, $report, @lines);

    cmp_ok(within_bound(0.051, sub {
        $begin = time;
        ($status, $report, @lines) = run('pool-exhaustion', '--attempts=6',
            '--hold-s=2', '--acquire-ms=3000');
        return 3 - ($lines[0]{waitedMs} // 0) / 1000;
    }), '<', 0.051, 'who gets none has waited for all of his time');
    is($status, 0, 'it happened');
    has_shape($report // {}, {
        scenario => 'Pool Exhaustion', poolSize => 2, attempts => 6,
        error => 'SequelizeConnectionAcquireTimeoutError: '
            . 'ResourceRequest timed out', '...' => 1,
    }, 'the report');
    is($report->{succeeded}, 4, 'four got a connection');
    is($report->{timedOut}, 2, 'two did not');
    is(@lines, 2, 'and each of these left a line');
    has_shape($lines[0] // {}, {
        timestamp => TIME, level => 'error', type => 'POOL ERROR', pid => INT,
        error => 'SequelizeConnectionAcquireTimeoutError: '
            . 'ResourceRequest timed out', code => 'POOL_TIMEOUT',
        poolMax => 2, inUse => 2, waiting => INT, waitedMs => INT,
    }, 'with the pool\'s figures');
    my $passed = moment($lines[0]{timestamp}) - $begin;
    cmp_ok($passed, '>=', 2.999, 'after its time');
    cmp_ok($lines[0]{waitedMs}, '<=', 1000 * $passed, 'which it says');
};

for my $signal (qw(INT TERM)) {
    subtest "pool-exhaustion: SIG$signal ends what the database does" => sub {
        my $pid = start('pool-exhaustion', '--attempts=20', '--hold-s=47');

        ok(wait_until(sub { queries('SELECT SLEEP(47)') == 10 }),
            'ten queries sleep');
        my $start = time;
        kill $signal, $pid;
        my ($status, $report, @lines) = finish($pid);
        cmp_ok(time - $start, '<', 2, 'it ends at once');
        is($status, 128 + ($signal eq 'INT' ? 2 : 15), 'by the signal');
        is($report->{error}, 'stopped', 'the report says so');
        is(@lines, 0, 'and the log nothing');
        ok(wait_until(sub { !queries('SELECT SLEEP(47)') }, 2),
            'none of them sleeps on');
    };
}

subtest 'slow-query: it is slow, and takes its table away' => sub {
    my ($rows, $tables) = (rows(), tables());
    my ($status, $report, @lines) = run('slow-query');

    is($status, 0, 'it happened');
    has_shape($report // {}, { scenario => 'Slow Query (N+1)',
        totalQueries => 101, totalTime => qr/\A\d+ms\z/ }, 'the report');
    is(@lines, 1, 'one line');
    has_shape($lines[0] // {}, {
        timestamp => TIME, level => 'error', type => 'PERFORMANCE ERROR',
        pid => INT, error => "Query execution time: $report->{totalTime}",
        totalQueries => 101, totalTime => $report->{totalTime},
    }, 'it says the same');
    is(rows(), $rows, 'users and posts are as before');
    is(tables(), $tables, 'and so are the tables');
};

subtest 'slow-query: a signal ends a query that waits for others' => sub {
    my $tables = tables();
    my $lock = Patient::Sql->open;
    $lock->run('LOCK TABLES users WRITE');
    my $pid = start('slow-query');

    ok(wait_until(sub { queries('INSERT INTO%FROM users%') == 1 }),
        'it waits for a lock of somebody else\'s');
    my $start = time;
    kill INT => $pid;
    my ($status, $report, @lines) = finish($pid);
    cmp_ok(time - $start, '<', 2, 'it ends at once');
    is($status, 130, 'by the signal');
    is($report->{error}, 'stopped', 'the report says so');
    is(@lines, 0, 'the log has nothing to say');
    $lock->run('UNLOCK TABLES');
    is(tables(), $tables, 'and its table is gone');
};

subtest 'without a database, those that need one say what is wrong' => sub {
    my $empty = "$dir/empty";
    mkdir $empty;
    # The option file that is left out names the place and the password.
    local $ENV{MARIADB_HOME} = $empty;
    local $ENV{HOME} = $empty;
    for my $name (qw(pool-exhaustion slow-query)) {
        my ($status, $report, @lines) = run($name);

        is($status, 1, "$name did not happen");
        like($report->{error} // '', qr/\ASequelize\w+: ./, 'it says why');
        is($lines[0]{type}, 'DB CONNECTION ERROR', 'so does the log');
    }
};

subtest 'memory-leak: three marks, and the memory to go with them' => sub {
    my ($status, $report, @lines) = run('memory-leak', '--limit-mb=64',
        '--duration-s=2');

    is($status, 0, 'it happened');
    is($report->{peakMB}, 64, 'the report');
    is(join(', ', map { "$_->{level} $_->{type}" } @lines),
        'warning MEMORY WARNING, error MEMORY CRITICAL, fatal MEMORY ERROR',
        'the lines, one each');
    like($lines[2]{error}, qr/JavaScript heap out of memory/, 'the last');
    has_shape($_, { rssMB => NUMBER, usedMB => NUMBER, limitMB => 64,
        usagePercent => INT, grantedMB => NUMBER, '...' => 1 },
        "$_->{type}: the figures") for @lines;
    cmp_ok($lines[$_]{rssMB} - $lines[0]{rssMB}, '>',
        0.9 * ($lines[$_]{usedMB} - $lines[0]{usedMB}),
        'the process grows as the cache does') for 1, 2;
};

subtest 'api-timeout: a real call takes its real time' => sub {
    my ($status, $report, @lines);

    cmp_ok(within_bound(0.9, sub {
        ($status, $report, @lines) = run('api-timeout', '--timeout-ms=700');
        cmp_ok($report->{elapsed} =~ s/ms//r, '>=', 700, 'no less');
        return $report->{elapsed} =~ s/ms//r / 1000;
    }), '<', 0.9, 'nor much more');

    is($status, 0, 'it happened');
    has_shape($report // {}, { scenario => 'API Timeout', timeout => '700ms',
        elapsed => qr/\A\d+ms\z/, '...' => 1 }, 'the report');
    is(@lines, 1, 'one line');
    has_shape($lines[0] // {}, {
        timestamp => TIME, level => 'error', type => 'API TIMEOUT ERROR',
        pid => INT, error => 'Error: connect ETIMEDOUT', code => 'ETIMEDOUT',
        url => qr{\Ahttp://127\.0\.0\.1:\d+/\z}, timeout => '700ms',
        elapsed => $report->{elapsed},
    }, 'it says the same');
};

subtest 'jwt-expiry: with the patient\'s secret or without' => sub {
    for my $secret (undef, '', 'a secret of the patient\'s') {
        local $ENV{JWT_SECRET} = $secret;
        delete $ENV{JWT_SECRET} if !defined $secret;
        my ($status, $report, @lines) = run('jwt-expiry');

        is($status, 0, 'it happened');
        is(@lines, 1, 'one line');
        has_shape($lines[0] // {}, {
            timestamp => TIME, level => 'error', type => 'JWT ERROR',
            pid => INT, error => 'TokenExpiredError: jwt expired',
            code => 'TOKEN_EXPIRED', expiredAt => TIME,
        }, 'the known one');
    }
};

done_testing;
