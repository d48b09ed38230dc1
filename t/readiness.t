# /readyz: whether writes can work, for whatever reason they cannot, without
# writing; and how long it takes to find out. The database and the patient are
# this suite's own.

use Patient;
use Patient::Database;
use Patient::Ill;
use Patient::Log;
use Patient::Sql;
use Time::HiRes qw(time);

my $MYSQL = $ENV{PATIENT_TEST_MYSQL};
my $database = Patient::Database->new;
my $patient = Patient::Ill->new($database->environment);
my $port = $patient->port;
my $user = sign_in(port => $port);
my $post = new_post($user, port => $port);

sub root ($statements) { $database->root($statements) }

sub status ($method, $path, %with) {
    return request($method => $path, port => $port, token => $user->{token},
        %with)->status;
}

# The same of all children: as many at once as make each serve some.
sub statuses ($method, $path, %with) {
    my @connections = map { connection(port => $port) } 1 .. 24;
    $_->send($_->compose($method => $path, token => $user->{token}, %with))
        for @connections;
    my %status = map { $_->read->status => 1 } @connections;
    return join ' ', sort keys %status;
}

sub is_ready () { return statuses(GET => '/readyz') }
sub can_write () {
    return statuses(POST => '/api/posts', json => { title => 'T' });
}

sub is_well () {
    my $start = time;
    ok(wait_until(sub { is_ready() eq '200' && can_write() eq '201' }, 60),
        'it is ready again, and writes');
    cmp_ok(time - $start, '<', 5, 'within 5 s');
}

sub writes () {
    return {
        'a post' => sub { status(POST => '/api/posts',
            json => { title => 'T' }) },
        'a deletion' => sub { status(DELETE => "/api/posts/$post->{id}") },
        'an account' => sub { status(POST => '/api/auth/register', json => {
            email => new_email(), password => password() }) },
    };
}

sub disconnect () {
    root(join ';', map { "KILL $_->[0]" } sql('SELECT id FROM '
        . "information_schema.processlist WHERE user = 'patient'",
        $database->administrator));
}

sub grant ($what, $on = '*') {
    return "GRANT $what ON patient_db.$on TO patient\@'%';";
}

my $REVOKE = "REVOKE ALL ON patient_db.* FROM patient\@'%';";
my $AGAIN = grant('ALL');
my @cases = (
    ['no right but to read', 1142, 'a post',
        $REVOKE . grant('SELECT'), $AGAIN],
    ['no right to insert posts', 1142, 'a post', $REVOKE . grant('SELECT')
        . grant('DELETE', 'posts') . grant('INSERT', 'users'),
        "REVOKE DELETE ON patient_db.posts FROM patient\@'%';"
        . "REVOKE INSERT ON patient_db.users FROM patient\@'%'; $AGAIN"],
    ['no right to delete posts', 1142, 'a deletion',
        $REVOKE . grant('SELECT, INSERT'), $AGAIN],
    ['no right to insert users', 1142, 'an account', $REVOKE
        . grant('SELECT') . grant('DELETE, INSERT', 'posts'),
        "REVOKE DELETE, INSERT ON patient_db.posts FROM patient\@'%'; $AGAIN"],
    ['no right at all', qr/\A1(?:044|142)\z/, 'a post', $REVOKE, $AGAIN],
    ['a table that is missing', 1146, 'a post',
        'RENAME TABLE patient_db.posts TO patient_db.away',
        'RENAME TABLE patient_db.away TO patient_db.posts'],
    ['a column that is missing', 1054, 'a post',
        'ALTER TABLE patient_db.posts RENAME COLUMN content TO away',
        'ALTER TABLE patient_db.posts RENAME COLUMN away TO content'],
    ['a server that is read-only', 1290, 'a post',
        'SET GLOBAL read_only = 1', 'SET GLOBAL read_only = 0'],
    $MYSQL ? (
        ['a server that is, to everybody', 1290, 'a post',
            'SET GLOBAL super_read_only = 1', 'SET GLOBAL read_only = 0'],
        ['a schema that is', 3989, 'a post',
            'ALTER SCHEMA patient_db READ ONLY = 1',
            'ALTER SCHEMA patient_db READ ONLY = 0']) : (),
);

for my $case (@cases) {
    my ($name, $number, $write, $break, $mend) = @$case;

    subtest $name => sub {
        my $mark = $patient->log->mark;
        is(is_ready(), '200', 'it is ready');
        root($break);
        disconnect();           # MariaDB's sessions keep their rights
        is(is_ready(), '503', 'it is not ready');
        is(writes()->{$write}->(), 503, "$write is 503");
        ok(wait_until(sub {
            is_ready();         # what goes on is told again and again
            return grep { ($_->{mysql_errno} // '') =~ /\A$number\z/ }
                $patient->log->since($mark) }),
            'the log says why');
        root($mend);
        is_well();
    };
}

subtest 'who may write by a role is ready' => sub {
    root($MYSQL ? "CREATE ROLE writer; GRANT CONNECTION_ADMIN ON *.* TO writer;"
        . "GRANT writer TO patient\@'%'; SET DEFAULT ROLE writer TO "
        . "patient\@'%'; SET GLOBAL activate_all_roles_on_login = 1"
        : "CREATE ROLE writer; GRANT READ ONLY ADMIN ON *.* TO writer;"
        . "GRANT writer TO patient\@'%'; SET DEFAULT ROLE writer FOR "
        . "patient\@'%'");
    disconnect();
    root('SET GLOBAL read_only = 1');
    is(is_ready(), '200', 'it is ready');
    is(status(POST => '/api/posts', json => { title => 'T' }), 201,
        'and writes');
    root('SET GLOBAL read_only = 0; DROP ROLE writer');
};

subtest 'a table that somebody keeps is there' => sub {
    my $mark = $patient->log->mark;
    my $keeper = Patient::Sql->open($database->address);
    $keeper->run('LOCK TABLES posts WRITE, users WRITE');
    my $bound = $MYSQL ? 5 : 1;
    for my $path (qw(/readyz /health)) {
        cmp_ok(within_bound($bound, sub {
            my $answer = request(GET => $path, port => $port);
            is($answer->status, 200, $path);
            return $answer->seconds;
        }), '<', $bound, 'without waiting for it');
    }
    $keeper->close;
    is(scalar(grep { $_->{level} ne 'info' } $patient->log->since($mark)), 0,
        'and without a complaint');
};

subtest 'a server that is stuck is found out soon' => sub {
    cmp_ok(within_bound(3.5, sub {
        my $longest = 0;
        is(is_ready(), '200', 'many are connected');
        kill STOP => $database->{pid};
        for my $path (qw(/readyz /health /readyz)) {
            my $answer = request(GET => $path, port => $port);
            is($answer->status, 503, $path);
            $longest = $answer->seconds if $answer->seconds > $longest;
        }
        kill CONT => $database->{pid};
        is_well();
        return $longest;
    }), '<', 3.5, 'in little more than 2 s');
};

undef $patient;
done_testing;
