# GET /api/metrics and GET /metrics: the same figures, over all children.

use Patient;
use Patient::Log;

sub metrics () { return request(GET => '/api/metrics')->json }

subtest 'GET /api/metrics has what the original had, and more' => sub {
    my $answer = request(GET => '/api/metrics');

    is_json($answer, 200, 'it is JSON');
    has_shape($answer->json, {
        timestamp => TIME,
        uptime    => NUMBER,
        memory    => { rss => INT, heapTotal => INT, heapUsed => INT,
            external => INT, '...' => 1 },
        cpu       => { user => INT, system => INT, '...' => 1 },
        env       => { serverVersion => STRING, platform => STRING,
            nodeEnv => $ENV{NODE_ENV}, '...' => 1 },
        requests  => { total => INT, '...' => 1 },
        pool      => { max => INT, inUse => INT, waiting => INT,
            timeouts => INT, '...' => 1 },
        '...' => 1,
    }, 'with the promised fields');
};

subtest 'the figures are of this server' => sub {
    my $metrics = metrics();

    is($metrics->{pool}{max}, $ENV{DB_POOL_MAX} * $ENV{PATIENT_CHILDREN},
        'each child has a pool of DB_POOL_MAX connections');
    cmp_ok($metrics->{memory}{rss}, '>', 1_000_000, 'rss is in bytes');
    cmp_ok($metrics->{memory}{heapUsed}, '<=', $metrics->{memory}{rss},
        'what is used of the heap is resident');
    cmp_ok($metrics->{cpu}{user}, '>=', 0, 'time is not negative');
    cmp_ok($metrics->{cpu}{user}, '<', 3_600_000_000, 'in microseconds');
};

subtest 'nothing is in use while nothing is asked for' => sub {
    ok(wait_until(sub {
        my $pool = metrics()->{pool};
        return $pool->{inUse} == 0 && $pool->{waiting} == 0;
    }), 'no connection, and nobody waits for one');
};

subtest 'cpu time grows with work, and only grows' => sub {
    my $before = metrics()->{cpu};

    # A login is one bcrypt, some 50 ms of work.
    request(POST => '/api/auth/login',
        json => { email => new_email(), password => password() }) for 1 .. 4;
    my $after;
    ok(wait_until(sub {
        $after = metrics()->{cpu};
        $after->{user} + $after->{system}
            >= $before->{user} + $before->{system} + 50_000;
    }), 'by at least a quarter of that');
};

# ---- Prometheus

# The text format, strictly: {types}{NAME}, {helps}{NAME}, and {samples}, a
# list of [NAME, {LABELS}, VALUE]. Dies at a line that it does not allow.
sub parse ($text) {
    my %page = (types => {}, helps => {}, samples => []);
    my $label = qr/[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"/;

    $text =~ /\n\z/ or die "the last line does not end\n";
    for my $line (split /\n/, $text) {
        if ($line =~ /\A# HELP ([a-zA-Z_:][\w:]*) (.+)\z/) {
            $page{helps}{$1}++ and die "two HELP lines: $line\n";
        }
        elsif ($line =~ /\A# TYPE ([\w:]+) (counter|gauge|histogram)\z/) {
            $page{types}{$1} and die "two TYPE lines: $line\n";
            $page{types}{$1} = $2;
        }
        elsif ($line
            =~ /\A([a-zA-Z_:][\w:]*)(?:\{((?:$label,?)*)\})? (\S+)\z/) {
            my ($name, $labels, $value) = ($1, $2 // '', $3);
            $value =~ /\A[-+]?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|Inf|NaN)\z/
                or die "no number: $line\n";
            push @{ $page{samples} },
                [$name, { $labels =~ /(\w+)="((?:[^"\\]|\\.)*)"/g }, $value];
        }
        else {
            die "not in the format: $line\n";
        }
    }
    return \%page;
}

sub scrape () { return parse(request(GET => '/metrics')->body) }

