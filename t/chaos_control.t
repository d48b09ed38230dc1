# The operator's switchboard: what may be asked of it, and what it says of
# what is running. Whichever child answers, it knows.

use Patient;
use Patient::Incident;
use Patient::Lateness;
use Patient::Log;
use Time::HiRes qw(time);

my $late = Patient::Lateness->new;
my $log = Patient::Log->new;
my $mark = $log->mark;

# So many that every child is asked, whatever their number.
use constant ASK_ALL => 12;

my %FIGURES = map { $_ => NUMBER } qw(requests status4xx status5xx
    poolTimeouts waitingPeak met felt p95Ms rssMB cpuPercent);

subtest 'the catalogue has all seven, with what they take' => sub {
    my $answer = request(GET => '/api/chaos');
    is_json($answer, 200, 'it is JSON');
    my %found = map { $_->{name} => $_ } @{ $answer->json->{scenarios} };

    is(join(' ', sort keys %found), join(' ', SCENARIOS), 'all seven');
    for my $name (SCENARIOS) {
        has_shape($found{$name}, {
            name => $name, title => STRING, summary => STRING,
            signal => STRING, open => TRUE, running => NULL,
            last => sub ($v) { 1 },
            parameters => [{ name => STRING, help => STRING, type => STRING,
                default => sub ($v) { 1 }, '...' => 1 }],
        }, $name);
        is((grep { $_->{name} eq 'duration_s' && $_->{max} > 0 }
            @{ $found{$name}{parameters} }), 1, 'each may last');
    }
};

subtest 'an incident is 202, with where to look at it' => sub {
    my $answer = chaos('jwt-expiry', { duration_s => 60, lifetime_s => 3 });
    is_json($answer, 202, 'accepted');
    my $now = $answer->json;
    has_shape($now, {
        id => qr/\A[0-9a-f]{16}\z/, scenario => 'jwt-expiry',
        kind => 'incident', state => 'armed', recovering => FALSE,
        armedAt => TIME, injectedAt => NULL, witnessedAt => NULL,
        toldAt => NULL, endedAt => NULL, endsAt => TIME,
        parameters => { lifetime_s => '3' },
        evidence => { before => {%FIGURES}, during => {%FIGURES} },
    }, 'what it is');
    is($answer->header('Location'), "/api/chaos/incidents/$now->{id}",
        'Location');
    my $span = moment($now->{endsAt}) - moment($now->{armedAt});
    cmp_ok(abs($span - 60), '<', 0.1, 'it ends when it was said to');

    for (1 .. ASK_ALL) {
        is(incident($now->{id})->{state}, 'armed', 'any child knows it')
            or last;
    }
    my $list = request(GET => '/api/chaos/incidents')->json->{incidents};
    is($list->[0]{id}, $now->{id}, 'the list has it first');
    my ($entry) = grep { $_->{name} eq 'jwt-expiry' }
        @{ request(GET => '/api/chaos')->json->{scenarios} };
    is($entry->{running}{id}, $now->{id}, 'the catalogue says that it runs');
};

subtest 'a second start of the same is 409 and names the first' => sub {
    my ($first) = @{ request(GET => '/api/chaos/incidents')
        ->json->{incidents} };
    for (1 .. ASK_ALL) {
        my $answer = chaos('jwt-expiry', { duration_s => 5 });
        is_error($answer, 409, qr/running/, 'an incident') or last;
        is($answer->json->{incident}, $first->{id}, 'which one');
    }
    my $answer = chaos('jwt-expiry');
    is_error($answer, 409, qr/running/, 'a one-shot too');
    is($answer->json->{incident}, $first->{id}, 'which one');
    is(incident($first->{id})->{state}, 'armed', 'the first goes on');
};

subtest 'DELETE ends it within a second, and may come again' => sub {
    my ($first) = @{ request(GET => '/api/chaos/incidents')
        ->json->{incidents} };
    my $asked = time;
    my $answer = request(DELETE => '/api/chaos/jwt-expiry');

    is_json($answer, 200, 'DELETE');
    is($answer->json->{incident}, $first->{id}, 'says which');
    my $then = await_end($first->{id});
    cmp_ok(moment($then->{endedAt}) - $asked, '<', 1 + $late->since($asked),
        'soon');
    is($then->{recovering}, JSON::PP::false, 'nothing is left to do');
    for (1 .. 3) {
        $answer = request(DELETE => '/api/chaos/jwt-expiry');
        is_json($answer, 200, 'again');
        is($answer->json->{incident}, undef, 'there was nothing');
    }
};

