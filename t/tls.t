# TLS to the database: with DB_SSL_CA every connection is encrypted, to a
# server whose certificate is of that authority and for that host; or there is
# none. Patients and databases of its own.

use Patient;
use Patient::Authority;
use Patient::Database;
use Patient::Incident qw(ill_patient arm await_state parked);
use Patient::Log;
use Patient::Server;
use Patient::Sql;

my $CHAOS = "$FindBin::Bin/../build/patient-chaos";

my $right = Patient::Authority->new;
my $wrong = Patient::Authority->new;

# A database that writes down who logs in, and that lets in who comes without
# TLS: nothing but the patient itself keeps it from that.
sub database (%with) {
    return Patient::Database->new(is_secure => 0, %with, options => [
        '--general-log=1', '--general-log-file=general.log',
        '--performance-schema=ON']);
}

sub general_log ($database) {
    return Patient::Server::slurp("$database->{dir}/data/general.log");
}

# How the patient's user came in, each time: 'SSL/TLS', 'TCP/IP', ...
sub logins ($database) {
    my @ways = general_log($database) =~ /\tpatient\@.* using (.+)$/mg;
    return @ways;
}

sub is_all_encrypted ($database, $least, $sentence) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @logins = logins($database);

    cmp_ok(@logins, '>=', $least, "$sentence: it was there");
    is(join(' ', grep { $_ ne 'SSL/TLS' } @logins), '',
        "$sentence: always encrypted");
}

# The cipher of each connection that the patient's user now has.
sub ciphers ($database) {
    return map { $_->[0] } sql('SELECT variable_value FROM '
        . 'performance_schema.status_by_thread JOIN '
        . 'performance_schema.threads USING (thread_id) WHERE '
        . "processlist_user = 'patient' AND variable_name = 'Ssl_cipher'",
        $database->administrator);
}

# As many requests at once: each gets a connection to the database.
sub rush ($port, $count) {
    my @users = map { connection(port => $port) } 1 .. $count;

    $_->send($_->compose(GET => '/api/posts')) for @users;
    return join ' ', map { $_->read->status } @users;
}

subtest 'with DB_SSL_CA all that talks to the database is encrypted' => sub {
    my $database = database(authority => $right);
    my $patient = ill_patient($database->environment, DB_POOL_MAX => 3);
    my $port = $patient->port;

    is_json(request(GET => '/health', port => $port), 200, 'it is healthy');
    is_all_encrypted($database, 2, 'the schema and the check');
    new_post(sign_in(port => $port), port => $port);
    is(rush($port, 20), join(' ', (200) x 20), 'all are served');
    my @ciphers = ciphers($database);
    cmp_ok(@ciphers, '>', 0, 'the server knows its connections');
    is(join(' ', grep { !/\ATLS_|-/ } @ciphers), '', 'each has a cipher')
        || diag("@ciphers");

    my $id = arm('pool-exhaustion', { duration_s => 60, hold_s => 60 },
        port => $port);
    my $admin = Patient::Sql->open($database->administrator);
    wait_until(sub { parked($admin) >= 3 }) or die 'the pool is not held';
    is_json(request(DELETE => '/api/chaos/pool-exhaustion', port => $port),
        200, 'an errand on the pool is cut short');
    ok(wait_until(sub { general_log($database) =~ /KILL QUERY \d+/ }),
        'with a KILL on a connection of its own');

    my $before = logins($database);
    my ($status, undef, undef, $err) = $patient->ctl('exec', '--', $CHAOS,
        'pool-exhaustion', '--attempts', '6', '--hold-s', '1',
        '--acquire-ms', '300');
    is($status, 0, 'patient-chaos can use it') || diag($err);
    cmp_ok(scalar(my @now = logins($database)), '>=', $before + 4,
        'it was there with a pool of its own, and the schema once more');
    is_all_encrypted($database, 6, 'whoever it was');
};

subtest 'a host name is looked for in the certificate, too' => sub {
    my $database = database(authority => $right, names => ['localhost']);
    my $patient = Patient::Server->new($database->environment,
        DB_HOST => 'localhost');

    is_json(request(GET => '/health', port => $patient->port), 200,
        'DB_HOST=localhost, and so says the certificate');
    is_all_encrypted($database, 2, 'the patient');
};

