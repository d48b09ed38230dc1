# Every alarm of conf/ecs/patient.yaml, computed from the log of a patient that
# falls ill: it rings within the time that its description says, wherever the
# clock's minutes fall, stays while the illness lasts, ends after it, and is
# silent for a healthy patient. And patient-doctor, who reads the same log a page
# at a time, is right at any moment. build/t/pulse writes the log on a clock that
# runs fast; t/node/alarms.js computes as CloudWatch does.

use Patient;
use File::Temp ();
use JSON::PP ();
use Patient::Node;
use Patient::Server;

my $root = "$FindBin::Bin/..";
my $dir = File::Temp->newdir('patient-alarms-XXXXXX', TMPDIR => 1);
my $JSON = JSON::PP->new->utf8->canonical;

sub write_file ($name, $text) {
    open my $out, '>:raw', "$dir/$name" or die "$dir/$name: $!\n";
    print $out $text;
    close $out or die "$dir/$name: $!\n";
    return "$dir/$name";
}

# ---- the template's alarms

my %PARAMETERS = (
    ImageTag => '1.0.0', VpcId => 'vpc-1',
    PublicSubnetIds => 'subnet-1,subnet-2', PrivateSubnetIds => 'subnet-3',
    DbHost => 'db.example.org', DbSecurityGroupId => 'sg-1',
    map { $_ => "arn:aws:secretsmanager:eu-west-1:123456789012:secret:$_" }
        qw(DbPasswordSecretArn JwtSecretArn),
);
my $template = node('ecs.js', "$root/conf/ecs/patient.yaml",
    $JSON->encode({ least => \%PARAMETERS }), write_file(none => "{}\n"))
    ->{least}{resources};
my %ALARM = map { $_ => $template->{$_}{Properties} }
    grep { $template->{$_}{Type} eq 'AWS::CloudWatch::Alarm' }
    keys %$template;

# What rings for an illness, and the words of the description: after how many
# minutes at the latest, and how many after its last line it is over.
my %RINGS = (
    'db-failure'      => 'DatabaseAlarm',
    'pool-exhaustion' => 'PoolAlarm',
    'memory-leak'     => 'MemoryAlarm',
    'slow-query'      => 'QueryAlarm',
    'api-timeout'     => 'UpstreamAlarm',
    'jwt-expiry'      => 'TokenAlarm',
    'high-cpu'        => 'CpuAlarm',
    'process'         => 'ProcessAlarm',
);
my @SEVEN = grep { $_ ne 'process' } sort keys %RINGS;

sub said ($alarm, $pattern) {
    my $text = $ALARM{$alarm}{AlarmDescription} =~ s/\s+/ /gr;
    my ($minutes) = $text =~ $pattern or die "$alarm says no time: $text\n";
    return 60 * $minutes;
}

# With all that goes wrong: some alarms take longer then.
sub rings_within ($alarm, $names = 1) {
    return said($alarm, $names > 2 && $ALARM{$alarm}{AlarmDescription}
        =~ /all else/ ? qr/within (\d+)\s+minutes while all else/
        : qr/within (\d+) minutes/);
}
sub ends_after ($alarm) { return said($alarm, qr/ends (\d+) minutes/) }

# How long an illness must last for the alarm to promise something.
my %SPAN_MIN = (TokenAlarm => 30, PageAlarm => 600);

# ---- logs and what came of them

my @MINUTES = map { 7 * $_ } 0 .. 42;     # by which the clock is moved
my $LEAD = 900;
# The stack's service is made when its task has been well for a while, and the
# alarms after it.
my $BORN = 60;
my $TAIL = 1200;

sub write_log ($span, $every, @names) {
    state $count = 0;
    my $file = "$dir/log." . ++$count;
    my $command = join ' ', "'$root/build/t/pulse'", $LEAD, $span, $TAIL,
        $every, @names;

    system("$command >'$file'") == 0 or die "$command failed\n";
    return $file;
}

sub compute ($resources, @cases) {
    return @{ node('alarms.js', write_file(resources => $JSON->encode(
        $resources)), write_file(cases => $JSON->encode(\@cases))) };
}

sub a_case ($span, $every, @names) {
    return { log => write_log($span, $every, @names), shifts => \@MINUTES,
        born => $BORN, until => $LEAD + $span + $TAIL };
}

