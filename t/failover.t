# The database fails over: the endpoint leads to another server, and the old
# one, whose connections live on, does no more what it is asked. Two database
# servers and a patient of this suite's own.

use Patient;
use Patient::Authority;
use Patient::Database;
use Patient::Doctor;
use Patient::Forwarder;
use Patient::Ill;
use Patient::Log;
use Patient::Server;
use Patient::Sql;
use Time::HiRes qw(time);

my @authority = $ENV{PATIENT_TEST_MYSQL}
    ? (authority => Patient::Authority->new) : ();
my ($old, $new) = map { Patient::Database->new(@authority,
    @authority ? (is_secure => 1) : ()) } 1, 2;
my $endpoint = Patient::Forwarder->new($old->{port});
my $patient = Patient::Ill->new($old->environment,
    DB_PORT => $endpoint->port);
my $port = $patient->port;
my $user = sign_in(port => $port);
my @children = sort $patient->children;
my $doctor = Patient::Doctor->new($patient);

# As many at once as make each child serve some.
sub statuses ($method, $path, $count = 24) {
    my @connections = map { connection(port => $port) } 1 .. $count;

    $_->send($_->compose($method => $path, token => $user->{token},
        $method eq 'POST' ? (json => { title => 'T' }) : ()))
        for @connections;
    my @status = map { $_->read->status } @connections;
    $_->close for @connections;
    return join ' ', @status;
}

sub all ($status, $count = 24) { return join ' ', ($status) x $count }

# Whether all writes work, and all say so, within this many seconds.
sub is_well_within ($seconds, $name) {
    my $start = time;
    my $well = wait_until(sub {
        statuses(POST => '/api/posts') eq all(201)
            && statuses(GET => '/readyz') eq all(200) }, 60);

    ok($well, $name);
    cmp_ok(time - $start, '<', $seconds, "within $seconds s");
}

