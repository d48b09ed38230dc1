# What a server may refuse over an old connection, and would not over a new one,
# number by number, in reads and in writes: nobody notices. The tables say it:
# a trigger and a function SIGNAL the number to whoever connected before a
# certain moment. The database and the patient are this suite's own.

use Patient;
use JSON::PP ();
use Patient::Database;
use Patient::Doctor;
use Patient::Ill;
use Patient::Log;
use Patient::Sql;
use Time::HiRes qw(sleep time);

my $database = Patient::Database->new(options =>
    [$ENV{PATIENT_TEST_MYSQL} ? '--log-bin-trust-function-creators=1' : ()]);
my $patient = Patient::Ill->new($database->environment);
my $port = $patient->port;
my $user = sign_in(port => $port);
my $doctor = Patient::Doctor->new($patient);

# A function that fails with a number for who is not new, and views, which read
# through it; what is written goes through it by triggers.
sub refuse ($number, $state) {
    my $signal = $number == 0 ? '' : 'IF CONNECTION_ID() <= (SELECT n FROM '
        . "patient_db.newest) THEN SIGNAL SQLSTATE '$state' SET MYSQL_ERRNO = "
        . "$number, MESSAGE_TEXT = 'refused'; END IF;";
    $database->root("USE patient_db;\nDELIMITER //\n"
        . "DROP FUNCTION IF EXISTS refused//\nCREATE FUNCTION refused() "
        . 'RETURNS INT NOT DETERMINISTIC READS SQL DATA SQL SECURITY DEFINER '
        . "BEGIN $signal RETURN 0; END//\n");
}

$database->root(<<'SQL');
USE patient_db;
CREATE TABLE newest (n BIGINT);
INSERT INTO newest VALUES (0);
SQL
refuse(0, '');
$database->root(<<'SQL');
USE patient_db;
RENAME TABLE posts TO all_posts;
CREATE VIEW posts AS SELECT * FROM all_posts WHERE refused() = 0;
DELIMITER //
CREATE TRIGGER refuse_insert BEFORE INSERT ON all_posts FOR EACH ROW
    BEGIN IF refused() THEN SET NEW.id = 0; END IF; END//
SQL

sub newest ($n) { $database->root("UPDATE patient_db.newest SET n = $n") }

# Who is connected now, is refused from now on.
sub refuse_old () {
    newest('(SELECT MAX(id) FROM information_schema.processlist WHERE '
        . "user = 'patient')");
}

sub statuses ($method, $count = 12, $title = 'T') {
    my @connections = map { connection(port => $port) } 1 .. $count;
    $_->send($_->compose($method => '/api/posts', token => $user->{token},
        $method eq 'POST' ? (json => { title => $title }) : ()))
        for @connections;
    my @status = map { $_->read->status } @connections;
    return join ' ', @status;
}

sub all ($status, $count = 12) { return join ' ', ($status) x $count }

sub is_done_by_all ($method, $title, $name) {
    my $answers = statuses($method, 12, $title);
    my $done = () = $answers =~ /\b201\b/g;

    is($answers, all($method eq 'GET' ? 200 : 201), $name);
    is((sql("SELECT COUNT(*) FROM all_posts WHERE title = '$title'",
        $database->address))[0][0], $done, 'each 201 has a row of its own')
        if $method ne 'GET';
}

# number, SQLSTATE: what a server says that declines, that is about to go, that
# does not know, and numbers that nobody here has heard of.
my @numbers = ([1040, '08004'], [1045, '28000'], [1047, '08S01'],
    [1053, '08S01'], [1114, 'HY000'], [1129, 'HY000'], [1142, '42000'],
    [1159, '08S01'], [1180, 'HY000'], [1226, '42000'], [1290, 'HY000'],
    [1317, '70100'], [1792, '25006'], [1836, 'HY000'], [1862, 'HY000'],
    [1881, 'HY000'], [1927, '70100'], [3024, 'HY000'], [3032, 'HY000'],
    [3100, 'HY000'], [3989, 'HY000'], [4031, 'HY000'], [9999, 'HY000']);

for my $case (@numbers) {
    my ($number, $state) = @$case;

    subtest "$number ($state)" => sub {
        my $title = "number $number";
        refuse($number, $state);
        statuses('GET') for 1, 2;
        refuse_old();
        is_done_by_all(GET => $title, 'every read is done on a new one');
        statuses('GET');
        refuse_old();
        is_done_by_all(POST => $title, 'and every write');

        my $mark = $patient->log->mark;
        newest(1 << 40);
        is(statuses('POST'), all(503), 'to new ones, too: writes are 503');
        is(statuses('GET'), all(503), 'and reads');
        my $line;
        ok(wait_until(sub {
            statuses('GET', 3); # what goes on is told again and again
            ($line) = grep { ($_->{mysql_errno} // 0) == $number }
                $patient->log->since($mark) }), 'the log says so');
        is(Patient::Doctor::labels($doctor->diagnose(
            JSON::PP->new->utf8->encode($line // {}))), 'db-failure',
            'and the doctor sees that it is the database');
        newest(0);
        my $start = time;
        ok(wait_until(sub { statuses('POST', 12, 'T') eq all(201) }, 60),
            'all is well again');
        cmp_ok(time - $start, '<', 5, 'within 5 s');
        sleep 1.1;              # new ones are worth an attempt again
    };
}

subtest 'who is in the way of others is not refused' => sub {
    refuse(0, '');
    my $mark = $patient->log->mark;
    my $other = Patient::Sql->open($database->address);
    my $writer = connection(port => $port);
    $other->run('BEGIN');
    $other->run('UPDATE all_posts SET title = CONCAT(title, 1)');
    $other->run('SELECT * FROM all_posts FOR UPDATE');
    $writer->send($writer->compose(POST => '/api/posts',
        token => $user->{token}, json => { title => 'victim' }));
    ok(wait_until(sub { (sql('SELECT COUNT(*) FROM '
        . "information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
        $database->administrator))[0][0] }), 'it waits for the other');
    $other->run("UPDATE users SET name = 'Y' WHERE id = $user->{id}");
    $other->run('COMMIT');
    is($writer->read('POST')->status, 201, 'it is done after the other');
    is((sql("SELECT COUNT(*) FROM all_posts WHERE title = 'victim'",
        $database->address))[0][0], 1, 'once');
    is(scalar(grep { $_->{mysql_errno} } $patient->log->since($mark)), 0,
        'and nothing is told');
    cmp_ok((sql("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'",
        $database->administrator))[0][1], '>', 0, 'it was a deadlock')
        if !$ENV{PATIENT_TEST_MYSQL};
};

undef $doctor;
undef $patient;
done_testing;