sub key ($labels, @but) {
    my %labels = %$labels;
    delete @labels{@but};
    return join ',', map { "$_=$labels{$_}" } sort keys %labels;
}

# NAME with a suffix -> the family that it belongs to.
sub family ($page, $name) {
    return $name if $page->{types}{$name};
    my $stem = $name =~ s/_(?:bucket|sum|count)\z//r;
    return $page->{types}{$stem} ? $stem : undef;
}

subtest 'GET /metrics is Prometheus text' => sub {
    my $answer = request(GET => '/metrics');

    is($answer->status, 200, 'it is there');
    like(scalar $answer->header('Content-Type'),
        qr{\Atext/plain; version=0\.0\.4}, 'its type');
    my $page = parse($answer->body);
    my %series;
    for my $sample (@{ $page->{samples} }) {
        my ($name, $labels) = @$sample;
        my $family = family($page, $name);
        ok(defined $family, "$name has a type") or next;
        ok($page->{helps}{$family}, "$name has a help");
        is($series{"$name\{" . key($labels) . '}'}++, 0,
            "$name\{" . key($labels) . '} stands once');
        like($name, qr/_total\z/, "$name is a counter, so ends in _total")
            if $page->{types}{$family} eq 'counter';
    }
};

# OpenMetrics and every client library write numbers so.
subtest 'every number is in its shortest form, no digit to no purpose' => sub {
    my $shortest = qr/\A-?(?:0|[1-9]\d*)(?:\.\d*[1-9])?\z/;
    my (%le, @long);

    request(GET => '/api/posts/x');
    for my $sample (@{ scrape()->{samples} }) {
        my ($name, $labels, $value) = @$sample;
        my $le = $labels->{le};

        $le{$le} = 1 if defined $le;
        push @long, grep { !/$shortest/ } $value,
            grep { defined && $_ ne '+Inf' } $le;
        push @long, "$name $value" if $value =~ /\./
            && $name !~ /_seconds(?:_total|_sum)?\z/;
    }
    is("@long", '', 'values and bounds; fractions are of seconds alone');
    is(join(' ', sort { $a <=> $b } keys %le), '0.001 0.0025 0.005 0.01 '
        . '0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 +Inf', 'the bounds')
};

subtest 'HEAD /metrics works' => sub {
    is(request(HEAD => '/metrics')->status, 200, 'it does');
};

# Histograms: FAMILY -> series without le -> {le => value}, and _sum, _count.
sub histograms ($page) {
    my (%buckets, %sums, %counts);

    for my $sample (@{ $page->{samples} }) {
        my ($name, $labels, $value) = @$sample;
        my $family = family($page, $name) // next;
        next unless $page->{types}{$family} eq 'histogram';
        my $series = "$family\{" . key($labels, 'le') . '}';
        $buckets{$series}{ $labels->{le} } = $value if $name =~ /_bucket\z/;
        $sums{$series} = $value if $name =~ /_sum\z/;
        $counts{$series} = $value if $name =~ /_count\z/;
    }
    return (\%buckets, \%sums, \%counts);
}