# What is wrong with how an alarm behaved in an illness of that span, whose
# last line came at $last.
sub misbehaved ($alarm, $changes, $span, $last, $names = 1) {
    my @rang = grep { $_->[1] eq 'ALARM' } @$changes;
    my @ended = grep { $_->[1] eq 'OK' && @rang && $_->[0] > $rang[0][0] }
        @$changes;

    return 'it is silent' unless @rang;
    return "it rings after " . ($rang[0][0] - $LEAD) . ' s'
        if $rang[0][0] - $LEAD > rings_within($alarm, $names)
            || $rang[0][0] < $LEAD;
    return 'it flaps' if @rang > 1;
    return 'it is endless' unless @ended;
    return 'it ends before its illness'
        if $ended[0][0] < $LEAD + $span && $span > 0;
    return 'it ends ' . ($ended[0][0] - $last) . ' s after the last line'
        if $ended[0][0] - $last > ends_after($alarm);
    return;
}

sub last_line ($file) {
    my ($time) = (grep { /"level":"(?:warning|error|fatal)"/ }
        split /\n/, Patient::Server::slurp($file))[-1]
        =~ /T(\d\d:\d\d:\d\d)/ or die;
    my ($h, $m, $s) = split /:/, $time;
    return 3600 * $h + 60 * $m + $s;
}