subtest 'what nothing felt is invalid, and says why' => sub {
    my %ill = map { $_ => arm($_, { duration_s => 1 }) }
        qw(db-fail api-timeout jwt-expiry);

    for my $name (sort keys %ill) {
        my $then = await_end($ill{$name});
        is($then->{state}, 'invalid', $name);
        like($then->{evidence}{why}, qr/\w+ \w+/, 'why');
        is($then->{witnessedAt}, undef, 'nobody has seen it');
        my $armed = moment($then->{armedAt});
        my $over = moment($then->{endedAt}) - $armed - 1;
        cmp_ok($over, '>=', 0, 'not before its time');
        cmp_ok($over, '<', 1 + $late->since($armed), 'and not long after');
    }
};

subtest 'halt ends all that runs, and may come again' => sub {
    my @ids = map { arm($_, { duration_s => 60 }) }
        qw(db-fail api-timeout jwt-expiry);
    my $answer = request(POST => '/api/chaos/halt');

    is_json($answer, 200, 'halt');
    is($answer->json->{stopped}, 3, 'three');
    is(request(GET => '/api/posts')->status, 200, 'nobody feels it any more');
    await_end($_, bound => 5) for @ids;
    for (1 .. 2) {
        $answer = request(POST => '/api/chaos/halt');
        is_json($answer, 200, 'again');
        is($answer->json->{stopped}, 0, 'nothing');
    }
};

subtest 'a parameter that nobody knows, or mistyped, is 400' => sub {
    my @bad = (
        ['db-fail', { duration_s => '5' }], ['db-fail', { duration_s => 1.5 }],
        ['db-fail', { duration_s => JSON::PP::true }],
        ['db-fail', { duration_s => undef }],
        ['db-fail', { duration_s => [5] }],
        ['db-fail', { duration_s => 5, mode => 'perhaps' }],
        ['db-fail', { duration_s => 5, lifetime_s => 1 }],
        ['pool-exhaustion', { attempts => 'many' }],
        ['pool-exhaustion', { hold => 5 }],
        ['memory-leak', { duration_s => 5, crash => 'true' }],
        ['memory-leak', { duration_s => 5, limit_mb => '128' }],
        ['slow-query', { posts => {} }],
        ['api-timeout', { duration_s => 5, timeout => 3000 }],
        ['jwt-expiry', { lifetime_s => 0.5 }],
        ['high-cpu', { duration_s => 5, percent => '98%' }],
        ['high-cpu', { Duration_S => 5 }],
    );
    for my $bad (@bad) {
        my ($name, $body) = @$bad;
        my $sentence = "$name " . JSON::PP->new->canonical->encode($body);
        my ($key) = grep { $_ ne 'duration_s' || 1 == keys %$body }
            sort keys %$body;
        is_error(chaos($name, $body), 400, qr/\Q$key\E/, $sentence);
    }
};

subtest 'a value over its cap is 422' => sub {
    my %over = (
        'db-fail' => { timeout_ms => 3_600_000 },
        'pool-exhaustion' => { attempts => 100_000 },
        'memory-leak' => { limit_mb => 1_000_000 },
        'slow-query' => { rows => 100_000_000 },
        'api-timeout' => { timeout_ms => 3_600_000 },
        'jwt-expiry' => { lifetime_s => 86_400 },
        'high-cpu' => { percent => 101 },
    );
    for my $name (SCENARIOS) {
        my ($key) = keys %{ $over{$name} };
        is_error(chaos($name, { duration_s => 5, %{ $over{$name} } }), 422,
            qr/\b$key\b/, "$name: $key");
        is_error(chaos($name, { duration_s => 864_000 }), 422,
            qr/\bduration_s\b/, "$name: ten days");
        is_error(chaos($name, { duration_s => 0 }), 422,
            qr/\bduration_s\b/, "$name: no time");
    }
};

