# What is Oracle's MySQL alone: passwords of the kind caching_sha2_password, in
# TLS and without, and a user as RDS makes its master user. Only `make
# test-mysql` runs it. Patients and databases of its own.

use Patient;
use Patient::Authority;
use Patient::Database;
use Patient::Incident qw(ill_patient arm await_state await_end parked);
use Patient::Server;
use Patient::Sql;

# What the master user of RDS for MySQL may do, by its documentation, as far as
# a server knows it that is not RDS.
my $MASTER = 'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, '
    . 'REFERENCES, INDEX, ALTER, SHOW DATABASES, CREATE TEMPORARY TABLES, '
    . 'LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE '
    . 'VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, '
    . 'TRIGGER, CREATE ROLE, DROP ROLE';

sub general_log ($database) {
    return Patient::Server::slurp("$database->{dir}/data/general.log");
}

sub database (%with) {
    return Patient::Database->new(%with, options =>
        ['--general-log=1', '--general-log-file=general.log']);
}

# The whole of what a patient does with its database.
sub is_well ($patient, $sentence) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $port = $patient->port;

    is_json(request(GET => '/health', port => $port), 200,
        "$sentence: /health") or return;
    my $user = sign_in(port => $port);
    my $post = new_post($user, port => $port, content => '한글 🩺');
    is(request(GET => "/api/posts/$post->{id}", port => $port)
        ->json->{content}, '한글 🩺', "$sentence: what is written is read");
    is_json(request(DELETE => "/api/posts/$post->{id}", port => $port,
        token => $user->{token}), 200, "$sentence: and deleted");
    is((grep { $_->{level} =~ /\A(?:error|fatal)\z/
        || $_->{type} eq 'SCHEMA WARNING' } $patient->log->since), 0,
        "$sentence: without a complaint");
}

subtest 'the common database is such a server' => sub {
    my ($version, $secure) = @{ (sql('SELECT VERSION(), '
        . '@@require_secure_transport'))[0] };
    my ($cipher) = sql("SHOW STATUS LIKE 'Ssl_cipher'");

    like($version, qr/\A(?:[89]|\d\d)\.(?!.*MariaDB)/, 'it is a MySQL');
    is($secure, 1, 'that wants TLS');
    like($cipher->[1], qr/\S/, 'and has it');
    ok(length $ENV{DB_SSL_CA}, 'and DB_SSL_CA says whose');
};

subtest 'caching_sha2_password, with the cache cold and warm' => sub {
    for my $secure (1, 0) {
        my $database = database(is_secure => $secure,
            authority => $secure ? Patient::Authority->new : '');
        my ($plugin) = sql("SELECT plugin FROM mysql.user WHERE user = "
            . "'patient'", $database->administrator);
        my $way = $secure ? 'SSL/TLS' : 'TCP/IP';

        is($plugin->[0], 'caching_sha2_password', "$way: the user's kind");
        for my $cache (qw(cold warm)) {
            $database->root('FLUSH PRIVILEGES') if $cache eq 'cold';
            my $patient = Patient::Server->new($database->environment);
            is_well($patient, "$way, $cache");
        }
        my @ways = general_log($database) =~ /\tpatient\@.* using (.+)$/mg;
        is(join(' ', grep { $_ ne $way } @ways), '', "$way: all of them");
    }
};

subtest 'a master user as RDS has it' => sub {
    my $database = database();
    my $password = q(Secure,Pass"word';123 %$!);

    $database->root("CREATE USER 'admin'\@'%' IDENTIFIED BY '"
        . $password =~ s/'/''/gr . "'; GRANT $MASTER ON *.* TO 'admin'\@'%' "
        . 'WITH GRANT OPTION; DROP USER patient');
    my $patient = ill_patient($database->environment, DB_USER => 'admin',
        DB_PASSWORD => $password);
    my $port = $patient->port;
    is_well($patient, 'admin');

    my $id = arm('pool-exhaustion', { duration_s => 60, hold_s => 60 },
        port => $port);
    my $admin = Patient::Sql->open($database->administrator);
    wait_until(sub { parked($admin) >= 10 }) or die 'the pool is not held';
    is_json(request(DELETE => '/api/chaos/pool-exhaustion', port => $port),
        200, 'pool-exhaustion is stopped');
    await_end($id, port => $port);
    like(general_log($database), qr/KILL QUERY \d+/, 'by a KILL');
    ok(wait_until(sub { request(GET => '/readyz', port => $port)->status
        == 200 }), 'and the pool is free');
    my $answer = request(POST => '/api/chaos/slow-query', port => $port);
    is_json($answer, 200, 'slow-query may make its table');
    is(scalar(my @left = sql(q{SHOW TABLES LIKE 'author\_directory'},
        $database->administrator, database => 'patient_db')), 0,
        'and has dropped it');
};

subtest 'a user of that one database alone' => sub {
    my $database = database();
    my $patient = ill_patient($database->environment);
    my $port = $patient->port;

    is_well($patient, 'patient');
    my $id = arm('pool-exhaustion', { duration_s => 60, hold_s => 60 },
        port => $port);
    await_state($id, 'injected', port => $port);
    is_json(request(DELETE => '/api/chaos/pool-exhaustion', port => $port),
        200, 'it needs no PROCESS to kill what is its own');
    await_end($id, port => $port);
};

done_testing;
