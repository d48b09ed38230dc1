# What an incident says of itself is true: who felt it is counted, whenever it
# ended; a line of the log tells of it, or it says that none did; its times and
# figures are possible, whatever the clock of the machine is set to.

use Patient;
use Patient::Clock;
use Patient::Doctor;
use Patient::Ill;
use Patient::Incident qw(child_count moment);
use Patient::Sql;
use Time::HiRes qw(sleep time);

my $clock = Patient::Clock->new;
my $patient = Patient::Ill->new($clock->environment, DB_POOL_MAX => 3);
my @port = (port => $patient->port);
my $log = $patient->log;

sub ask ($method, $path, %with) { return $patient->ask($method, $path, %with) }
sub pool () { return ask(GET => '/api/metrics')->json->{pool} }

# So many users who ask for the posts now: their connections.
sub users ($count) {
    return map {
        my $user = connection(@port);
        $user->send($user->compose(GET => '/api/posts?limit=1'));
        $user;
    } 1 .. $count;
}

sub is_held () {
    wait_until(sub { pool()->{inUse} == 3 * child_count() })
        or die 'the pool is not held';
}

# Its times are in order, and its last one is known.
sub is_in_order ($then, $sentence) {
    my @order = grep { defined } @$then{qw(armedAt injectedAt witnessedAt
        toldAt endedAt)};

    return is("@order", join(' ', sort @order), $sentence);
}

sub lines_of ($mark, $type) {
    return grep { $_->{type} eq $type } $log->since($mark);
}

# The marks of what a doctor finds in the lines since then.
sub grade ($mark) {
    my $doctor = Patient::Doctor->new($patient);
    my $ledger = ask(GET => '/api/chaos/ledger')->body;
    my $found = $doctor->diagnose($log->raw_since($mark));

    $doctor->keep($found);
    return ($found, ($doctor->grade_by($ledger))[1]);
}

subtest 'who waits for the pool is told of, and counted' => sub {
    my $mark = $log->mark;
    my $id = $patient->fall_ill('pool-exhaustion', duration_s => 12);
    is_held();
    my $start = time;
    my @users = users(3);
    my @answers = map { $_->read } @users;
    my $longest = time - $start;
    is(join(' ', map { $_->status } @answers), '200 200 200',
        'they get their answers in the end');
    cmp_ok($longest, '>=', 5.5, 'after a long while');

    my $then = $patient->wait_for_end($id);
    is($then->{state}, 'recovered', 'it was felt') || diag(explain($then));
    is_in_order($then, 'times are in order');
    my $during = $then->{evidence}{during};
    is("$during->{met} $during->{felt}", '3 3', 'three waited and felt it');
    cmp_ok($during->{p95Ms}, '<=', 1000 * $longest,
        'no percentile is above the longest');
    cmp_ok($during->{p95Ms}, '>', 5000, 'nor far below');

    my @lines = lines_of($mark, 'POOL WARNING');
    is(scalar @lines, 1, 'one line tells of it');
    has_shape($lines[0], {
        timestamp => TIME, level => 'warning', type => 'POOL WARNING',
        pid => INT, request_id => STRING,
        message => 'waiting for a connection', poolMax => '3', inUse => INT,
        waiting => INT, waitedMs => INT,
    }, 'the line');
    cmp_ok($lines[0]{waitedMs}, '>=', 5000, 'after five seconds');
    ok((grep { $_->header('X-Request-Id') eq $lines[0]{request_id} }
        @answers), 'said by one of those who wait');
    cmp_ok(abs(moment($lines[0]{timestamp}) - moment($then->{toldAt})), '<',
        0.5, 'and that is when it was told');
    my ($found, $marks) = grade($mark);
    is(Patient::Doctor::labels($found), 'pool-exhaustion', 'the doctor');
    is("$marks->{true_positives} $marks->{false_negatives}", '1 0',
        'is graded right');
};

