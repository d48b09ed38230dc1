# GET /api/chaos/page is the page that a doctor would have: of the log's lines
# the last hundred that his filter lets through, byte for byte, all children's
# together; and patient-doctor reads it as it reads the log. A patient of its
# own, with as many children as this round has.

use Patient;
use Patient::Clock;
use Patient::Doctor;
use Patient::Ill;
use Patient::Log;
use Patient::Token;
use Patient::Traffic;
use Time::HiRes qw(time);

my $FILTER = qr/ERROR|Error|error|CRITICAL|FATAL|WARNING|Warning/;
my $MAX = 100;
my $TOKEN = 'the operator of this suite';

# A line for each failure, so that there are enough of them.
my $patient = Patient::Ill->new(CHAOS_TOKEN => $TOKEN,
    PATIENT_LOG_PULSE => 0);
my $log = $patient->log;
my $doctor = Patient::Doctor->new($patient);

my $expired = token({ id => 1, email => 'a@example.org', iat => 1, exp => 2 },
    secret => $patient->{env}{JWT_SECRET});

sub page () {
    my $answer = $patient->ask(GET => '/api/chaos/page', token => $TOKEN);

    is_json($answer, 200, 'the page');
    return $answer;
}

sub messages ($page) { return map { $_->{message} } @{ $page->json->{events} } }

# The log's lines that the filter lets through.
sub wanted () { return grep { $_ =~ $FILTER } $log->raw_since(0) }

# The last of them; several processes that write at once may do so in another
# order than they began. $go_on is called until they are the same.
sub is_page_of_log ($name, $go_on = sub { }) {
    my (@page, @log);

    ok(wait_until(sub {
        $go_on->();
        @page = messages(page());
        @log = wanted();
        @log = @log[-$MAX .. -1] if @log > $MAX;
        return join("\n", sort @page) eq join("\n", sort @log);
    }, 5), $name) || diag(explain([\@page, \@log]));
    return @page;
}

sub come_back () {
    return $patient->ask(GET => '/api/auth/verify', token => $expired);
}

subtest 'a healthy patient\'s page is empty, whatever visitors send' => sub {
    for my $word (qw(ERROR Error error CRITICAL FATAL WARNING Warning)) {
        $patient->ask(GET => "/$word", headers => { 'User-Agent' => $word });
    }
    is(scalar messages(page()), scalar wanted(), 'as the log has it');
    is((grep { /User-Agent|"path"/ } messages(page())), 0, 'none of theirs');
};

subtest 'it has what the log has, byte for byte' => sub {
    my $from = int(time * 1000);

    is(come_back()->status, 401, 'a failure');
    $patient->ask(POST => '/api/chaos/db-fail', json => { mode => 'refused' },
        token => $TOKEN);
    my ($child) = $patient->children;
    kill SEGV => $child;
    ok($log->wait_for(0, sub ($l) { $l->{type} eq 'HTTPD'
        && $l->{level} eq 'error' }), 'one of httpd\'s');
    my @page = is_page_of_log('the page is the log\'s');
    my %type = map { Patient::Log::decode($_)->{type} => 1 } @page;
    is((grep { $type{$_} } 'JWT ERROR', 'DB CONNECTION ERROR', 'HTTPD'), 3,
        'the module\'s lines, and those of httpd')
        || diag(explain(\@page));

    my @events = @{ page()->json->{events} };
    my %id = map { $_->{eventId} => 1 } @events;
    is(keys %id, @events, 'each has an id of its own');
    is_deeply([map { $_->{eventId} } @events],
        [map { $_->{eventId} } @{ page()->json->{events} }],
        'that is the same each time');
    my @late = grep { $_->{timestamp} < $from - 1
        || $_->{timestamp} > time * 1000 + 1 }
        grep { $_->{message} =~ /JWT ERROR/ } @events;
    is(@late, 0, 'and the time when it was written')
        || diag(explain(\@late));
};

# What a diagnosis says, but for when.
sub saying ($diagnosis) {
    return [map { [@$_{qw(label severity lines evidence)}] }
        sort { $a->{label} cmp $b->{label} }
        @{ $diagnosis->{detected_issues} }];
}

subtest 'patient-doctor reads it as it reads the log' => sub {
    is_page_of_log('they are the same');
    my $of_page = $doctor->diagnose(page()->body);
    my $of_log = $doctor->diagnose($log->raw_since(0));

    is(Patient::Doctor::labels($of_page), 'db-failure jwt-expiry', 'both');
    is($of_page->{page}{events}, scalar wanted(), 'every line');
    is_deeply(saying($of_page), saying($of_log), 'and as well');
    is_deeply($of_page->{page}{skipped}, $of_log->{page}{skipped},
        'nothing is left out');
};

subtest 'a graceful restart keeps it' => sub {
    my @before = messages(page());

    $patient->restart;
    my @after = messages(page());
    is_deeply([@after[0 .. $#before]], \@before, 'all of it');
    come_back();
    is_page_of_log('and it goes on');
};

subtest 'of more than a hundred it has the last, and never half a line' => sub {
    my $crowd = Patient::Traffic->new(sub ($number) { come_back() }, 6);
    my ($read, $broken) = (0, 0);
    my $end = time + 60;

    until (keys %{ $crowd->tally } && ($crowd->tally->{401} // 0) > 3 * $MAX
        && $read >= 20 or time > $end) {
        my @page = messages(
            $patient->ask(GET => '/api/chaos/page', token => $TOKEN));
        $broken += grep { Patient::Log::faults($_) || $_ !~ $FILTER } @page;
        $broken += @page > $MAX;
        $read++;
    }
    $crowd->stop;
    cmp_ok($read, '>=', 20, 'read while many wrote');
    is($broken, 0, 'every line is whole');
    # Which are the last may be in doubt if they came at the same moment.
    my @page = is_page_of_log('then it has the last of them', \&come_back);
    is(@page, $MAX, 'a hundred');
    my @times = map { $_->{timestamp} } @{ page()->json->{events} };
    is_deeply(\@times, [sort { $a <=> $b } @times], 'oldest first');
};

subtest 'a line stays for half an hour' => sub {
    my $clock = Patient::Clock->new;
    my $patient = Patient::Ill->new(PATIENT_LOG_PULSE => 0,
        CHAOS_TOKEN => $TOKEN, $clock->environment);
    my $fail = sub { $patient->ask(GET => '/api/auth/verify',
        token => $expired) };
    my $types = sub { join ' ', map { Patient::Log::decode($_)->{type} }
        messages($patient->ask(GET => '/api/chaos/page', token => $TOKEN)) };

    $fail->();
    is($types->(), 'JWT ERROR', 'one line');
    $clock->age(29 * 60);
    $fail->();
    is($types->(), 'JWT ERROR JWT ERROR', 'and another, 29 minutes later');
    $clock->age(31 * 60);
    is($types->(), 'JWT ERROR', 'two minutes later the first is gone');
    $clock->age(60 * 60);
    is($types->(), '', 'and then there is none');
};

subtest 'it is the operator\'s alone' => sub {
    my $closed = Patient::Ill->new(CHAOS_MODE => 'false');

    is($patient->ask(GET => '/api/chaos/page')->status, 401, 'a token');
    is($closed->ask(GET => '/api/chaos/page')->status, 404,
        'or it is not there');
};

undef $_ for $doctor, $patient;
done_testing;
