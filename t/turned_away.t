# The server turns new connections away, and those that are open work on: then
# they are what there is, and nobody fails who can wait for one of them. The
# database and the patient are this suite's own.

use Patient;
use Patient::Database;
use Patient::Ill;
use Patient::Log;
use Patient::Sql;

my $database = Patient::Database->new;
my $patient = Patient::Ill->new($database->environment, DB_POOL_MAX => 14);
my $port = $patient->port;
my $user = sign_in(port => $port);

my $rounds = 0;

# So many requests at once: their statuses.
sub statuses ($count, $method = 'GET', %with) {
    my @connections = map { connection(port => $port) } 1 .. $count;

    $_->send($_->compose($method => '/api/posts', token => $user->{token},
        $method eq 'POST' ? (json => { title => 'T' }) : (), %with))
        for @connections;
    my @status = map { $_->read->status } @connections;
    $_->close for @connections;
    return @status;
}

# How many of several bursts were not served.
sub count_failed ($method, $rounds = 10, $at_once = 30) {
    return scalar grep { $_ !~ /\A20[01]\z/ }
        map { statuses($at_once, $method) } 1 .. $rounds;
}

# Each child has served somebody.
sub serve_by_all () {
    my $children = $patient->children;
    my $mark = $patient->log->mark;
    my $round = 'round-' . ++$rounds;

    wait_until(sub {
        statuses(6, GET => headers => { 'X-Request-Id' => $round });
        my %pids = map { $_->{pid} => 1 } grep { $_->{type} eq 'REQUEST'
            && $_->{request_id} eq $round } $patient->log->since($mark);
        return keys %pids == $children;
    }, 60) or die 'not every child serves';
}

# Each child has a living connection, and none has as many as it may. One that
# is made while a dead one is found goes, too; so once more.
sub warm_up () {
    disconnect();
    serve_by_all() for 1, 2;
}

sub disconnect () {
    $database->root(join ';', map { "KILL $_->[0]" } sql('SELECT id FROM '
        . "information_schema.processlist WHERE user = 'patient'",
        $database->administrator));
}

sub open_now () {
    return (sql('SELECT COUNT(*) FROM information_schema.processlist WHERE '
        . "user = 'patient'", $database->administrator))[0][0];
}

# What it is, its number; what breaks, with so many open, and what mends it.
my @cases = (
    ['an account that may have no more connections', qr/\A12(?:03|26)\z/,
        sub ($open) { $database->root("ALTER USER patient\@'%' WITH "
            . "MAX_USER_CONNECTIONS $open") },
        sub { $database->root("ALTER USER patient\@'%' WITH "
            . 'MAX_USER_CONNECTIONS 0') }],
    ['a server that has no more connections', qr/\A1040\z/,
        sub ($open) { $database->root('SET GLOBAL max_connections = '
            . ($open > 10 ? $open : 10)) },
        sub { $database->root('SET GLOBAL max_connections = 150') }],
    ['a password that has changed', qr/\A1045\z/,
        sub ($open) { $database->root(
            "ALTER USER patient\@'%' IDENTIFIED BY 'another'") },
        sub { $database->take_password($database->{password}) }],
    ['a password that has expired', qr/\A18(?:20|62)\z/,
        sub ($open) { $database->root(($ENV{PATIENT_TEST_MYSQL} ? ''
            : 'SET GLOBAL disconnect_on_expired_password = 0;')
            . "ALTER USER patient\@'%' PASSWORD EXPIRE") },
        sub { $database->take_password($database->{password}) }],
    ['an account that is locked', qr/\A(?:3118|4151)\z/,
        sub ($open) { $database->root("ALTER USER patient\@'%' ACCOUNT LOCK") },
        sub { $database->root("ALTER USER patient\@'%' ACCOUNT UNLOCK") }],
);

for my $case (@cases) {
    my ($name, $number, $break, $mend) = @$case;

    subtest $name => sub {
        warm_up();
        my $mark = $patient->log->mark;
        $break->(open_now());
        is(count_failed('GET'), 0, 'every read is served');
        is(count_failed('POST'), 0, 'and every write');
        ok($patient->log->wait_for($mark, sub ($l) {
            $l->{type} eq 'DB CONNECTION ERROR'
                && ($l->{mysql_errno} // '') =~ $number }), 'it is told');
        $mend->();
        is(count_failed('POST', 4, 60), 0, 'nor later');
    };
}

undef $patient;
done_testing;
