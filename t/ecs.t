# conf/ecs/patient.yaml fits AWS's own resource types, and what it repeats of
# the patient is as the patient has it: port, paths, variables, defaults,
# times, and the log patterns, which are held against lines that real failures
# left. t/node/ecs.js resolves and compares.

use Patient;
use File::Find ();
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Patient::Log;
use Patient::Node;
use Patient::Server;

my $root = "$FindBin::Bin/..";
my $dir = File::Temp->newdir('patient-ecs-XXXXXX', TMPDIR => 1);

sub source ($name) {
    my $text = Patient::Server::slurp("$root/$name");

    length $text or die "$name cannot be read\n";
    return $text;
}

# The part of a source that a pattern's first group is.
sub part ($name, $pattern) {
    my ($found) = source($name) =~ $pattern or die "$name: no $pattern\n";
    return $found;
}

# ---- lines that real failures leave, and lines of a server that is well

my %ILL = (
    'db-fail' => ['DatabaseFilter', '--mode=refused'],
    'pool-exhaustion' => ['PoolFilter', '--attempts=12', '--hold-s=1',
        '--acquire-ms=200'],
    'memory-leak' => ['MemoryFilter', '--limit-mb=16', '--duration-s=3'],
    'slow-query' => ['QueryFilter'],
    'api-timeout' => ['UpstreamFilter', '--timeout-ms=200'],
    'jwt-expiry' => ['TokenFilter'],
    'high-cpu' => ['CpuFilter', '--percent=10', '--duration-s=3'],
);
my @SCENARIOS = sort keys %ILL;
my $DOCTOR = qr/ERROR|Error|error|CRITICAL|FATAL|WARNING|Warning/;

sub fall_ill ($name) {
    my ($filter, @options) = @{ $ILL{$name} };
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', "$dir/$name";
        { exec "$root/build/patient-chaos", $name, @options }
        POSIX::_exit(127);
    }
    return $pid;
}

my $log = Patient::Log->new;
my $mark = $log->mark;

