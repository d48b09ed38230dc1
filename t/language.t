# A server that speaks another language than English: what fails is known by
# its number and its state. The server and the patient are this suite's own.

use Patient;
use Patient::Database;
use Patient::Log;
use Patient::Server;
use Patient::Sql;

my $database = Patient::Database->new(options => ['--lc-messages=ko_KR']);
my $patient = Patient::Server->new($database->environment, DB_POOL_MAX => 2);
my $port = $patient->port;
my $user = sign_in(port => $port);
my @held;

sub root ($statements) { $database->root($statements) }

# What the patient has open is closed.
sub disconnect () {
    root(join ';', map { "KILL $_->[0]" } sql('SELECT id FROM '
        . "information_schema.processlist WHERE user = 'patient'",
        $database->administrator));
}

# number, SQLSTATE, code, name, what it is; what breaks and what mends it.
my @failures = (
    [1045, '28000', 'ER_ACCESS_DENIED_ERROR', 'SequelizeAccessDeniedError',
        'a password that is not the account\'s',
        sub { root("ALTER USER patient\@'%' IDENTIFIED BY 'another'") },
        sub { $database->take_password($database->{password}) }],
    [1044, '42000', 'ER_DBACCESS_DENIED_ERROR', 'SequelizeConnectionError',
        'no right to the database',
        sub { root("REVOKE ALL ON patient_db.* FROM patient\@'%'") },
        sub { root("GRANT ALL ON patient_db.* TO patient\@'%'") }],
    [$ENV{PATIENT_TEST_MYSQL} ? 3118 : 4151, 'HY000',
        'ER_ACCOUNT_HAS_BEEN_LOCKED', 'SequelizeConnectionError',
        'an account that is locked',
        sub { root("ALTER USER patient\@'%' ACCOUNT LOCK") },
        sub { root("ALTER USER patient\@'%' ACCOUNT UNLOCK") }],
    # MariaDB leaves out the state before it has said hello, for who is one more
    # than the one too many.
    [1040, qr/\A(?:08004|HY000)\z/, 'ER_CON_COUNT_ERROR', 'SequelizeConnectionError',
        'too many connections',
        sub { disconnect();
            @held = map { Patient::Sql->open($database->address) } 1 .. 10;
            $_->run('SELECT 1') for @held;
            root('SET GLOBAL max_connections = 10') },
        sub { @held = (); root('SET GLOBAL max_connections = 100') }],
    [1146, '42S02', 'ER_NO_SUCH_TABLE', 'SequelizeDatabaseError',
        'a table that is not there',
        sub { root('RENAME TABLE patient_db.posts TO patient_db.away') },
        sub { root('RENAME TABLE patient_db.away TO patient_db.posts') }],
    [1290, 'HY000', 'ER_OPTION_PREVENTS_STATEMENT', 'SequelizeDatabaseError',
        'a read-only server', sub { root('SET GLOBAL read_only = 1') },
        sub { root('SET GLOBAL read_only = 0') }],
    [1142, '42000', 'ER_TABLEACCESS_DENIED_ERROR', 'SequelizeDatabaseError',
        'a right that is missing',
        sub { root("REVOKE ALL ON patient_db.* FROM patient\@'%';"
            . "GRANT SELECT ON patient_db.* TO patient\@'%'") },
        sub { root("GRANT ALL ON patient_db.* TO patient\@'%'") }],
    [1049, '42000', 'ER_BAD_DB_ERROR', 'SequelizeConnectionError',
        'no such database', sub { root('DROP DATABASE patient_db') },
        undef],
);

for my $failure (@failures) {
    my ($number, $state, $code, $name, $what, $break, $mend) = @$failure;

    subtest $what => sub {
        my $mark = $patient->log->mark;
        $break->();
        disconnect() if !@held;
        is(request(POST => '/api/posts', port => $port,
            token => $user->{token}, json => { title => 'T' })->status, 503,
            'it is 503');
        # The server may hang up before its reason has been read.
        my $line;
        wait_until(sub {
            request(POST => '/api/posts', port => $port,
                token => $user->{token}, json => { title => 'T' });
            ($line) = grep { ($_->{mysql_errno} // 0) == $number }
                $patient->log->since($mark) });
        like($line->{error} // '', qr/\A\Q$name\E: ./, $name);
        is($line->{code}, $code, $code);
        like($line->{sqlstate} // '', ref $state ? $state : qr/\A$state\z/,
            "SQLSTATE $state");
        like($line->{native} // '', qr/[^\x00-\x7F]/, 'in its own words')
            if $number == 1146 || $number == 1045;
        like($line->{hint} // '', qr/./, 'with a hint');
        return if !$mend;
        $mend->();
        ok(wait_until(sub { request(GET => '/readyz', port => $port)->status
            == 200 }), 'all is well again');
    };
}

undef $patient;
done_testing;
