# Whoever was called and never answered does not keep the line open for ever.
# Steady time can be made to pass.

use Patient;
use Patient::Clock;
use Patient::Ill;

my $clock = Patient::Clock->new;
my $patient = Patient::Ill->new($clock->environment);
my $user = sign_in(port => $patient->port);

# Ends of connections at the patient's ports that nobody has taken, and whose
# other end has hung up: to the kernel they are no file of any process.
sub left_open () {
    my %listens;
    my $count = 0;
    my @lines = map { [split] } split /\n/,
        Patient::Server::slurp('/proc/net/tcp');
    my %is_ours = map { m/socket:\[(\d+)\]/ ? ($1 => 1) : () }
        map { readlink($_) // () } glob '/proc/' . $patient->httpd . '/fd/*';

    $listens{ $_->[1] } = 1
        for grep { $_->[3] eq '0A' && $is_ours{ $_->[9] } } @lines;
    return scalar grep { $_->[3] eq '08' && $_->[9] eq '0'
        && $listens{ $_->[1] } } @lines;
}

# So many seconds since the start are over.
sub later ($seconds) { $clock->age($seconds) }

subtest 'calls to the database' => sub {
    my $id = $patient->fall_ill('db-fail', duration_s => 10,
        timeout_ms => 100);
    wait_until(sub {
        $patient->ask(GET => '/api/posts')->status == 503 && left_open() });
    $patient->ask(DELETE => '/api/chaos/db-fail');
    is($patient->wait_for_end($id)->{state}, 'recovered', 'were made');
    cmp_ok(left_open(), '>', 0, 'nobody has taken them');
    later(61);
    ok(wait_until(sub { left_open() == 0 }), 'a minute later they are gone');
};

subtest 'calls to a service' => sub {
    my $id = $patient->fall_ill('api-timeout', duration_s => 60,
        timeout_ms => 100);
    is($patient->ask(POST => '/api/posts', token => $user->{token},
        json => { title => 'T' })->status, 504, 'were made');
    later(130);
    is($patient->wait_for_end($id)->{state}, 'recovered', 'it is over');
    cmp_ok(left_open(), '>', 0, 'that alone cuts nobody off who still waits');
    later(200);
    ok(wait_until(sub { left_open() == 0 }), 'a minute later they are gone');
};

undef $patient;
done_testing;
