# The pulse of the log in a patient that is ill: a failure that goes on is told at
# once and then steadily, over all children and kinds together, and no failure
# goes uncounted. A patient of its own, with as many children as this round has,
# whose pulse is of a few seconds; t/unit/ratelimit.c has hours of it.

use Patient;
use Patient::Ill;
use Patient::Token;
use Patient::Traffic;
use Time::HiRes qw(sleep time);
use Time::Local qw(timegm_modern);

my $PULSE = 3;
my $patient = Patient::Ill->new(PATIENT_LOG_PULSE => $PULSE);
my $log = $patient->log;

my $expired = token({ id => 1, email => 'a@example.org', iat => 1, exp => 2 },
    secret => $patient->{env}{JWT_SECRET});

sub come_back () {
    sleep 0.02;
    return $patient->ask(GET => '/api/auth/verify', token => $expired);
}

# The lines of a type since then, with the second of each.
sub told ($mark, $type) {
    return map {
        my ($y, $mon, $d, $h, $min, $s) = $_->{timestamp}
            =~ /(\d+)-(\d+)-(\d+)T(\d+):(\d+):([\d.]+)/;
        { at => timegm_modern(0, $min, $h, $d, $mon - 1, $y) + $s,
            suppressed => $_->{suppressed} // 0 }
    } grep { $_->{type} eq $type } $log->since($mark);
}

sub sum (@numbers) {
    my $sum = 0;
    $sum += $_ for @numbers;
    return $sum;
}

subtest 'one kind, met by many at every child' => sub {
    my $mark = $log->mark;
    my $start = time;
    my $crowd = Patient::Traffic->new(sub ($number) { come_back() }, 6);

    ok(wait_until(sub { told($mark, 'JWT ERROR') >= 5 }, 60), 'it is told');
    my $met = () = $crowd->stop;
    my $end = time;
    # The last line tells of those before it, and one more of those after it.
    sleep $PULSE;
    come_back();
    my @told = told($mark, 'JWT ERROR');

    cmp_ok($told[0]{at} - $start, '<', 3, 'at once');
    is($told[0]{suppressed}, 0, 'the first of all');
    cmp_ok(scalar @told, '<=', 3 + ($end - $start) / $PULSE,
        'then once a pulse, over all children');
    is(sum(map { $_->{suppressed} } @told) + @told, $met + 1,
        'and every failure is counted');
};

subtest 'of two kinds each has its turn' => sub {
    my $mark = $log->mark;
    my $id = $patient->fall_ill('db-fail', duration_s => 60,
        mode => 'refused');
    my $crowd = Patient::Traffic->new(sub ($number) {
        return $number % 2 ? come_back()
            : do { sleep 0.02; $patient->ask(GET => '/api/posts') };
    }, 4);

    ok(wait_until(sub { told($mark, 'JWT ERROR') >= 3
        && told($mark, 'DB CONNECTION ERROR') >= 3 }, 60),
        'both are told again and again');
    $crowd->stop;
    $patient->ask(POST => '/api/chaos/halt');
    $patient->wait_for_end($id);
    my @all = sort { $a <=> $b } map { $_->{at} } told($mark, 'JWT ERROR'),
        told($mark, 'DB CONNECTION ERROR');
    cmp_ok(scalar @all, '<=', 6 + ($all[-1] - $all[0]) / $PULSE,
        'together no more often than one alone');
};

undef $patient;
done_testing;