subtest 'a short wait is felt, nobody can read of it, nobody asks' => sub {
    my $mark = $log->mark;
    my $id = $patient->fall_ill('pool-exhaustion', duration_s => 3);
    is_held();
    my $start = time;
    $_->read for users(2);
    my $longest = time - $start;
    my $then = $patient->wait_for_end($id);
    is($then->{state}, 'recovered', 'it was felt');
    is($then->{toldAt}, undef, 'and no line tells of it');
    is($then->{evidence}{during}{felt}, 2, 'both felt it');
    cmp_ok($then->{evidence}{during}{p95Ms}, '<=', 1000 * $longest,
        'for as long as they did');
    is((lines_of($mark, $_))[0], undef, "no $_")
        for 'POOL WARNING', 'POOL ERROR';
    my ($found, $marks) = grade($mark);
    is(Patient::Doctor::labels($found), '', 'the doctor finds nothing');
    my ($case) = grep { $_->{id} eq $id } @{ $marks->{incidents} };
    is($case, undef, 'and is not asked');
};

subtest 'a pool that is really too small is told of in the same way' => sub {
    my $lock = Patient::Sql->open;
    my $mark = $log->mark;

    $lock->run('LOCK TABLES posts WRITE');
    # More than there are connections, in one of the children at least.
    my @users = users(5 * child_count());
    my $line = $log->wait_for($mark, sub ($l) {
        $l->{type} =~ /\APOOL (?:WARNING|ERROR)\z/ });
    is($line && $line->{type}, 'POOL WARNING', 'before the deadline');
    $lock->run('UNLOCK TABLES');
    is(join(' ', map { $_->read->status } @users),
        join(' ', (200) x @users), 'all are served');
    is(scalar(lines_of($mark, 'POOL WARNING')), 1, 'once in a stretch');
};

subtest 'what a request took before an incident is not of the incident' => sub {
    my $lock = Patient::Sql->open;
    my $start = time;

    $lock->run('LOCK TABLES posts WRITE');
    my @users = users(2);
    wait_until(sub { pool()->{inUse} >= 2 }) or die 'they do not hang';
    sleep 3;
    my $armed = time;
    my $id = $patient->fall_ill('jwt-expiry', duration_s => 30);
    $lock->run('UNLOCK TABLES');
    $_->read for @users;
    my $within = time - $armed;
    wait_until(sub { $patient->incident($id)->{evidence}{during}{requests}
        >= 2 }) or die 'they are not counted';
    ask(DELETE => '/api/chaos/jwt-expiry');
    my $during = $patient->wait_for_end($id)->{evidence}{during};
    cmp_ok($during->{requests}, '>=', 2, 'both ended meanwhile');
    cmp_ok($during->{p95Ms}, '<=', 1000 * $within + 200,
        'for what is left of them');
};

subtest 'an answer counts, whenever the books are closed' => sub {
    for my $mode (qw(timeout refused)) {
        for my $after (1, 0) {
            my $id = $patient->fall_ill('db-fail', duration_s => 30,
                mode => $mode);
            my @users = users(3);
            my @answers;
            @answers = map { $_->read } @users unless $after;
            sleep $after;
            is(ask(POST => '/api/chaos/halt')->json->{stopped}, 1, 'halt');
            @answers = map { $_->read } @users if $after;
            is(join(' ', map { $_->status } @answers), '503 503 503',
                'three failed');
            my $then = $patient->wait_for_end($id) // {};
            is($then->{state}, 'recovered', "$mode: it was felt")
                || diag(explain($then));
            my $during = $then->{evidence}{during};
            is("$during->{met} $during->{felt} $during->{status5xx}",
                '3 3 3', 'by three');
            isnt($then->{toldAt}, undef, 'and told');
            is_in_order($then, 'in order');
        }
    }
};