# A healthy server's, in the words of the sick.
for my $words ('SequelizeConnectionError', 'ETIMEDOUT', 'JWT ERROR') {
    request(GET => '/' . $words =~ s/ /%20/r, headers => {
        'User-Agent' => 'JavaScript heap out of memory' });
}
{
    my @pids = map { fall_ill($_) } @SCENARIOS;
    local $?;
    waitpid $_, 0 for @pids;
}
my @lines = grep { /"level":"info"/ } $log->raw_since($mark);
my %first = (well => [0 .. $#lines]);
for my $name (@SCENARIOS) {
    my @more = split /\n/, Patient::Server::slurp("$dir/$name");
    $first{$name} = [scalar @lines .. $#lines + @more];
    push @lines, @more;
}
open my $out, '>:raw', "$dir/log" or die "$dir/log: $!\n";
print $out map { "$_\n" } @lines;
close $out or die "$dir/log: $!\n";

# ---- the template, with as little and with as much as one may say

my %LEAST = (
    ImageTag => '1.0.0', VpcId => 'vpc-1',
    PublicSubnetIds => 'subnet-1,subnet-2', PrivateSubnetIds => 'subnet-3',
    DbHost => 'db.example.org', DbSecurityGroupId => 'sg-1',
    DbPasswordSecretArn => arn('db'), JwtSecretArn => arn('jwt'),
);
my %MOST = (%LEAST,
    CertificateArn => 'arn:aws:acm:eu-west-1:123456789012:certificate/1',
    DbPasswordSecretKey => 'password', DbCaSecretArn => arn('ca'),
    RedeployOnRotation => 'true',
    ChaosMode => 'true', ChaosTokenSecretArn => arn('chaos'),
    MaxTasks => 4, AlarmTopicArn => 'arn:aws:sns:eu-west-1:123456789012:x',
);

sub arn ($name) {
    return "arn:aws:secretsmanager:eu-west-1:123456789012:secret:$name";
}

my %WRONG = (
    'chaos without a token' => { ChaosMode => 'true' },
    'too little memory for the CPU' => { TaskCpu => '512' },
    'too much memory' => { TaskCpu => '256', TaskMemory => '4096' },
    'a CPU that there is not' => { TaskCpu => '300' },
    'a word that is none of its own' => { ImageTags => '1.0.0' },
    'no VPC' => { VpcId => undef },
);

my $resolved = node('ecs.js', "$root/conf/ecs/patient.yaml",
    JSON::PP->new->canonical->encode({ least => \%LEAST, most => \%MOST,
        map({ $_ => { %LEAST, %{ $WRONG{$_} } } } keys %WRONG),
        map { $_ => { %LEAST, TaskCpu => $_, TaskMemory => '2048' } }
        qw(256 512 1024) }), "$dir/log");
my ($least, $most) = @$resolved{qw(least most)};
my $sized = $resolved;

sub properties ($name, $of = $most) {
    return $of->{resources}{$name}{Properties} // die "there is no $name\n";
}

sub container ($of = $most) {
    return properties(Task => $of)->{ContainerDefinitions}[0];
}

# Both forms of lists of names and values: {NAME => VALUE}.
sub named ($list, $value = 'Value') {
    return { map { ($_->{Name} // $_->{Key}) => $_->{$value} } @$list };
}

subtest 'it fits the types that AWS publishes' => sub {
    is_deeply($least->{faults}, [], 'with the least that must be said');
    is_deeply($most->{faults}, [], 'with all that may be');
    isnt(scalar @{ $resolved->{$_}{faults} }, 0, "but not with $_")
        for sort keys %WRONG;
    # EC2 takes these alone, which no type tells.
    my @told = JSON::PP->new->encode([map { properties($_) } qw(
        BalancerSecurityGroup TaskSecurityGroup DatabaseIngress)])
        =~ /"(?:Group)?Description":"([^"]*)"/g;
    is((join "\n", grep { m{[^\w ./:()#,\@\[\]+=&;{}!\$*-]} } @told), '',
        'and what it says of security groups');
};

subtest 'the variables are the patient\'s' => sub {
    my $plain = named(container()->{Environment});
    my $secret = named(container()->{Secrets}, 'ValueFrom');
    my %known = map { $_ => 1 } source('.env.example') =~ /^#?([A-Z_]+)=/mg;
    # Of the launcher, and nothing to be said about them in a container.
    delete @known{qw(PATIENT_CHILDREN PATIENT_USER PATIENT_GROUP)};
    # ECS mounts no secret as a file.
    delete $known{DB_PASSWORD_FILE};
    # The alarms are made for the log's own pulse.
    delete $known{PATIENT_LOG_PULSE};

    is(join(' ', sort keys %$plain, keys %$secret),
        join(' ', sort keys %known), 'those of .env.example, each once');
    is(join(' ', sort keys %$secret), 'CHAOS_TOKEN DB_PASSWORD JWT_SECRET',
        'secrets come from where secrets are');
    is($secret->{DB_PASSWORD}, arn('db') . ':password::', 'one in JSON, too');

    my $default = named(container($least)->{Environment});
    for my $name (qw(PORT DB_PORT DB_NAME CHAOS_MODE CORS_ORIGIN DB_POOL_MAX
        DB_POOL_ACQUIRE_MS LOG_LEVEL)) {
        is($default->{$name}, part('conf/launcher/settings.sh',
            qr/"\$\{$name:=([^}]*)\}"/), "$name is what it is without");
    }
};

subtest 'a password that is rotated has new tasks start, if one wants it'
    => sub {
    my @parts = qw(RotationRule Redeployment RotationRole RedeploymentRole);
    is(scalar(grep { $least->{resources}{$_} } @parts), 0,
        'not unless asked for');

    my $pattern = properties('RotationRule')->{EventPattern};
    is_deeply($pattern, {
        source => ['aws.secretsmanager'],
        'detail-type' => ['AWS Service Event via CloudTrail'],
        detail => { eventSource => ['secretsmanager.amazonaws.com'],
            eventName => ['RotationSucceeded'],
            additionalEventData => { SecretId => [arn('db')] } },
    }, 'the rule waits for the rotation of that secret');
    my ($target) = @{ properties('RotationRule')->{Targets} };
    is($target->{Arn}, '<Redeployment>', 'and starts the state machine');
    is($target->{RoleArn}, '<RotationRole.Arn>', 'by a role of its own');

    my $machine = properties('Redeployment')->{Definition};
    my $step = $machine->{States}{ $machine->{StartAt} };
    is($step->{Resource}, 'arn:aws:states:::aws-sdk:ecs:updateService',
        'which asks ECS');
    is_deeply([@{ $step->{Parameters} }{qw(Cluster Service)}],
        ['<Cluster>', '<Service.Name>'], 'of this service');
    ok($step->{Parameters}{ForceNewDeployment}, 'for a new deployment');
    for my $role (['RotationRole', 'events.amazonaws.com',
        'states:StartExecution', '<Redeployment>'],
        ['RedeploymentRole', 'states.amazonaws.com', 'ecs:UpdateService',
        '<Service>']) {
        my ($name, $who, $action, $resource) = @$role;
        my $is = properties($name);
        my @may = map { @{ $_->{PolicyDocument}{Statement} } }
            @{ $is->{Policies} };
        is_deeply(\@may, [{ Effect => 'Allow', Action => $action,
            Resource => $resource }], "$name may do that and no more");
        is($is->{AssumeRolePolicyDocument}{Statement}[0]{Principal}{Service},
            $who, "for $who alone");
    }
};

subtest 'the patient may use all that the task has, and is told how much'
    => sub {
    for my $cpu (qw(256 512 1024)) {
        my $of = $sized->{$cpu};
        my $task = properties(Task => $of);
        my $patient = container($of);
        my $told = named($patient->{Environment});

        is_deeply($of->{faults}, [], "$cpu units");
        is($patient->{Memory}, $task->{Memory}, 'its memory is the task\'s');
        is($patient->{Cpu}, $task->{Cpu}, 'its CPUs are');
        is($told->{PATIENT_MEMORY_MB}, $task->{Memory}, 'in MiB');
        is($told->{PATIENT_CPUS}, $cpu / 1024, 'and in CPUs');
    }
};

subtest 'port and paths are the patient\'s' => sub {
    my $port = named(container()->{Environment})->{PORT};
    my ($alive) = container()->{HealthCheck}{Command}[1]
        =~ m{http://127\.0\.0\.1:$port(/\S*)\z};

    is($_, $port, 'the port') for container()->{PortMappings}[0]{ContainerPort},
        properties('Targets')->{Port},
        properties('Service')->{LoadBalancers}[0]{ContainerPort},
        map { @$_{qw(FromPort ToPort)} }
            properties('TaskSecurityGroup')->{SecurityGroupIngress}[0],
            properties('BalancerSecurityGroup')->{SecurityGroupEgress}[0];
    is($alive, properties('Targets')->{HealthCheckPath},
        'ECS asks what the load balancer asks');
    is(request(GET => $alive)->status, 200, 'and it is there');
    like(source('mod_patient/api/health.c'),
        qr/"\Q$alive\E", ROUTE_ANYONE, \w+,\s+[A-Z_ |]*ROUTE_VITAL/,
        'whatever burns');
};

subtest 'there is time enough for everything' => sub {
    my $balancer = named(properties('Balancer')->{LoadBalancerAttributes});
    my $targets = named(properties('Targets')->{TargetGroupAttributes});
    my $idle = $balancer->{'idle_timeout.timeout_seconds'};
    # A connection's deadline, and a write in doubt.
    my $longest = named(container()->{Environment})->{DB_POOL_ACQUIRE_MS}
        / 1000 + 5;
    my $stop = 0;
    $stop += $_ for source('conf/launcher/server.sh') =~
        /^stop_httpd\(\)\n\{.*?^\}/ms ? $& =~ /wait_gone \S+ (\d+)/g : die;

    cmp_ok($stop, '>=', part('conf/httpd.conf',
        qr/^GracefulShutdownTimeout (\d+)/m), 'the launcher waits for httpd');
    cmp_ok(container()->{StopTimeout}, '>', $stop, 'ECS for the launcher');
    cmp_ok(container()->{StopTimeout}, '<=', 120, 'as long as Fargate may');
    cmp_ok($targets->{'deregistration_delay.timeout_seconds'}, '>=', $longest,
        'a task that leaves finishes its requests');
    cmp_ok($idle, '>', $longest, 'the load balancer waits for an answer');
    cmp_ok(part('conf/httpd.conf', qr/^KeepAliveTimeout +(\d+)/m), '>', $idle,
        'and is the one who closes connections');
};

subtest 'a task can write where it must, and nowhere else' => sub {
    my $patient = container();
    my %mounted = map { $_->{ContainerPath} => $_ }
        @{ $patient->{MountPoints} };
    my $environment = named($patient->{Environment});

    ok($patient->{ReadonlyRootFilesystem}, 'the root is read-only');
    ok(!$mounted{ $environment->{PATIENT_RUN} }{ReadOnly},
        'the run directory is not');
    like($patient->{User}, qr/\A[1-9]\d*:[1-9]\d*\z/, 'it is not root');
    is_deeply(properties('TaskRole')->{Policies}, undef, 'it has no rights');

    # The certificate gets where DB_SSL_CA says: the very command, elsewhere.
    my $maker = properties('Task')->{ContainerDefinitions}[1];
    my $pem = "-----BEGIN 1\n\"\$x'\\\n-----END 1\n";
    local $ENV{DB_CA_PEM} = $pem =~ s/\n\z//r;
    my $command = $maker->{Command}[0] =~ s{/run/ca/}{$dir/}r;
    is(system($maker->{EntryPoint}[0], $maker->{EntryPoint}[1], $command), 0,
        'the certificate is written');
    is(Patient::Server::slurp("$dir/ca.pem"), $pem, 'as it is');
    is($environment->{DB_SSL_CA}, "$maker->{MountPoints}[0]{ContainerPath}"
        . '/ca.pem', 'where the patient looks');
    ok($mounted{ $maker->{MountPoints}[0]{ContainerPath} }{ReadOnly},
        'and cannot write');
};

subtest 'the image is the one that is built here' => sub {
    my $image = source('Dockerfile');
    my $patient = container();

    my $run = named($patient->{Environment})->{PATIENT_RUN};
    like($image, qr/^EXPOSE $patient->{PortMappings}[0]{ContainerPort}$/m,
        'its port');
    like($image, qr/^USER $patient->{User}$/m, 'its user');
    like($image, qr/\bPATIENT_RUN=\Q$run\E$/m, 'its run directory');
    like($image, qr/^VOLUME \Q$run\E$/m, 'which a mount takes over');
    my ($check) = $image =~ /^HEALTHCHECK .*?CMD ([^\n]*)/ms;
    is(($check // '') =~ s/"|\$\{PORT:-(\d+)\}/$1 \/\/ ''/ger,
        $patient->{HealthCheck}{Command}[1], 'its health check');
};

subtest 'its filters count real failures, and nothing else' => sub {
    my $matches = $most->{matches};

    # What no command line can make: a process that dies.
    is(join(' ', sort keys %$matches), join(' ', sort qw(PageFilter
        ProcessFilter TokenMoreFilter), map { $_->[0] } values %ILL),
        'one for each');
    is_deeply($matches->{PageFilter}, [grep { $lines[$_] =~ $DOCTOR }
        0 .. $#lines], 'PageFilter counts what the Doctor reads');
    is_deeply($matches->{$_}, [], "$_: none here")
        for qw(ProcessFilter TokenMoreFilter);
    for my $name (@SCENARIOS) {
        my $filter = $ILL{$name}[0];
        my %of_it = map { $_ => 1 } @{ $first{$name} };
        my @counted = @{ $matches->{$filter} };

        cmp_ok((scalar grep { $of_it{$_} } @counted), '>=', 1,
            "$filter counts $name") or diag(@lines[@{ $first{$name} }]);
        is_deeply([map { $lines[$_] } grep { !$of_it{$_} } @counted], [],
            'and nothing else');
    }
    cmp_ok(scalar @{ $first{well} }, '>=', 3, 'a healthy server said much');
};

# What the sources can say of an error, and httpd of itself.
subtest 'no error is counted by the original\'s filter alone' => sub {
    my %types = (HTTPD => 1);
    File::Find::find({ no_chdir => 1, wanted => sub {
        $types{$_} = 1 for -f && /(?:\.[chs]+|patientctl)\z/
            ? Patient::Server::slurp($_)
                =~ /(["'])([A-Z][A-Z ]* (?:ERROR|CRITICAL))\1/g : ();
    } }, "$root/mod_patient", "$root/conf");
    my @types = sort grep { length > 1 } keys %types;
    open my $file, '>', "$dir/types" or die "$dir/types: $!\n";
    print $file map { qq({"level":"error","type":"$_"}\n) } @types;
    close $file or die "$dir/types: $!\n";
    my $matches = node('ecs.js', "$root/conf/ecs/patient.yaml",
        JSON::PP->new->encode({ least => \%LEAST }), "$dir/types")
        ->{least}{matches};
    my %counted = map { $types[$_] => 1 }
        map { @{ $matches->{$_} } } grep { $_ ne 'PageFilter' } keys %$matches;

    cmp_ok(scalar @types, '>', 10, "there are some: @types");
    is(join(', ', grep { !$counted{$_} } @types), '', 'all are');
};

subtest 'each filter has its alarm, and the topic hears of all' => sub {
    my %statistic;
    for my $alarm (map { properties($_) } grep { /Alarm\z/ }
        keys %{ $most->{resources} }) {
        for my $at ($alarm->{MetricName}
            ? { Metric => $alarm, Stat => $alarm->{Statistic} }
            : map { $_->{MetricStat} // () } @{ $alarm->{Metrics} }) {
            $statistic{"$at->{Metric}{Namespace} $at->{Metric}{MetricName}"}
                = $at->{Stat};
        }
    }

    for my $filter (sort keys %{ $most->{matches} }) {
        my $made = properties($filter)->{MetricTransformations}[0];
        is($statistic{"$made->{MetricNamespace} $made->{MetricName}"}, 'Sum',
            "$filter: it adds up");
    }
    for my $name (grep { /Alarm\z/ } sort keys %{ $most->{resources} }) {
        is_deeply(properties($name)->{AlarmActions}, [$MOST{AlarmTopicArn}],
            $name);
        is(properties($name, $least)->{AlarmActions}, undef, 'or nobody');
    }
};

subtest 'the figures that it goes by are the patient\'s own' => sub {
    my $scaling = properties('ScalingByPool')
        ->{TargetTrackingScalingPolicyConfiguration};
    my $line = $log->wait_for($mark, sub ($line) { $line->{_aws} })
        // die "the patient writes no figures\n";
    my ($told) = @{ $line->{_aws}{CloudWatchMetrics} };

    for my $metric ($scaling->{CustomizedMetricSpecification},
        properties('SilenceAlarm')) {
        my $of = named($metric->{Dimensions});
        is($metric->{Namespace}, $told->{Namespace}, 'the namespace');
        is((scalar grep { $_->{Name} eq $metric->{MetricName} }
            @{ $told->{Metrics} }), 1, $metric->{MetricName});
        is(join(' ', sort keys %$of), join(' ', @{ $told->{Dimensions}[0] }),
            'the dimension');
        is($of->{$_}, $line->{$_}, $_) for keys %$of;
    }
    cmp_ok($scaling->{TargetValue}, '<', named(container($least)
        ->{Environment})->{DB_POOL_MAX}, 'more tasks before a pool is empty');
};

subtest 'the log driver never holds up who writes' => sub {
    for my $container (@{ properties('Task')->{ContainerDefinitions} }) {
        my $driver = $container->{LogConfiguration};
        is($driver->{LogDriver}, 'awslogs', $container->{Name});
        is($driver->{Options}{mode}, 'non-blocking', 'and does not block');
        like($driver->{Options}{'max-buffer-size'}, qr/\A\d+m\z/, 'a buffer');
    }
};

done_testing;