# Those that should, for each shift; and no other alarm.
sub all_is_well ($name, $case, $result, $span, @names) {
    my %should = map { $RINGS{$_} => 1 } @names;
    my $last = last_line($case->{log});
    my @faults;

    $should{PageAlarm} = 1 if $span >= $SPAN_MIN{PageAlarm};
    for my $alarm (sort keys %should) {
        next if $span < ($SPAN_MIN{$alarm} // 0);
        for my $i (0 .. $#MINUTES) {
            my $fault = misbehaved($alarm, $result->{$alarm}[$i], $span,
                $last, scalar @names) // next;
            push @faults, "$alarm, $MINUTES[$i] s: $fault: "
                . $JSON->encode($result->{$alarm}[$i]);
        }
    }
    for my $alarm (grep { !$should{$_} } sort keys %$result) {
        next if $alarm eq 'PageAlarm' && $span > 60;
        push @faults, map { "$alarm rings for nothing" }
            grep { $_->[1] eq 'ALARM' } map { @$_ } @{ $result->{$alarm} };
    }
    is(join("\n", @faults[0 .. ($#faults > 9 ? 9 : $#faults)]), '', $name);
}

# ---- the simulator itself

sub made_up (%alarm) {
    return { A => { Type => 'AWS::CloudWatch::Alarm', Properties => {
        Namespace => 'N', MetricName => 'M', Statistic => 'Sum', Period => 60,
        EvaluationPeriods => 3, Threshold => 1,
        ComparisonOperator => 'GreaterThanOrEqualToThreshold', %alarm } } };
}

# The state in the end for these minutes; x is breaching, 0 is not, - missing.
sub state_after ($points, %alarm) {
    my @points = split ' ', $points;
    my @series = map { [60 * $_ + 30, $points[$_] eq 'x' ? 1 : 0] }
        grep { $points[$_] ne '-' } 0 .. $#points;
    my ($result) = compute(made_up(%alarm), { shifts => [0],
        born => 60 * @points, until => 60 * @points,
        series => { 'N M' => \@series } });

    return $result->{A}[0][0][1] // 'INSUFFICIENT_DATA';
}

# CloudWatch's own table of three of three (Using Amazon CloudWatch alarms,
# "How alarm state is evaluated when data is missing").
subtest 'missing data is treated as CloudWatch treats it' => sub {
    my %table = (
        '0 - x - x' => 'OK OK OK',
        '0 - - - -' => 'OK OK OK',
        '- - - - -' => 'INSUFFICIENT_DATA ALARM OK',
        '0 x x - x' => 'ALARM ALARM ALARM',
    );
    for my $points (sort keys %table) {
        is(join(' ', map { state_after($points, TreatMissingData => $_) }
            qw(missing breaching notBreaching)), $table{$points}, $points);
    }
    is(state_after('x x 0 0 x', DatapointsToAlarm => 2), 'OK', '1 of 3');
    is(state_after('x x 0 x x', DatapointsToAlarm => 2), 'ALARM', '2 of 3');
    is(state_after('x x 0 0 x', DatapointsToAlarm => 1,
        TreatMissingData => 'notBreaching'), 'ALARM', '1 is enough');
};

subtest 'periods, sums and changes' => sub {
    my @series = ((map { [$_, 1] } 301 .. 309, 599, 600 .. 620),
        map { [60 * $_, 0] } 0 .. 29);
    my ($result) = compute(made_up(Period => 300, Threshold => 10,
        EvaluationPeriods => 1, TreatMissingData => 'notBreaching'),
        { shifts => [0, 10], until => 1800, series => { 'N M' => \@series } });

    is_deeply($result->{A}[0], [[120, 'OK'], [720, 'ALARM'], [1320, 'OK']],
        'ten in a full period, as late as it may come');
    is_deeply($result->{A}[1], [[170, 'OK'], [1010, 'ALARM'], [1310, 'OK']],
        'and by the clock: nine alone are none');
};

subtest 'a filter counts lines, takes values, and says 0 otherwise' => sub {
    my $log = write_file(lines => join '', map { $JSON->encode({
        timestamp => '2026-01-01T00:0' . $_->[0] . ':30.000Z', %{ $_->[1] } })
        . "\n" } [0, { type => 'A ERROR', n => 7 }], [1, { type => 'B' }],
        [2, { type => 'A ERROR' }]);
    my %got;

    for my $try (['{ $.type = "A *" }', '1'], ['?ERROR ?Error', '1'],
        ['{ ($.type = "A *") && ($.n > 0) }', '$.n'],
        ['{ ($.type = "B") || ($.type = "C") }', '1']) {
        my ($result) = compute({ %{ made_up(Threshold => 7,
            EvaluationPeriods => 1) }, F => {
            Type => 'AWS::Logs::MetricFilter', Properties => {
                FilterPattern => $try->[0], MetricTransformations => [{
                    MetricNamespace => 'N', MetricName => 'M',
                    MetricValue => $try->[1], DefaultValue => 0 }] } } },
            { log => $log, shifts => [0], until => 180 });
        $got{"$try->[0] $try->[1]"} = join ' ', map { $_->[1] }
            @{ $result->{A}[0] };
    }
    is_deeply(\%got, {
        '{ $.type = "A *" } 1' => 'OK', '?ERROR ?Error 1' => 'OK',
        '{ ($.type = "A *") && ($.n > 0) } $.n' => 'ALARM OK',
        '{ ($.type = "B") || ($.type = "C") } 1' => 'OK',
    }, 'as it should');
};

# ---- the template's alarms

subtest 'a healthy patient: none rings, not while the stack is made either' => sub {
    my $log = write_log(0, 1000);
    my ($result) = compute($template, { log => $log, shifts => \@MINUTES,
        born => $BORN, until => $LEAD + $TAIL });
    my @rang = map { my $name = $_; map { "$name $_->[0]" }
        grep { $_->[1] eq 'ALARM' } map { @$_ } @{ $result->{$name} } }
        sort keys %$result;

    is("@rang", '', 'silent');
    is($template->{SilenceAlarm}{DependsOn}, 'Service',
        'and SilenceAlarm is not made before');
};

subtest 'each illness alone, of any length, wherever the minutes fall' => sub {
    my (@cases, @what);
    for my $span (20, 30, 45, 60, 180, 600, 3600) {
        for my $name (sort keys %RINGS) {
            push @cases, a_case($span, $span > 600 ? 2000 : 1000, $name);
            push @what, [$span, $name];
        }
    }
    my @results = compute($template, @cases);
    all_is_well("$what[$_][1] for $what[$_][0] s", $cases[$_], $results[$_],
        @{ $what[$_] }) for 0 .. $#cases;
};

subtest 'pairs, and all seven, for an hour' => sub {
    my (@cases, @what);
    for my $i (0 .. $#SEVEN) {
        push @what, map { [$SEVEN[$i], $SEVEN[$_]] } $i + 1 .. $#SEVEN;
    }
    push @what, \@SEVEN, \@SEVEN;
    @cases = map { a_case(3600, 1000, @$_) } @what[0 .. $#what - 1];
    push @cases, a_case(3600, 100, @SEVEN);
    my @results = compute($template, @cases);
    all_is_well("@{ $what[$_] }", $cases[$_], $results[$_], 3600,
        @{ $what[$_] }) for 0 .. $#cases;

    # And if CloudWatch lets a period end at any minute.
    $_->{sliding} = JSON::PP::true for @cases;
    @results = compute($template, @cases);
    my @flaps = grep { (grep { $_->[1] eq 'ALARM' } @$_) != 1 }
        map { @{ $_->{PageAlarm} } } @results;
    is(scalar @flaps, 0, 'the original\'s alarm rings once for each');
};

subtest 'users rarely meet it: the original\'s alarm rings all the same' => sub {
    my @cases = map { a_case(3600, $_, 'db-failure') } 5000, 20_000, 29_000;
    my @results = compute($template, @cases);

    all_is_well("one in $cases[$_]{log}", $cases[$_], $results[$_], 3600,
        'db-failure') for 0 .. $#cases;
};

subtest 'one user with a token of last week rings nothing' => sub {
    my $case = a_case(3600, 120_000, 'jwt-expiry');
    my ($result) = compute($template, $case);

    is((grep { $_->[1] eq 'ALARM' } map { @$_ } map { @$_ }
        values %$result), 0, 'nor one every two minutes');
};

subtest 'outages that users feel' => sub {
    my (@cases, @last);
    for my $span (20, 60, 300) {
        my @series = map { [$LEAD + 2 * $_, 1] } 0 .. $span / 2 - 1;
        push @cases, { shifts => \@MINUTES, until => $LEAD + $span + $TAIL,
            series => {
                'AWS/ApplicationELB HTTPCode_Target_5XX_Count' => \@series } };
        push @last, $series[-1][0];
    }
    my @results = compute($template, @cases);
    for my $n (0 .. $#cases) {
        my @faults = map { misbehaved('FaultAlarm', $_, 0, $last[$n]) // () }
            @{ $results[$n]{FaultAlarm} };
        is("@faults", '', 'one 5xx in two seconds');
    }
};

subtest 'a task that hangs' => sub {
    my @series = map { [$LEAD + $_, 1] } map { 10 * $_ } 0 .. 12;
    my ($result) = compute($template, { shifts => \@MINUTES,
        until => $LEAD + $TAIL, series => {
            'AWS/ApplicationELB UnHealthyHostCount' =>
                [@series, map { [60 * $_, 0] } 0 .. 34] } });
    my @faults = map { misbehaved('UnhealthyAlarm', $_, 0, $series[-1][0])
        // () } @{ $result->{UnhealthyAlarm} };

    is("@faults", '', 'for two minutes');
};

subtest 'who is silent is missed, and welcome when it is back' => sub {
    my $log = write_log(2400, 1000);
    my @lines = split /\n/, Patient::Server::slurp($log);
    # From 00:20 to 00:45.
    my $silent = write_file(silent => join '', map { "$_\n" }
        grep { !/T00:(?:[23]\d|4[0-4]):/ } @lines);
    my ($result) = compute($template, { log => $silent, born => 300,
        shifts => \@MINUTES, until => 4200 });
    my @faults;

    for my $changes (@{ $result->{SilenceAlarm} }) {
        my ($rang, @more) = grep { $_->[1] eq 'ALARM' } @$changes;
        my ($back) = grep { $rang && $_->[1] eq 'OK' && $_->[0] > $rang->[0] }
            @$changes;
        push @faults, $JSON->encode($changes) unless $rang && !@more
            && $rang->[0] > 1200
            && $rang->[0] - 1142 <= rings_within('SilenceAlarm')
            && $back && $back->[0] - 2702 <= ends_after('SilenceAlarm');
    }
    is("@faults", '', 'once, in time');
};

# ---- the doctor

subtest 'the doctor is right at any moment of any of it' => sub {
    my %label = map { $_ => $_ } @SEVEN;
    my @what = ((map { [$_] } @SEVEN), [@SEVEN[0, 1]], [@SEVEN[2, 6]],
        \@SEVEN);

    for my $names (@what) {
        my $log = write_log(3600, 500, @$names);
        my @wrong;
        for my $minute (16, 17, 20, 25, 31, 44, 45, 46, 52, 60, 69, 74) {
            my $until = sprintf '2026-01-01T%02d:%02d:30.000Z', $minute / 60,
                $minute % 60;
            my $said = qx('$root/build/patient-doctor' --json --until $until '$log');
            my $answer = $JSON->decode($said);
            my $labels = join ' ', sort map { $_->{label} }
                @{ $answer->{detected_issues} };
            push @wrong, "$until: $labels, $answer->{page}{more} more"
                if $labels ne join(' ', sort @$names)
                    || $answer->{page}{more};
        }
        is(join("\n", @wrong), '', "@$names");
    }
};

done_testing;