# What the log says from a mark on of the database, and what that is.
sub is_told ($mark, $number, $hint, $name) {
    my $line = $patient->log->wait_for($mark, sub ($l) {
        ($l->{mysql_errno} // 0) == $number });

    has_shape($line // {}, { timestamp => TIME, level => 'error',
        type => 'DB CONNECTION ERROR', pid => INT,
        error => qr/\ASequelize\w+Error: ./,
        parent => 'SequelizeConnectionError', code => qr/\AER_/,
        host => '127.0.0.1', port => INT, mysql_errno => INT,
        sqlstate => qr/\A\w{5}\z/, native => STRING, hint => $hint,
        '...' => 1 }, $name);
    is(Patient::Doctor::labels($doctor->diagnose(
        JSON::PP->new->utf8->encode($line // {}))), 'db-failure',
        'and the doctor sees that it is the database');
}

# The new server has the tables, and the user.
my $other = Patient::Server->prepare($new->environment);
is(($other->ctl('exec', '--', 'true'))[0], 0, 'the other server has a schema');
my ($row) = sql("SELECT id, HEX(email), HEX(password) FROM users",
    $old->address);
sql("INSERT INTO users (id, email, password) VALUES ($row->[0], "
    . "x'$row->[1]', x'$row->[2]')", $new->address);

subtest 'before, all is well' => sub {
    is(statuses(POST => '/api/posts'), all(201), 'posts are created');
    is(statuses(GET => '/readyz'), all(200), 'it is ready');
};

subtest 'a failover between two requests is not noticed' => sub {
    my $mark = $patient->log->mark;
    $old->root('SET GLOBAL read_only = 1');
    $endpoint->lead($new->{port});
    is(statuses(POST => '/api/posts'), all(201), 'every write is done');
    is((sql('SELECT COUNT(*) FROM posts', $new->address))[0][0], 24,
        'on the new server');
    is(statuses(GET => '/readyz'), all(200), 'it is ready');
    is(scalar(grep { $_->{level} eq 'error' } $patient->log->since($mark)),
        0, 'and nothing is told');
};

subtest 'back again, and nobody writes: it is noticed all the same' => sub {
    $old->root('SET GLOBAL read_only = 0');
    $endpoint->lead($old->{port});
    $new->root('SET GLOBAL read_only = 1');
    is(statuses(GET => '/readyz'), all(200), 'it is ready');
    is(statuses(POST => '/api/posts'), all(201), 'every write is done');
    $new->root('SET GLOBAL read_only = 0');
};

subtest 'while there is no other server, it is 503 and told' => sub {
    my $mark = $patient->log->mark;
    $old->root('SET GLOBAL read_only = 1');
    is(statuses(POST => '/api/posts'), all(503), 'writes are 503');
    is(statuses(GET => '/api/posts'), all(200), 'reads go on');
    is(statuses(GET => '/readyz'), all(503), '/readyz is 503');
    like(request(GET => '/readyz', port => $port)->json->{error},
        qr/writes/, 'and says why');
    my $health = request(GET => '/health', port => $port);
    is_json($health, 200, '/health, which is about the connection, is 200');
    my $database = $health->json->{database};
    ok($database->{connected}, 'connected');
    is($database->{writable}, JSON::PP::false, 'but not writable');
    is_told($mark, 1290, qr/no writes/, 'the log says what it is');
    $mark = $patient->log->mark;
    statuses(POST => '/api/posts') for 1 .. 5;
    cmp_ok((sql("SHOW GLOBAL STATUS LIKE 'Connections'",
        $old->address))[0][1], '<', 1000, 'without a storm of connections');
};

subtest 'healthy again soon after the endpoint changes' => sub {
    $endpoint->lead($new->{port});
    is_well_within(5, 'all is well');
    $old->root('SET GLOBAL read_only = 0');
};

subtest 'who may write to a read-only server is ready' => sub {
    my $right = $ENV{PATIENT_TEST_MYSQL} ? 'CONNECTION_ADMIN'
        : 'READ_ONLY ADMIN';
    $new->root("GRANT $right ON *.* TO patient\@'%'");
    $endpoint->cut;
    $new->root('SET GLOBAL read_only = 1');
    is_well_within(5, 'it writes');
    $new->root("REVOKE $right ON *.* FROM patient\@'%'");
    $endpoint->cut;
    is(statuses(GET => '/readyz'), all(503), 'without the right it is not');
    $new->root('SET GLOBAL read_only = 0');
    is_well_within(5, 'and is again afterwards');
};

subtest 'sessions that are read-only by themselves' => sub {
    my $variable = $ENV{PATIENT_TEST_MYSQL} ? 'transaction_read_only'
        : 'tx_read_only';
    my $mark = $patient->log->mark;
    $new->root("SET GLOBAL $variable = 1");
    $endpoint->cut;
    is(statuses(POST => '/api/posts'), all(503), 'writes are 503');
    is(statuses(GET => '/readyz'), all(503), '/readyz is 503');
    is_told($mark, 1792, qr/no writes/, 'the log says what it is');
    $new->root("SET GLOBAL $variable = 0");
    is_well_within(5, 'new ones are not');
};

subtest 'rights that are taken away, and given back' => sub {
    my $mark = $patient->log->mark;
    $new->root("REVOKE ALL ON patient_db.* FROM patient\@'%';"
        . "GRANT SELECT ON patient_db.* TO patient\@'%'");
    $endpoint->cut;
    is(statuses(POST => '/api/posts'), all(503), 'writes are 503');
    is_told($mark, 1142, qr/GRANT/, 'the log says what it is');
    $new->root("GRANT ALL ON patient_db.* TO patient\@'%'");
    is_well_within(5, 'all is well');
};

subtest 'a password that expires, and is set' => sub {
    my $mark = $patient->log->mark;
    $new->root("SET GLOBAL disconnect_on_expired_password = 0")
        unless $ENV{PATIENT_TEST_MYSQL};
    $new->root("ALTER USER patient\@'%' PASSWORD EXPIRE");
    $endpoint->cut;
    is(statuses(POST => '/api/posts'), all(503), 'writes are 503');
    is(statuses(GET => '/readyz'), all(503), '/readyz is 503');
    is_told($mark, $ENV{PATIENT_TEST_MYSQL} ? 1862 : 1820, qr/expired/,
        'the log says what it is');
    $new->take_password($new->{password});
    is_well_within(5, 'all is well');
};

subtest 'connections from which nothing comes through any more' => sub {
    is(statuses(POST => '/api/posts', 60), all(201, 60), 'many are open');
    $endpoint->swallow;
    my $start = time;
    is(statuses(GET => '/api/posts', 60), all(200, 60), 'none is 503');
    cmp_ok(time - $start, '<', 5, 'and little time is lost');
    is(statuses(POST => '/api/posts', 60), all(201, 60), 'nor later');
};

subtest 'nothing was restarted for it' => sub {
    is_deeply([sort $patient->children], \@children, 'the same processes');
};

undef $doctor;
undef $patient;
done_testing;