subtest 'who still waits for the wrong place is no concern of others' => sub {
    my $id = $patient->fall_ill('db-fail', duration_s => 30,
        timeout_ms => 3000);
    my @users = users(2);       # who leave a connection to others
    wait_until(sub { $patient->incident($id)->{evidence}{during}{met} > 0 })
        or die 'nobody met it';
    ask(POST => '/api/chaos/halt');
    my (%status, $longest);
    for my $end (time + 4.5) {
        while (time < $end) {
            my $answer = ask(GET => '/api/posts?limit=1');
            $status{ $answer->status }++;
            $longest = $answer->seconds if $answer->seconds > ($longest // 0);
            sleep 0.02;
        }
    }
    is(join(' ', keys %status), '200', 'once it is over, all others are well');
    cmp_ok($longest, '<', 2.5, 'and need not wait for them');
    ok((grep { $_->read->status == 503 } @users), 'who had met it failed');
    is(($patient->wait_for_end($id) // {})->{state}, 'recovered',
        'which counts');
};

subtest 'whoever feels one of the others: there is a line' => sub {
    my $author = sign_in(@port);
    new_post($author, @port, title => "Post $_") for 1 .. 30;
    my %feel = (
        'api-timeout' => [{ timeout_ms => 200 }, sub {
            ask(POST => '/api/posts', token => $author->{token},
                json => { title => 'Late' })->status == 504 }],
        'slow-query' => [{ rows => 200_000 }, sub {
            ask(GET => '/api/posts?limit=30')->seconds > 0.3 }],
        'jwt-expiry' => [{}, do {
            my $token;
            sub {
                $token //= sign_in(@port)->{token};
                ask(GET => '/api/auth/verify', token => $token)->status
                    == 401;
            } }],
        'memory-leak' => [{ limit_mb => 48, duration_s => 3 }, sub { 1 }],
    );

    for my $name (sort keys %feel) {
        my ($body, $feel) = @{ $feel{$name} };
        my $id = $patient->fall_ill($name, duration_s => 40, %$body);
        ok(wait_until($feel, 20), "$name: a user feels it");
        ask(DELETE => "/api/chaos/$name") unless $name eq 'memory-leak';
        my $then = $patient->wait_for_end($id) // {};
        is($then->{state}, 'recovered', 'it was felt')
            || diag(explain($then));
        isnt($then->{toldAt}, undef, 'and told');
        is_in_order($then, 'in order');
        is($patient->ledger($id)->{toldAt}, $then->{toldAt}, 'in the ledger');
    }
};

subtest 'whose token expires after the end is locked out all the same' => sub {
    for my $after (0, 1) {
        my $mark = $log->mark;
        my $user = sign_up(@port);
        my $id = $patient->fall_ill('jwt-expiry', duration_s => 3,
            lifetime_s => 5);
        my $token = ask(POST => '/api/auth/login', json => {
            map { $_ => $user->{$_} } qw(email password) })->json->{token};
        wait_until(sub { !defined $patient->incident($id)->{endedAt}
            && $patient->incident($id)->{recovering} }, 10)
            or die 'it is not over';
        wait_until(sub { ask(GET => '/api/auth/verify', token => $token)
            ->status == 401 }, 10) or die 'nobody is locked out' if $after;
        my $then = $patient->wait_for_end($id, 20) // {};
        is($then->{state}, $after ? 'recovered' : 'invalid',
            $after ? 'who comes back has felt it' : 'if nobody comes back')
            || diag(explain($then));
        is($then->{evidence}{during}{felt}, $after, 'felt');
        is(scalar(lines_of($mark, 'JWT ERROR')), $after, 'lines');
        is(defined $then->{toldAt}, !!$after, 'told');
        is_in_order($then, 'in order');
    }
    is(ask(GET => '/api/auth/verify', token => sign_in(@port)->{token})
        ->status, 200, 'tokens are good again');
};

subtest 'stopped half way, it was told: then it was felt' => sub {
    my $mark = $log->mark;
    my $id = $patient->fall_ill('memory-leak', duration_s => 20,
        limit_mb => 64);
    $log->wait_for($mark, sub ($l) { $l->{type} eq 'MEMORY WARNING' })
        or die 'no line';
    ask(DELETE => '/api/chaos/memory-leak');
    my $then = $patient->wait_for_end($id);
    is($then->{state}, 'recovered', 'memory at 80 %')
        || diag(explain($then));
    isnt($then->{toldAt}, undef, 'is told');
    is_in_order($then, 'in order');
};

# A one-shot that holds the pool of one child, while $come brings users to all
# children, and those of that child wait for so long; then it is stopped: the
# incident, and how many users of that child there were.
sub stop_one_shot ($come, $span) {
    my $operator = connection(@port);
    my @users;
    my $waiting = 0;

    $operator->send($operator->compose(POST => '/api/chaos/pool-exhaustion',
        json => { attempts => 40, hold_s => 30 }));
    wait_until(sub { pool()->{waiting} == 37 }) or die 'no pool is held';
    # They might all have gone to children that are not busy.
    wait_until(sub {
        push @users, $come->(6, 40 + $waiting);
        wait_until(sub { $waiting = grep { !$_->is_answered } @users;
            pool()->{waiting} == 37 + $waiting });
        return $waiting > 0;
    }) or die 'nobody waits';
    sleep $span;
    # All others have their answers now, those too who waited for a moment.
    $waiting = grep { !$_->is_answered } @users;
    ask(POST => '/api/chaos/halt');
    my $answer = $operator->read;
    is($answer->status, 409, 'the operator stopped it');
    is((grep { $_->read->status != 200 } @users), 0, 'users are served');
    return ($patient->wait_for_end($answer->json->{incident}), $waiting);
}

subtest 'a one-shot that was stopped: who waited has felt it' => sub {
    for my $span (2, 6) {
        my $mark = $log->mark;
        my ($then, $waiting) =
            stop_one_shot(sub ($count, $others) { users($count) }, $span);
        is($then->{state}, 'recovered', "for $span s")
            || diag(explain($then));
        my $during = $then->{evidence}{during};
        is($during->{met}, $waiting, 'all who waited have met it');
        is($during->{felt}, $waiting, 'and felt it');
        is(defined $then->{toldAt}, $span > 5, 'told after five seconds');
        is(!!lines_of($mark, 'POOL WARNING'), $span > 5, 'by a line');
        is_in_order($then, 'in order');
    }
};

# So many users who are there while nobody can read the posts: each of them
# holds a connection, or waits for one. $others do so already.
sub stuck_users ($count, $others) {
    my $sql = Patient::Sql->open;

    $sql->run('LOCK TABLES posts WRITE');
    my @users = users($count);
    wait_until(sub { my $pool = pool();
        $pool->{inUse} + $pool->{waiting} == $others + $count })
        or die 'not all of them are there';
    sleep 1.5;                  # a long wait
    $sql->run('UNLOCK TABLES');
    return @users;
}

subtest 'users who were short of connections elsewhere have not met it' => sub {
    my ($then, $waiting) = stop_one_shot(\&stuck_users, 2);
    my $during = $then->{evidence}{during};

    is($then->{state}, 'recovered', 'it was felt');
    is($during->{met}, $waiting, 'by who waited where it was');
    is($during->{felt}, $waiting, 'for long');
};

subtest 'a one-shot is told, too' => sub {
    my $answer = ask(POST => '/api/chaos/db-fail',
        json => { mode => 'refused' });
    my $then = $patient->wait_for_end($answer->json->{incident});
    is($then->{state}, 'recovered', 'it happened');
    isnt($then->{toldAt}, undef, 'and was told');
    is_in_order($then, 'in order');
};

subtest 'the clock is set back and forth: times stay in order' => sub {
    my @shifts = (-7200, 7200, 0);

    my %id = ('jwt-expiry' => $patient->fall_ill('jwt-expiry',
        duration_s => 6));
    my $login = sign_in(@port);
    for my $shift (@shifts) {
        $clock->set($shift);
        is(ask(GET => '/api/posts?limit=1')->status, 200, 'served');
        cmp_ok(ask(GET => '/health')->json->{uptime}, '<', 3600, 'uptime');
    }
    $clock->set(-7200);
    $id{'db-fail'} = $patient->fall_ill('db-fail', duration_s => 2,
        mode => 'refused');
    is(ask(GET => '/api/posts')->status, 503, 'felt');
    $clock->set(0);
    for my $name (sort keys %id) {
        my $then = $patient->wait_for_end($id{$name}, 20) // {};
        is_in_order($then, "$name: in order");
        my $span = moment($then->{endedAt}) - moment($then->{armedAt});
        cmp_ok(abs($span - ($name eq 'db-fail' ? 2 : 6)), '<', 5,
            'as long as it was');
    }
    $clock->set(-7200);
    my $back = $patient->fall_ill('jwt-expiry', duration_s => 30);
    $clock->set(0);
    my $token = sign_in(@port)->{token};
    ok(wait_until(sub {
        ask(GET => '/api/auth/verify', token => $token)->status == 401
    }, 10), 'somebody is locked out');
    ask(DELETE => '/api/chaos/jwt-expiry');
    is(($patient->wait_for_end($back) // {})->{state}, 'recovered',
        'which is felt');
};

subtest 'the ledger is answered in whole lines, its end at most' => sub {
    my $file = "$patient->{env}{PATIENT_RUN}/ledger.jsonl";
    my $json = JSON::PP->new->utf8;
    my $before = ask(GET => '/api/chaos/ledger');

    is($before->status, 200, 'answered');
    is(scalar $before->header('Content-Type'),
        'application/x-ndjson; charset=utf-8', 'JSON lines');
    is($before->body, Patient::Server::slurp($file), 'all of the file');
    my ($last) = (split /\n/, $before->body)[-1];
    open my $out, '>>', $file or die "$file: $!\n";
    print $out '{"id":"torn","lab';
    close $out or die "$file: $!\n";
    is(ask(GET => '/api/chaos/ledger')->body, $before->body,
        'half a line is none');

    my ($status) = $patient->stop;
    is($status, 0, 'it stops');
    ($status) = $patient->ctl('start');
    is($status, 0, 'and starts');
    $patient->{running} = 1;
    my $id = ask(POST => '/api/chaos/db-fail', json => { mode => 'refused' })
        ->json->{incident};
    my @lines = split /\n/, ask(GET => '/api/chaos/ledger')->body;
    is($json->decode($lines[-1])->{id}, $id,
        'what comes after half a line is whole');
    is($lines[-2], $last, 'and follows the one before');

    open $out, '>>', $file or die "$file: $!\n";
    print $out "$last\n" x (2 + 1_200_000 / length $last);
    close $out or die "$file: $!\n";
    my $long = ask(GET => '/api/chaos/ledger')->body;
    cmp_ok(length $long, '<=', 1024 * 1024, 'of a long one, a MiB at most');
    cmp_ok(length $long, '>', 1000 * 1024, 'and not much less');
    is((grep { $_ ne $last } split /\n/, $long), 0, 'in whole lines');
};

subtest 'a log that does not have the line has not told' => sub {
    my $quiet = Patient::Ill->new(DB_POOL_MAX => 2, LOG_LEVEL => 'error');
    my $id = $quiet->fall_ill('pool-exhaustion', duration_s => 7);
    wait_until(sub {
        my $pool = $quiet->ask(GET => '/api/metrics')->json->{pool};
        return $pool->{inUse} == $pool->{max};
    }) or die 'the pool is not held';
    is($quiet->ask(GET => '/api/posts?limit=1')->status, 200, 'one waits');
    my $then = $quiet->wait_for_end($id);
    is($then->{state}, 'recovered', 'which is felt');
    is($then->{toldAt}, undef, 'but not told: that is a warning');
    $id = $quiet->fall_ill('db-fail', duration_s => 2, mode => 'refused');
    is($quiet->ask(GET => '/api/posts')->status, 503, 'another is felt');
    isnt($quiet->wait_for_end($id)->{toldAt}, undef, 'and told: an error');
};

subtest 'no duration is negative, none is of hours' => sub {
    my @odd = grep { $_->{durationMs} < 0 || $_->{durationMs} > 600_000 }
        lines_of(0, 'REQUEST');
    is(scalar @odd, 0, 'not in the log') || diag(explain($odd[0]));
    my $requests = ask(GET => '/api/metrics')->json->{requests};
    cmp_ok($requests->{p99Ms}, '<', 600_000, 'nor in a figure');
};

undef $patient;
done_testing;
