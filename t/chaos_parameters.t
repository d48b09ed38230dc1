# Every parameter of every scenario does something: each is measured at two
# values, as an incident, as a one-shot and by patient-chaos, wherever it is
# taken. What is compared are the two, not either with a clock.

use Patient;
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Patient::Ill;
use Patient::Incident qw(await_end moment parked);
use Patient::Response;
use Patient::Sql;
use Patient::Token;
use Time::HiRes qw(time);

# What is measured against it is then the same on any machine; and so little
# that it is to be had where others are busy, too.
my %SIZE = (PATIENT_CPUS => '0.2', PATIENT_CHILDREN => 1);
my $dir = File::Temp->newdir('patient-parameters-XXXXXX', TMPDIR => 1);
my $patient = Patient::Ill->new(%SIZE);

# One-shots that take half a minute run aside, at either value.
my @aside = map { Patient::Ill->new(%SIZE) } 1, 2;
my @small = aside($aside[0], 'memory-leak' => { limit_mb => 16 },
    'high-cpu' => { percent => 15 });
my @large = aside($aside[1],
    'memory-leak' => { limit_mb => 96, crash => JSON::PP::true },
    'high-cpu' => { percent => 60 });
my ($mortal) = $aside[1]->children;
my ($immortal) = $aside[0]->children;

sub aside ($of, %orders) {
    return map { $_ => $of->ask(POST => "/api/chaos/$_",
        json => $orders{$_})->json->{incident} } sort keys %orders;
}

# ---- the three ways

sub once ($name, %with) {
    my $answer = $patient->ask(POST => "/api/chaos/$name", json => \%with);
    return ($answer->json, $answer->seconds);
}

# Runs a piece of work within an incident: what it returns.
sub within ($name, $with, $work) {
    my $id = $patient->fall_ill($name, duration_s => 60, %$with);
    $patient->wait_for_state($id, 'injected|witnessed')
        if $name =~ /\A(?:pool|memory|high)/;
    my @found = $work->();
    $patient->ask(DELETE => "/api/chaos/$name");
    $patient->wait_for_end($id);
    return wantarray ? @found : $found[0];
}

# An incident to its end: the incident.
sub lasting ($name, %with) {
    return $patient->wait_for_end($patient->fall_ill($name, %with));
}

# (report, seconds, exit status, lines)
sub tool ($name, %with) {
    my @args = map { ('--' . tr/_/-/r) . "=$with{$_}" } sort keys %with;
    my $begin = time;
    local $?;
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        $ENV{PATIENT_CPUS} = $SIZE{PATIENT_CPUS};
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$dir/out";
        open STDERR, '>', "$dir/err";
        { exec "$FindBin::Bin/../build/patient-chaos", $name, @args }
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    my $status = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    my $out = Patient::Server::slurp("$dir/out");
    return (length $out ? Patient::Response::decode($out) : {},
        time - $begin, $status,
        [map { Patient::Log::decode($_) } split /\n/,
            Patient::Server::slurp("$dir/err")]);
}