subtest 'what was refused has begun nothing' => sub {
    my $all = request(GET => '/api/chaos')->json->{scenarios};
    is((grep { defined $_->{running} } @$all), 0, 'nothing runs');
};

subtest 'what is not there is 404, another method 405' => sub {
    is_error(request(GET => '/api/chaos/incidents/0123456789abcdef'), 404,
        qr/./, 'no such incident');
    is_error(chaos('no-such-thing'), 404, qr/./, 'no such scenario');
    is_error(request(DELETE => '/api/chaos/no-such-thing'), 404, qr/./,
        'nor to delete');
    # A path of its own is none of the paths of scenarios.
    my %allowed = (
        '/api/chaos' => 'GET, HEAD, OPTIONS',
        '/api/chaos/incidents' => 'GET, HEAD, OPTIONS',
        '/api/chaos/page' => 'GET, HEAD, OPTIONS',
        '/api/chaos/halt' => 'POST, OPTIONS',
        '/api/chaos/ledger' => 'GET, HEAD, OPTIONS',
        '/api/chaos/high-cpu' => 'GET, HEAD, POST, DELETE, OPTIONS',
    );
    for my $path (sort keys %allowed) {
        my $answer = request(PUT => $path);
        is_error($answer, 405, qr/./, "PUT $path");
        is(scalar $answer->header('Allow'), $allowed{$path}, 'Allow');
    }
};

subtest 'a one-shot and an incident of another kind run side by side' => sub {
    my $id = arm('jwt-expiry', { duration_s => 30 });
    is_json(chaos('db-fail', { mode => 'refused' }), 200, 'the one-shot');
    is(request(GET => '/api/posts')->status, 200,
        'no user feels a one-shot');
    halt();
    is(incident($id)->{state}, 'invalid', 'the incident ended');
};

subtest 'one scenario: what it takes, what runs, what ran last' => sub {
    my $id = arm('jwt-expiry', { duration_s => 30 });
    for (1 .. ASK_ALL) {
        my $one = request(GET => '/api/chaos/jwt-expiry');
        is_json($one, 200, 'it is told') or last;
        is($one->json->{running}{id}, $id, 'what runs') or last;
    }
    request(DELETE => '/api/chaos/jwt-expiry');
    await_end($id);
    my $one = request(GET => '/api/chaos/jwt-expiry')->json;
    my ($entry) = grep { $_->{name} eq 'jwt-expiry' }
        @{ request(GET => '/api/chaos')->json->{scenarios} };
    is_deeply($one, $entry, 'as in the catalogue');
    is($one->{running}, undef, 'nothing runs');
    is($one->{last}{id}, $id, 'the last');
    is_error(request(GET => "/api/chaos/$_"), 404, qr/./, $_)
        for qw(no-such-thing jwt-expiry/x);
};

subtest 'the ledger, where no file keeps it: what is remembered' => sub {
    my $answer = request(GET => '/api/chaos/ledger');
    my @entries = map { JSON::PP->new->utf8->decode($_) }
        split /\n/, $answer->body;
    my @over = grep { defined $_->{endedAt} } reverse @{
        request(GET => '/api/chaos/incidents')->json->{incidents} };

    is($answer->status, 200, 'answered');
    is(join(' ', sort map { $_->{id} } @entries),
        join(' ', sort map { $_->{id} } @over), 'all that is over');
    is(join(' ', map { $_->{endedAt} } @entries),
        join(' ', sort map { $_->{endedAt} } @entries), 'newest last');
    my ($entry) = grep { $_->{state} eq 'recovered' } @entries;
    has_shape($entry, {
        id => STRING, label => STRING, kind => STRING,
        state => 'recovered', start => TIME, end => TIME,
        parameters => { '...' => 1 }, severity => STRING,
        evidence => { before => {%FIGURES}, during => {%FIGURES} },
        diagnosis => { en => STRING, ko => STRING }, armedAt => TIME,
        injectedAt => TIME, witnessedAt => TIME, toldAt => TIME,
        endedAt => TIME,
    }, 'an entry');
};

subtest 'no line of the log gives it away' => sub {
    my @told = grep { $_ =~ TELL_TALE } $log->raw_since($mark);
    is(@told, 0, 'not a word') || diag($told[0]);
};

halt();
done_testing;