subtest 'durations are histograms per route and status class' => sub {
    my $page = scrape();
    my ($name) = grep { $page->{types}{$_} eq 'histogram' && /duration/ }
        sort keys %{ $page->{types} };

    ok($name, 'there is a histogram of durations');
    like($name, qr/_seconds\z/, 'in seconds');
    for my $sample (grep { $_->[0] eq "${name}_count" }
        @{ $page->{samples} }) {
        my $labels = $sample->[1];
        ok(length($labels->{route} // ''), 'with a route');
        ok((grep { /\A[1-5]xx\z/ } values %$labels), 'and a status class');
    }
};

subtest 'a histogram never falls, and ends at its count' => sub {
    my ($buckets, $sums, $counts) = histograms(scrape());

    for my $series (sort keys %$buckets) {
        my %bucket = %{ $buckets->{$series} };
        my @bounds = sort { $a <=> $b } grep { $_ ne '+Inf' } keys %bucket;
        my ($last, @falls) = (0);
        for my $bound (@bounds, '+Inf') {
            push @falls, $bound if $bucket{$bound} < $last;
            $last = $bucket{$bound};
        }
        cmp_ok(@bounds, '>=', 5, "$series has enough buckets");
        is("@falls", '', 'each is at least the one before');
        is($bucket{'+Inf'}, $counts->{$series}, '+Inf is the count');
        cmp_ok($sums->{$series}, '>=', 0, 'the sum is there');
    }
};

subtest 'route labels are patterns, never what a visitor typed' => sub {
    request(GET => $_) for '/api/posts/4711', '/no/such/route', '/%22%0a';
    my $body = request(GET => '/metrics')->body;

    # In a label alone: a figure may well have these digits.
    unlike($body, qr/="[^"]*(?:4711|such)/, 'no id and no unknown path');
    like($body, qr!"/api/posts/:id"!, 'but the pattern');
};

# ---- over all children

# Asks until answers came from as many processes as the server has.
sub ask_all_children ($path) {
    my $log = Patient::Log->new;
    my $mark = $log->mark;
    my ($asked, %pids) = (0);

    wait_until(sub {
        # Many at once, so that more than one child has to take them.
        my @connections = map { connection() } 1 .. 12;
        $_->send($_->compose(GET => $path)) for @connections;
        $_->read for @connections;
        $asked += @connections;
        %pids = map { $_->{pid} => 1 }
            grep { $_->{type} eq 'REQUEST' } $log->since($mark);
        return keys %pids >= $ENV{PATIENT_CHILDREN};
    }, 30);
    return ($asked, scalar keys %pids);
}

subtest 'requests are counted once, whichever child answered' => sub {
    my $before = metrics();
    my (undef, undef, $was) = histograms(scrape());
    my ($asked, $children) = ask_all_children('/api/posts/x');
    is($children, $ENV{PATIENT_CHILDREN}, 'every child had some of them');

    my ($now, $after);
    ok(wait_until(sub {
        (undef, undef, $now) = histograms(scrape());
        $after = metrics();
        my @grown = grep { $now->{$_} - ($was->{$_} // 0) == $asked }
            grep { /route=[^,]*posts/ && /4xx/ } keys %$now;
        return @grown == 1;
    }, 5), "one series of 4xx on posts grew by $asked");
    cmp_ok($after->{requests}{total} - $before->{requests}{total}, '>=',
        $asked, 'and so did the total in /api/metrics, with the asking');
    is($after->{requests}{'4xx'} - $before->{requests}{'4xx'}, $asked,
        '4xx by exactly that many');
};

subtest 'each child gives the same answer' => sub {
    my @connections = map { connection() } 1 .. 24;

    $_->send($_->compose(GET => '/api/metrics')) for @connections;
    my @answers = map { $_->read->json } @connections;
    my @rss = sort { $a <=> $b } map { $_->{memory}{rss} } @answers;
    my @up = sort { $a <=> $b } map { $_->{uptime} } @answers;
    cmp_ok($rss[-1], '<', 1.5 * $rss[0],
        'the memory is of all, not of the one that answered');
    cmp_ok($up[-1] - $up[0], '<', 30, 'the uptime is the server\'s');
};

subtest 'both pages show the same figures' => sub {
    my $page = scrape();
    my %value = map { $_->[0] => $_->[2] }
        grep { !keys %{ $_->[1] } } @{ $page->{samples} };
    my ($max) = grep { /pool/ && /max/ } keys %value;
    my ($timeouts) = grep { /pool/ && /timeouts/ } keys %value;
    my $metrics = metrics();

    is($value{ $max // '' } + 0, $metrics->{pool}{max}, 'the pool\'s size');
    is($value{ $timeouts // '' } + 0, $metrics->{pool}{timeouts},
        'its timeouts');
};

done_testing;
