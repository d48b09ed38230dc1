# What the patient may use, as the operator and ECS say it, and what follows
# from that: /health, the room for memory-leak, the measure of high-cpu. What
# control groups say is in t/unit/grant.c, and with real ones in
# t/cgroup-test.

use Patient;
use File::Temp ();
use POSIX ();
use Patient::Ill;
use Patient::Metadata;

# An order, and the answer to it.
sub order ($patient, $name, %body) {
    return $patient->ask(POST => "/api/chaos/$name", json => \%body);
}

sub total ($patient) {
    return $patient->ask(GET => '/health')->json->{memory}{total};
}

# CPUs, as the line of a load that is high says.
sub told_cpus ($patient) {
    my $mark = $patient->log->mark;
    my $line;

    $patient->fall_ill('high-cpu', duration_s => 30, percent => 10);
    $line = $patient->log->wait_for($mark, sub ($l) {
        ($l->{type} // '') eq 'CPU ERROR' }, 30);
    $patient->ask(POST => '/api/chaos/halt');
    return $line ? $line->{cpus} : 'no line';
}

my ($small) = Patient::Ill->new(PATIENT_MEMORY_MB => 300,
    PATIENT_CPUS => '0.25');

subtest 'what the operator says is what there is' => sub {
    is(total($small), '300.00MB', 'of memory');
    is(told_cpus($small), 0.25, 'of CPUs');
};

subtest 'what this machine cannot give is refused, and never cut down' => sub {
    my $answer = order($small, 'memory-leak', duration_s => 5,
        limit_mb => 290);
    my ($most) = ($answer->json->{error} // '') =~ /limit_mb\ must\ be\ at\ most
        \ (\d+)\ now:\ this\ machine\ has\ no\ more\ to\ give\z/x;

    is($answer->status, 422, 'as an incident');
    ok(defined $most, 'it says how much it can give')
        || diag($answer->summary);
    cmp_ok($most // 999, '<', 300, 'less than all');
    is(order($small, 'memory-leak', limit_mb => 290)->status, 422,
        'as a one-shot');
    my $id = $small->fall_ill('memory-leak', duration_s => 60,
        limit_mb => 0 + ($most // 1));
    is(order($small, 'memory-leak')->status, 409, 'that much is taken');
    $small->ask(DELETE => '/api/chaos/memory-leak');
    $small->wait_for_end($id);
};

subtest 'without a limit it fills what there is, says so, and nobody dies'
    => sub {
    my ($child) = $small->children;
    my $mark = $small->log->mark;
    my $id = $small->fall_ill('memory-leak', duration_s => 10);
    my $end = $small->wait_for_end($id);
    my %line = map { $_->{type} => $_ } grep { $_->{type} =~ /\AMEMORY / }
        $small->log->since($mark);

    is($end->{state}, 'recovered', 'it was felt');
    for my $type ('MEMORY WARNING', 'MEMORY CRITICAL', 'MEMORY ERROR') {
        ok($line{$type}, $type);
    }
    cmp_ok($line{'MEMORY ERROR'}{limitMB} // 0, '>', 100, 'most of it');
    cmp_ok($line{'MEMORY ERROR'}{limitMB} // 0, '<', 300, 'and not all');
    is($line{'MEMORY ERROR'}{grantedMB}, 300, 'of what it may use');
    ok((grep { $_ == $child } $small->children), 'the process lives');
};
undef $small;

# ---- beyond 512 MB

subtest 'PatientChaosMaxMemory over 512 means what it says' => sub {
    my ($copy, $keep) = Patient::Server->copy_project;
    open my $out, '>>', "$copy/conf/chaos.conf" or die $!;
    print {$out} "PatientChaosMaxMemory 700\n";
    close $out;
    my $patient = Patient::Ill->new(project => $copy);
    my $mark = $patient->log->mark;
    my $id = $patient->fall_ill('memory-leak', duration_s => 10,
        limit_mb => 640);
    my $end = $patient->wait_for_end($id);
    my ($line) = grep { $_->{type} eq 'MEMORY ERROR' }
        $patient->log->since($mark);

    is($end->{state}, 'recovered', 'it was felt');
    is($line->{limitMB}, 640, 'the limit is what was asked for');
    cmp_ok($line->{usedMB}, '>', 620, 'and is filled');
    cmp_ok($end->{evidence}{during}{rssMB}, '>', 600, 'really');
    is(order($patient, 'memory-leak', limit_mb => 701)->status, 422,
        'over it is refused');
    my ($limit) = grep { $_->{name} eq 'limit_mb' } map {
        @{ $_->{parameters} } } grep { $_->{name} eq 'memory-leak' }
        @{ $patient->ask(GET => '/api/chaos')->json->{scenarios} };
    is($limit->{max}, 700, 'the catalogue says so, too');
};

# ---- on ECS

my $FARGATE = { Limits => { CPU => 0.25, Memory => 512 } };
my @CASES = (
    [ 'the task\'s limits', { '/task' => $FARGATE, '' => {} },
        '512.00MB', 0.25 ],
    [ 'the container\'s', { '/task' => {},
        '' => { Limits => { CPU => 256, Memory => 400 } } },
        '400.00MB', 0.25 ],
    [ 'the container\'s, if they are smaller', { '/task' => $FARGATE,
        '' => { Limits => { CPU => 128, Memory => 256 } } },
        '256.00MB', 0.125 ],
    [ 'the task\'s, where the container has no share of CPUs of its own',
        { '/task' => $FARGATE, '' => { Limits => { CPU => 2 } } },
        '512.00MB', 0.25 ],
    [ 'of a task with much else to say', { '/task' => { %$FARGATE,
        Containers => [ ('x' x 20_000) x 10 ] }, '' => {} },
        '512.00MB', 0.25 ],
);
for my $case (@CASES) {
    my ($what, $answers, $memory, $cpus) = @$case;
    subtest "on ECS: $what" => sub {
        my $ecs = Patient::Metadata->new($answers);
        my $patient = Patient::Ill->new(
            ECS_CONTAINER_METADATA_URI_V4 => $ecs->url);

        is(total($patient), $memory, 'memory');
        is(told_cpus($patient), $cpus, 'CPUs');
    };
}

subtest 'on ECS: an older platform' => sub {
    my $ecs = Patient::Metadata->new({ '/task' => $FARGATE, '' => {} });

    is(total(Patient::Ill->new(ECS_CONTAINER_METADATA_URI => $ecs->url)),
        '512.00MB', 'its name for the endpoint will do');
    my $nobody = Patient::Metadata->new('{}');
    is(total(Patient::Ill->new(ECS_CONTAINER_METADATA_URI => $nobody->url,
        ECS_CONTAINER_METADATA_URI_V4 => $ecs->url)), '512.00MB',
        'the newer one comes first');
};

my $machine = total(Patient::Ill->new);
for my $limits ('null', '[]', '{}', '{"CPU":"1","Memory":"512"}',
    '{"CPU":-1,"Memory":-1}', '{"CPU":0,"Memory":0}',
    '{"CPU":null,"Memory":1e300}') {
    subtest "on ECS: Limits that are none: $limits" => sub {
        my $ecs = Patient::Metadata->new(qq({"Limits":$limits}));

        is(total(Patient::Ill->new(
            ECS_CONTAINER_METADATA_URI_V4 => $ecs->url)), $machine,
            'it is the machine\'s');
    };
}

subtest 'on ECS: the operator has the smaller word' => sub {
    my $ecs = Patient::Metadata->new({ '/task' => $FARGATE, '' => {} });

    is(total(Patient::Ill->new(PATIENT_MEMORY_MB => 200,
        ECS_CONTAINER_METADATA_URI_V4 => $ecs->url)), '200.00MB', 'less');
    is(total(Patient::Ill->new(PATIENT_MEMORY_MB => 4096,
        ECS_CONTAINER_METADATA_URI_V4 => $ecs->url)), '512.00MB',
        'but no more than there is');
};

subtest 'on ECS: who does not answer holds nothing up for long' => sub {
    my $ecs = Patient::Metadata->new({ '/task' => undef, '' => undef });
    my $patient = Patient::Ill->new(
        ECS_CONTAINER_METADATA_URI_V4 => $ecs->url);

    is(scalar($ecs->asked), 1, 'one question, and its second is over');
    is(total($patient), $machine, 'it is the machine\'s');
};

# ---- patient-chaos

my $dir = File::Temp->newdir('patient-grant-XXXXXX', TMPDIR => 1);

# (exit status, stderr)
sub tool ($env, @args) {
    local $?;
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        @ENV{ keys %$env } = values %$env;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', "$dir/err";
        { exec "$FindBin::Bin/../build/patient-chaos", @args }
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    return ($? >> 8, Patient::Server::slurp("$dir/err"));
}

subtest 'patient-chaos goes by the same' => sub {
    my $ecs = Patient::Metadata->new({ '/task' => $FARGATE, '' => {} });
    my %env = (ECS_CONTAINER_METADATA_URI_V4 => $ecs->url);
    my ($status, $said) = tool({ PATIENT_MEMORY_MB => 300 }, 'memory-leak',
        '--limit-mb=290');

    is($status, 2, 'more than there is is refused');
    like($said, qr/--limit-mb must be at most \d+ now: /, 'in clear words');
    is((tool({ %env }, 'memory-leak', '--limit-mb=500'))[0], 2,
        'on ECS, too');
    for my $bad ([PATIENT_MEMORY_MB => '300MB'], [PATIENT_MEMORY_MB => '1'],
        [PATIENT_CPUS => 'two'], [PATIENT_CPUS => '0']) {
        ($status, $said) = tool({ @$bad }, 'jwt-expiry');
        is($status, 2, "$bad->[0]=$bad->[1]");
        like($said, qr/\b$bad->[0] must be .*"\Q$bad->[1]\E"/, 'is named');
    }
    ($status, $said) = tool({ %env }, 'high-cpu', '--duration-s=3',
        '--percent=50');
    is($status, 0, 'a quarter of a CPU is soon busy');
    like($said, qr/"type":"CPU ERROR".*"cpus":0\.25\b/, 'and is what counts');
};

done_testing;