# ---- what is refused

my %REFUSED = (
    'of another authority' => {
        with => [authority => $wrong], native => qr/certificate/,
        hint => qr/\ADB_SSL_CA must hold the authority/,
    },
    'with a certificate for another host' => {
        with => [authority => $right,
            names => ['127.0.0.2', 'localhost', 'db.example']],
        native => qr/Validation of SSL server certificate failed/,
        hint => qr/\ADB_HOST is none of the names/,
    },
    'without TLS' => {
        with => [authority => ''], native => qr/SSL is required/,
        hint => qr/\Athe server offers no TLS/,
    },
);

# A line that says what was refused, where, and what to do.
sub is_refusal ($line, $database, $kind, $sentence) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $native = $line->{native} // '';

    has_shape($line, {
        timestamp => TIME, level => 'error', type => 'DB CONNECTION ERROR',
        pid => INT, error => "SequelizeConnectionError: $native",
        parent => 'SequelizeConnectionError', code => 'HANDSHAKE_SSL_ERROR',
        host => '127.0.0.1', port => INT, mysql_errno => INT,
        native => $REFUSED{$kind}{native}, hint => $REFUSED{$kind}{hint},
        '...' => 1,
    }, "$sentence: the line");
    is($line->{port} // 0, $database->{port}, "$sentence: the port");
    is($line->{mysql_errno} // 0, 2026, "$sentence: the number");
}

# What patient-chaos wrote to stderr about a connection.
sub complaints ($err) {
    return grep { $_->{type} eq 'DB CONNECTION ERROR' }
        map { Patient::Log::decode($_) } split /\n/, $err;
}

for my $kind (sort keys %REFUSED) {
    subtest "a server $kind is refused" => sub {
        my $database = database(@{ $REFUSED{$kind}{with} });
        my $patient = Patient::Server->new($database->environment,
            DB_SSL_CA => $right->file);
        my $port = $patient->port;

        is_json(request(GET => '/health', port => $port), 503, '/health');
        is_json(request(GET => '/readyz', port => $port), 503, '/readyz');
        is_error(request(GET => '/api/posts', port => $port), 503,
            'Failed to fetch posts', 'reading');
        is_error(request(POST => '/api/auth/register', port => $port,
            json => { email => new_email(), password => password() }), 503,
            'Failed to create user', 'writing');
        is_json(request(GET => '/livez', port => $port), 200, '/livez is 200');
        my ($line) = grep { $_->{type} eq 'DB CONNECTION ERROR' }
            $patient->log->since;
        is_refusal($line // {}, $database, $kind, 'the server');

        ($line) = grep { $_->{type} eq 'SCHEMA WARNING' }
            $patient->log->since;
        like($line->{error} // '', qr/127\.0\.0\.1:$database->{port}/,
            'the launcher says where');
        like($line->{error} // '', $REFUSED{$kind}{native}, 'and what');
        like($line->{error} // '', qr/\bDB_SSL_CA\b.*\bDB_HOST\b/,
            'and what to look at');

        my ($status, undef, undef, $err) = $patient->ctl('exec', '--', $CHAOS,
            'pool-exhaustion', '--attempts', '2', '--hold-s', '1');
        is($status, 1, 'patient-chaos cannot use it');
        my ($told) = complaints($err);
        is_refusal($told // {}, $database, $kind, 'patient-chaos');
        (undef, undef, undef, $err) = $patient->ctl('exec', '--', $CHAOS,
            'db-fail', '--endpoint', "127.0.0.1:$database->{port}");
        ($told) = complaints($err);
        is_refusal($told // {}, $database, $kind, 'its db-fail');

        is(join(' ', logins($database)), '', 'nobody ever logged in there');
    };
}

subtest 'the wrong endpoint of db-fail gets no password, either' => sub {
    my $kind = 'without TLS';
    my $database = database(authority => $right);
    my $elsewhere = database(authority => '');
    my ($copy, $keep) = Patient::Server->copy_project;

    open my $out, '>>', "$copy/conf/chaos.conf" or die $!;
    print $out "PatientChaosDbEndpoint 127.0.0.1:$elsewhere->{port}\n";
    close $out;
    my $patient = ill_patient($database->environment, project => $copy);
    my $port = $patient->port;
    my $answer = request(POST => '/api/chaos/db-fail', port => $port);
    is($answer->json->{code}, 'HANDSHAKE_SSL_ERROR', 'the one-shot fails');
    my ($line) = grep { $_->{type} eq 'DB CONNECTION ERROR' }
        $patient->log->since;
    is_refusal($line // {}, $elsewhere, $kind, 'the one-shot');

    my $mark = $patient->log->mark;
    arm('db-fail', { duration_s => 60 }, port => $port);
    is_error(request(GET => '/api/posts', port => $port), 503,
        'Failed to fetch posts', 'users feel the incident');
    $line = $patient->log->wait_for($mark, sub ($l) {
        $l->{type} eq 'DB CONNECTION ERROR' });
    is_refusal($line // {}, $elsewhere, $kind, 'the incident');
    is(join(' ', logins($elsewhere)), '', 'nobody ever logged in there');
    is_all_encrypted($database, 1, 'the real one');
};

subtest 'every new connection is verified anew' => sub {
    my $kind = 'of another authority';
    my $database = database(authority => $right);
    my $patient = ill_patient($database->environment, DB_POOL_MAX => 1,
        PATIENT_CHILDREN => 1);
    my $port = $patient->port;

    is_json(request(GET => '/health', port => $port), 200, 'all is well');
    my $id = arm('pool-exhaustion', { duration_s => 60, hold_s => 3 },
        port => $port);
    await_state($id, 'injected', port => $port);
    my $before = logins($database);
    my $mark = $patient->log->mark;
    $database->take_certificate($wrong, '127.0.0.1');
    is_json(request(DELETE => '/api/chaos/pool-exhaustion', port => $port),
        200, 'with another authority\'s certificate, a KILL is wanted');
    my $line = $patient->log->wait_for($mark, sub ($l) {
        $l->{type} eq 'DB CONNECTION ERROR' });
    is_refusal($line // {}, $database, $kind, 'the KILL\'s connection');
    is(scalar(my @now = logins($database)), $before,
        'and nobody new came in');

    $database->take_certificate($right, '127.0.0.1');
    ok(wait_until(sub { request(GET => '/readyz', port => $port)->status
        == 200 }, 30), 'with the right one all is well again');
    is_all_encrypted($database, 2, 'from first to last');
};

# ---- settings

# MariaDB says no more than that access is denied; the words of MySQL name
# their reason.
subtest 'a server that wants TLS, and no DB_SSL_CA' => sub {
    my $database = database(authority => $right, is_secure => 1);
    my $patient = Patient::Server->new($database->environment,
        DB_SSL_CA => undef);
    my ($code, $hint) = $ENV{PATIENT_TEST_MYSQL}
        ? ('ER_SECURE_TRANSPORT_REQUIRED', qr/set DB_SSL_CA/)
        : ('ER_ACCESS_DENIED_ERROR', qr/\A(?!.*DB_SSL_CA)/s);

    is_json(request(GET => '/health', port => $patient->port), 503,
        '/health is 503');
    my ($line) = grep { $_->{type} eq 'DB CONNECTION ERROR' }
        $patient->log->since;
    is($line->{code}, $code, 'the log says why');
    like($line->{hint} // '', $hint, 'and what to do, where it can know');
    ($line) = grep { $_->{type} eq 'SCHEMA WARNING' } $patient->log->since;
    like($line->{error} // '', $hint, 'and so does the launcher');
    is((grep { $_ ne 'TCP/IP' } logins($database)), 0,
        'who shall not use TLS does not do so by itself');
};

subtest 'a DB_SSL_CA that holds no certificate stops the start' => sub {
    my $patient = Patient::Server->prepare(DB_SSL_CA => "$FindBin::Bin/tls.t");
    my ($status, undef, undef, $err) = $patient->ctl('start');

    isnt($status, 0, 'the status');
    like($err, qr/"DB_SSL_CA: .*tls\.t holds no certificate/,
        'one line that names it');
};

done_testing;
