# The answer is not in the question: who may read everything but symptoms
# guesses no better than by chance what was done to the patient. Patients of
# its own.

use Patient;
use Patient::Guess;
use Patient::Ill;
use Patient::Incident qw(SCENARIOS TELL_TALE);
use Patient::Traffic;
use Patient::Visible;
use List::Util qw(shuffle);
use Time::HiRes qw(sleep);

# So many incidents of each scenario, in blocks that have each once.
use constant BLOCKS => 10;

# Of 70 cases and 7 kinds, who guesses has more than this right once in a
# thousand times.
use constant CHANCE => 19;

# And this is far more.
use constant FAR_MORE => 35;

# Little enough for the machine, enough to be felt.
my %HOW = (
    'api-timeout' => { timeout_ms => 300 },
    'memory-leak' => { limit_mb => 64 },
);

my $patient = Patient::Ill->new(DB_POOL_ACQUIRE_MS => 300);
my $user = sign_in(port => $patient->port);
my @WAYS = (
    sub { ask(GET => '/api/posts?limit=2') },
    sub { ask(POST => '/api/posts', json => { title => 'light' },
        token => $user->{token}) },
    sub { ask(GET => '/livez') },
    sub {
        my $answer = ask(POST => '/api/auth/login', json => {
            email => $user->{email}, password => $user->{password} });
        my $token = eval { $answer->json->{token} };
        ask(GET => '/api/auth/verify', token => $token) if $token;
        return $answer;
    },
);

sub ask ($method, $path, %with) {
    return $patient->ask($method => $path, %with,
        headers => { 'User-Agent' => 'a user' });
}

my $traffic = Patient::Traffic->new(sub ($number) {
    sleep 0.05;
    return $WAYS[rand @WAYS]->();
}, 1);

# What is in the second list and not in the first, and the other way round.
sub changes ($when, $before, $now) {
    my %before = map { $_ => 1 } @$before;
    my %now = map { $_ => 1 } @$now;

    return ((map { "$when: $_" } grep { !$before{$_} } @$now),
        (map { "$when not: $_" } grep { !$now{$_} } @$before));
}

# The size of an answer, but for its evidence: figures of symptoms.
sub size_mark ($answer) {
    return length($answer->body =~ s/"evidence":(\{(?:[^{}]|(?1))*\})//r);
}

# One incident from its beginning to its end, and what there was to see.
sub suffer ($name, $block) {
    my $log = $patient->log->mark;
    my @before = look($patient);
    my $answer = $patient->ask(POST => "/api/chaos/$name",
        json => { duration_s => 1, %{ $HOW{$name} // {} } });

    $answer->status == 202 or die "$name: " . $answer->summary;
    sleep 0.3;
    my @first = look($patient);
    sleep 0.3;
    my @second = look($patient);
    $patient->wait_for_end($answer->json->{id}) or die "$name does not end\n";
    my @after = look($patient);
    return {
        block => $block, truth => $name,
        marks => [changes(early => \@before, \@first),
            changes(late => \@before, \@second),
            changes(after => \@before, \@after),
            read_log($patient, $log)],
        told => [size_mark($answer)],
        symptoms => [map { "$_->{type}" . ($_->{status} // '') . ' '
            . ($_->{path} // '') } $patient->log->since($log)],
    };
}

srand 42;
my @cases;
for my $block (1 .. BLOCKS) {
    push @cases, map { suffer($_, $block) } shuffle(SCENARIOS);
}
$traffic->stop;

sub by ($what) { return map { { %$_, marks => $_->{$what} } } @cases }

subtest 'there was something to see' => sub {
    is(@cases, BLOCKS * (my @all = SCENARIOS), 'incidents');
    cmp_ok((my @marks = look($patient)), '>', 60, 'marks of a moment');
    unlike(join("\n", @marks), TELL_TALE, 'none of which tells')
        || diag(join "\n", grep { $_ =~ TELL_TALE } @marks);
    unlike(join("\n", $patient->log->raw_since), TELL_TALE,
        'nor does any line of the log');
};

subtest 'who sees it guesses no better than by chance' => sub {
    my $right = right_guesses(@cases);

    cmp_ok($right, '<=', CHANCE, "right: $right of " . @cases)
        || diag(telling());
};

subtest 'who had the size of the operator\'s answers would know' => sub {
    my $right = right_guesses(by('told'));

    cmp_ok($right, '>=', FAR_MORE, "right: $right of " . @cases);
};

subtest 'and who has the symptoms does' => sub {
    my $right = right_guesses(by('symptoms'));

    cmp_ok($right, '>=', FAR_MORE, "right: $right of " . @cases);
};

# Takes long enough to be looked at.
my %ONCE = (
    'api-timeout' => { timeout_ms => 1000 },
    'db-fail' => { timeout_ms => 1000 },
    'memory-leak' => { limit_mb => 64 },
    'pool-exhaustion' => { hold_s => 2, acquire_ms => 4000 },
);

# Begins a one-shot and waits until it is on its way: who gets the answer.
sub begin_once ($name) {
    my $entry = sub { $patient->ask(GET => "/api/chaos/$name")->json };
    my $last = ($entry->()->{last} // {})->{id} // '';
    my $connection = $patient->connection;

    $connection->send($connection->compose(POST => "/api/chaos/$name",
        json => $ONCE{$name} // {}));
    wait_until(sub {
        my $now = $entry->();
        return $now->{last} && $now->{last}{id} ne $last
            unless $now->{running};
        return $now->{running}{state} ne 'armed'
            && ($name ne 'pool-exhaustion' || $patient->ask(
                GET => '/api/metrics')->json->{pool}{waiting} >= 60);
    }) or die "$name does not begin\n";
    return $connection;
}

subtest 'a one-shot brings no thread and no port that was not there' => sub {
    my $seen = sub { join "\n", sort grep { /has \d+ threads|\Alistens/ }
        look($patient) };
    my $before = $seen->();

    for my $name (SCENARIOS) {
        my $connection = begin_once($name);
        is($seen->(), $before, $name);
        is($connection->read('POST')->status, 200, 'it is answered');
        $patient->ask(POST => '/api/chaos/halt');
    }
};

# The marks that come with one scenario more than with others.
sub telling () {
    my %seen;

    for my $case (@cases) {
        my %marks = map { $_ => 1 } @{ $case->{marks} };
        $seen{$_}{ $case->{truth} }++ for keys %marks;
    }
    return join "\n", map { my $mark = $_;
        "$mark: " . join ' ', map { "$_=$seen{$mark}{$_}" }
            sort keys %{ $seen{$mark} } }
        grep { my @n = values %{ $seen{$_} };
            @n < 7 && (grep { $_ > 3 } @n) } sort keys %seen;
}

$patient->stop;
done_testing;