# The last line of a type since then.
sub line ($mark, $type) {
    return $patient->log->wait_for($mark, sub ($l) {
        ($l->{type} // '') eq $type }) // {};
}

# ---- comparing: small and large, both being numbers

sub grows ($small, $large, $factor, $what) {
    ok(defined $small && defined $large && $large > $factor * $small,
        sprintf '%s: %s, then %s', $what, $small // 'nothing',
        $large // 'nothing');
}

# Others may be so busy that little is left of a CPU for a while, but not each
# time.
sub burns ($measure) {
    my @seen;

    for (1 .. 4) {
        @seen = map { $measure->($_) } 15, 60;
        last if $seen[1] > 1.5 * $seen[0];
    }
    grows(@seen, 1.5, 'percent');
}

sub number ($text) { return ($text // '') =~ /([\d.]+)/ ? $1 : undef }

sub list () { return $patient->ask(GET => '/api/posts')->seconds }

# ---- somebody with posts, to be listed

my $user = sign_in(port => $patient->port);
sub post ($title = 'one') {
    return $patient->ask(POST => '/api/posts', json => { title => $title },
        token => $user->{token});
}
post("Post $_") for 1 .. 8;

sub lifetime () {
    my $claims = claims($patient->ask(POST => '/api/auth/login', json => {
        email => $user->{email}, password => $user->{password} })
        ->json->{token});
    return $claims->{exp} - $claims->{iat};
}

# A pool with one who waits in vain.
my %CROWD = (attempts => 11, hold_s => 1, acquire_ms => 300);
my $sql = Patient::Sql->open;

# Sleeping statements of the database, when there are as many as wanted, or
# the most that there are in a while.
sub sleepers ($wanted) {
    wait_until(sub { parked($sql) >= $wanted }, 10);
    return parked($sql);
}

sub span ($incident) {
    return moment($incident->{endedAt}) - moment($incident->{armedAt});
}

# ---- each parameter: {way => what measures it}

my %MEASURE = (
    'db-fail mode' => {
        'one-shot' => sub {
            is((once('db-fail', mode => 'refused'))[0]{code}, 'ECONNREFUSED',
                'refused');
            is((once('db-fail', mode => 'dns'))[0]{code}, 'ENOTFOUND', 'dns');
        },
        incident => sub {
            for my $mode ([refused => 'ECONNREFUSED'], [dns => 'ENOTFOUND']) {
                my $mark = $patient->log->mark;
                within('db-fail', { mode => $mode->[0] }, sub { list() });
                is(line($mark, 'DB CONNECTION ERROR')->{code}, $mode->[1],
                    $mode->[0]);
            }
        },
        tool => sub {
            is((tool('db-fail', mode => 'refused'))[0]{code}, 'ECONNREFUSED',
                'refused');
            is((tool('db-fail', mode => 'dns'))[0]{code}, 'ENOTFOUND', 'dns');
        },
    },
    'db-fail timeout_ms' => {
        'one-shot' => sub {
            grows((map { (once('db-fail', timeout_ms => $_))[1] } 200, 1500),
                2, 'seconds of an answer');
        },
        incident => sub {
            grows((map { within('db-fail', { timeout_ms => $_ }, \&list) }
                200, 1500), 2, 'seconds of a list');
        },
        tool => sub {
            grows((map { (tool('db-fail', timeout_ms => $_))[1] } 200, 1500),
                2, 'seconds of a run');
        },
    },
    'pool-exhaustion attempts' => {
        'one-shot' => sub {
            grows((map { (once('pool-exhaustion', %CROWD,
                attempts => $_))[0]{timedOut} } 12, 30), 2, 'in vain');
        },
        incident => sub {
            grows((map { my $n = $_; within('pool-exhaustion',
                { attempts => $n }, sub { sleepers($n) }) } 3, 9), 2,
                'connections held');
        },
        tool => sub {
            grows((map { (tool('pool-exhaustion', %CROWD,
                attempts => $_))[0]{timedOut} } 12, 30), 2, 'in vain');
        },
    },
    'pool-exhaustion hold_s' => {
        'one-shot' => sub {
            grows((map { (once('pool-exhaustion', %CROWD,
                hold_s => $_))[1] } 1, 3), 1.5, 'seconds of an answer');
        },
        incident => sub {
            my @seen = map { my $s = $_; within('pool-exhaustion',
                { hold_s => $s }, sub {
                    sleepers(10);
                    return scalar $sql->run('SELECT id FROM '
                        . 'information_schema.processlist '
                        . "WHERE info = 'SELECT SLEEP($s)'");
                }) } 7, 40;
            is("@seen", '10 10', 'all queries take as long');
        },
        tool => sub {
            grows((map { (tool('pool-exhaustion', %CROWD,
                hold_s => $_))[1] } 1, 3), 1.5, 'seconds of a run');
        },
    },
    'pool-exhaustion acquire_ms' => {
        'one-shot' => sub {
            grows((map { my $mark = $patient->log->mark;
                once('pool-exhaustion', %CROWD, hold_s => 2, acquire_ms => $_);
                line($mark, 'POOL ERROR')->{waitedMs} } 200, 1200), 2,
                'milliseconds waited');
        },
        tool => sub {
            grows((map { my (undef, undef, undef, $lines) = tool(
                'pool-exhaustion', %CROWD, hold_s => 2, acquire_ms => $_);
                (map { $_->{waitedMs} } grep { $_->{type} eq 'POOL ERROR' }
                    @$lines)[0] } 200, 1200), 2, 'milliseconds waited');
        },
    },
    'memory-leak limit_mb' => {
        incident => sub {
            grows((map { my $i = lasting('memory-leak', duration_s => 3,
                limit_mb => $_)->{evidence};
                $i->{during}{rssMB} - $i->{before}{rssMB} } 16, 96), 2,
                'MB filled');
        },
        tool => sub {
            grows((map { (tool('memory-leak', duration_s => 2,
                limit_mb => $_))[0]{peakMB} } 16, 96), 2, 'MB filled');
        },
        'one-shot' => sub {
            grows((map { my ($of, %ids) = @$_;
                my $e = $of->wait_for_end($ids{'memory-leak'}, 60)->{evidence};
                $e->{during}{rssMB} - $e->{before}{rssMB} }
                [$aside[0], @small], [$aside[1], @large]), 2, 'MB filled');
        },
    },
    'memory-leak crash' => {
        incident => sub {
            my @pids;
            for my $crash (JSON::PP::false, JSON::PP::true) {
                push @pids, $patient->children;
                my $id = $patient->fall_ill('memory-leak', duration_s => 3,
                    limit_mb => 16, crash => $crash);
                # Who dies may take the question with him.
                await_end($id, port => $patient->port, bound => 40);
                wait_until(sub { scalar $patient->children == 1 }, 20);
            }
            push @pids, $patient->children;
            is($pids[1], $pids[0], 'false: the process lives');
            isnt($pids[2], $pids[1], 'true: another has taken its place');
        },
        tool => sub {
            is((tool('memory-leak', duration_s => 2, limit_mb => 16,
                crash => $_->[0]))[2], $_->[1], "$_->[0]: exit status")
                for ['false', 0], ['true', 134];
        },
        'one-shot' => sub {
            $_->[0]->wait_for_end({ @{ $_->[1] } }->{'memory-leak'}, 60)
                for [$aside[0], \@small], [$aside[1], \@large];
            ok((grep { $_ == $immortal } $aside[0]->children),
                'false: the process lives');
            ok(wait_until(sub { !grep { $_ == $mortal }
                $aside[1]->children }, 20), 'true: it is gone');
        },
    },
    'slow-query posts' => {
        'one-shot' => sub {
            grows((map { (once('slow-query', rows => 20_000,
                posts => $_))[0]{totalQueries} } 100, 300), 2, 'queries');
        },
        tool => sub {
            grows((map { (tool('slow-query', rows => 20_000,
                posts => $_))[0]{totalQueries} } 100, 300), 2, 'queries');
        },
    },
    'slow-query rows' => {
        'one-shot' => sub {
            grows((map { number((once('slow-query', posts => 20,
                rows => $_))[0]{totalTime}) } 2000, 200_000), 2,
                'milliseconds');
        },
        incident => sub {
            grows((map { my $rows = $_; my $id = $patient->fall_ill(
                'slow-query', duration_s => 60, rows => $rows);
                my $least;
                wait_until(sub { list();
                    $patient->incident($id)->{state} ne 'armed' }, 30);
                for (1 .. 3) {
                    my $took = list();
                    $least = $took if !defined $least || $took < $least;
                }
                $patient->ask(DELETE => '/api/chaos/slow-query');
                $patient->wait_for_end($id);
                $least } 2000, 300_000), 2, 'seconds of a list');
        },
        tool => sub {
            grows((map { number((tool('slow-query', posts => 20,
                rows => $_))[0]{totalTime}) } 2000, 200_000), 2,
                'milliseconds');
        },
    },
    'api-timeout timeout_ms' => {
        'one-shot' => sub {
            grows((map { number((once('api-timeout',
                timeout_ms => $_))[0]{elapsed}) } 200, 1200), 2,
                'milliseconds of a call');
        },
        incident => sub {
            grows((map { within('api-timeout', { timeout_ms => $_ },
                sub { post()->seconds }) } 200, 1200), 2,
                'seconds of a new post');
        },
        tool => sub {
            grows((map { number((tool('api-timeout',
                timeout_ms => $_))[0]{elapsed}) } 200, 1200), 2,
                'milliseconds of a call');
        },
    },
    'jwt-expiry lifetime_s' => {
        'one-shot' => sub {
            grows((map { my ($answer) = once('jwt-expiry', lifetime_s => $_);
                span($patient->wait_for_end($answer->{incident})) } 1, 5),
                1.5, 'seconds until it is over');
        },
        incident => sub {
            is(join(' ', map { within('jwt-expiry', { lifetime_s => $_ },
                \&lifetime) } 1, 5), '1 5', 'seconds that a token is good');
        },
        tool => sub {
            grows((map { (tool('jwt-expiry', lifetime_s => $_))[1] } 1, 5),
                1.5, 'seconds of a run');
        },
    },
    'high-cpu percent' => {
        incident => sub {
            burns(sub ($percent) { lasting('high-cpu', duration_s => 4,
                percent => $percent)->{evidence}{during}{cpuPercent} });
        },
        tool => sub {
            burns(sub ($percent) { number((tool('high-cpu', duration_s => 3,
                percent => $percent))[0]{cpuUsage}) });
        },
        'one-shot' => sub {
            grows((map { my ($of, %ids) = @$_;
                $of->wait_for_end($ids{'high-cpu'}, 60)
                    ->{evidence}{during}{cpuPercent} }
                [$aside[0], @small], [$aside[1], @large]), 1.5, 'percent');
        },
    },
    map({ my $name = $_; ("$name duration_s" => {
        incident => sub { grows((map { span(lasting($name,
            duration_s => $_)) } 1, 5), 1.5, 'seconds') },
        $name !~ /\A(?:memory-leak|high-cpu)\z/ ? () : (tool => sub {
            grows((map { number((tool($name, duration_s => $_))[0]{elapsed}) }
                1, 5), 1.5, 'milliseconds') }) }) }
        qw(db-fail pool-exhaustion memory-leak slow-query api-timeout
        jwt-expiry high-cpu)),
);

# ---- all that there are

my %left = %MEASURE;
for my $scenario (@{ $patient->ask(GET => '/api/chaos')->json
    ->{scenarios} }) {
    for my $parameter (@{ $scenario->{parameters} }) {
        my $name = "$scenario->{name} $parameter->{name}";
        my $ways = delete $left{$name};

        subtest "$name has an effect" => sub {
            ok($ways, 'it is measured') || return;
            for my $way (sort keys %$ways) {
                subtest $way => $ways->{$way};
            }
        };
        next if !$ways || $ways->{incident};
        subtest "$name is refused where it would have none" => sub {
            my $value = $parameter->{default};
            my $answer = $patient->ask(POST => "/api/chaos/$scenario->{name}",
                json => { duration_s => 1, $parameter->{name} => $value });
            is($answer->status, 400, 'an incident');
            like($answer->json->{error}, qr/\A$parameter->{name} is for a one-shot/,
                'which says so');
        };
    }
}

subtest 'and nothing is measured that is not there' => sub {
    is(join(', ', sort keys %left), '', 'every name is a parameter');
};

$_->stop for $patient, @aside;

done_testing;
