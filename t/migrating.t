# A database that the Express original has made and filled, and the way back to
# it: what docs/migrating.md promises. A database and patients of its own.

use Patient;
use Patient::Database;
use Patient::Log;
use Patient::Server;
use Patient::Sql;
use POSIX ();
use Time::Local qw(timegm_modern);

my $database = Patient::Database->new;
$database->root(q(GRANT ALL ON *.* TO patient@'%'));
my $MARIADB = !$ENV{PATIENT_TEST_MYSQL};

# The statements of Sequelize 6 for the original's models.
my @ORIGINAL = (
    q(CREATE TABLE IF NOT EXISTS `users` (`id` INTEGER auto_increment ,
        `email` VARCHAR(255) NOT NULL UNIQUE, `password` VARCHAR(255) NOT NULL,
        `name` VARCHAR(255) DEFAULT 'Anonymous', `created_at` DATETIME NOT NULL,
        `updated_at` DATETIME NOT NULL, PRIMARY KEY (`id`)) ENGINE=InnoDB),
    q(CREATE TABLE IF NOT EXISTS `posts` (`id` INTEGER auto_increment ,
        `user_id` INTEGER NOT NULL, `title` VARCHAR(255) NOT NULL,
        `content` TEXT, `created_at` DATETIME NOT NULL,
        `updated_at` DATETIME NOT NULL, PRIMARY KEY (`id`),
        FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE
        ON UPDATE CASCADE) ENGINE=InnoDB));

# Passwords, and what bcryptjs 2.4.3 made of them.
my @HASHED = (
    ['S3cretly original one',
        '$2a$10$9JStu48f/HTEdrWY1UdtP.dwR1MHpjgFNYr65opPn0JddO9PNXHsO'],
    ['S3cretly original one',
        '$2b$10$nwup16iR8zunkWg5sq4v1..SVVaLEwTY0b0673XU64thHhtELm.3K'],
    ['한글비밀번호 🩺',
        '$2a$10$V2w33DS9WFPz/DQZTUJWQ.Aoh94IU3VTz3N54yqcP3EYT4M1voEMy'],
    ['S3cretly ' . 'long ' x 20 . 'tail',
        '$2a$10$jC70oDRLYe.qmcDJnoRq1eeopDfaF6NTzXqlNWNJ/wBxehrCHEJWq'],
    ['가나' x 20,
        '$2a$10$q0S1IKbB6kOKy8zDThLTguEMfbJylA/NRABFa70CJXWN/04tgowUC'],
);

# A database of that name with the original's tables, by its changed statements
# if there is a change. What is set for a session of it comes back.
sub original ($name, $charset = 'utf8mb4', $change = undef) {
    my %at = ($database->address, database => $name);

    $database->root("CREATE DATABASE $name CHARACTER SET $charset");
    for my $statement (@ORIGINAL) {
        local $_ = $statement;
        $change->() if $change;
        sql($_, %at);
    }
    return %at;
}

# The same as Sequelize wrote rows: the time of +09:00, without its zone.
sub seoul ($epoch) {
    return POSIX::strftime('%Y-%m-%d %H:%M:%S', gmtime($epoch + 9 * 3600));
}

sub iso ($epoch) {
    return POSIX::strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime $epoch);
}

# And as it read them.
sub read_back ($text) {
    my ($y, $m, $d, @time) = $text
        =~ /\A(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)/ or die $text;
    return iso(timegm_modern(@time[2, 1, 0], $d, $m - 1, $y) - 9 * 3600);
}

sub add_user ($at, $id, %row) {
    my %is = (email => "u$id\@example.org", password => $HASHED[0][1],
        name => "User $id", at => seoul(time - 86_400), %row);
    sql("INSERT INTO users VALUES ($id, " . sql_text($is{email})
        . ", '$is{password}', "
        . (defined $is{name} ? sql_text($is{name}) : 'NULL')
        . ", '$is{at}', '$is{at}')", %$at);
    return \%is;
}

sub add_post ($at, $id, %row) {
    my %is = (user => 1, title => "Post $id", content => 'Text',
        at => seoul(time - 86_400 + $id), %row);
    my $when = defined $is{at} ? "'$is{at}'" : 'NULL';
    sql("SET sql_mode = ''; INSERT INTO posts VALUES ($id, $is{user}, "
        . sql_text($is{title}) . ', '
        . (defined $is{content} ? sql_text($is{content}) : 'NULL')
        . ", $when, $when)", %$at);
}

sub patient ($name, %env) {
    return Patient::Server->new($database->environment, DB_NAME => $name,
        %env);
}

sub posts_of ($patient, $query = '?limit=100') {
    my $answer = request(GET => "/api/posts$query", port => $patient->port);
    is($answer->status, 200, 'the list') or diag($answer->summary);
    return @{ $answer->json->{posts} };
}

sub post_of ($patient, $id) {
    return request(GET => "/api/posts/$id", port => $patient->port)->json;
}

# Lines of a kind, and lines that a doctor reads.
sub schema_lines ($patient) {
    return grep { $_->{type} eq 'SCHEMA WARNING' } $patient->log->since;
}

sub alarms ($patient) {
    return grep { /ERROR|Error|error|CRITICAL|FATAL|WARNING|Warning/
        && !Patient::Log::is_stall(Patient::Log::decode($_)) }
        $patient->log->raw_since;
}

# ---- the zone

my %at = original('original');
my $yesterday = time - 86_400;
add_user(\%at, $_ + 1, password => $HASHED[$_][1]) for 0 .. $#HASHED;
add_post(\%at, $_, at => seoul($yesterday + $_)) for 1 .. 20;
my %made = map { $_ => [sql("SHOW CREATE TABLE $_", %at)] } qw(users posts);
my @rows = map { [sql("SELECT * FROM $_ ORDER BY id", %at)] } qw(users posts);
my $seoul = patient('original', DB_TIMEZONE => '+09:00');

subtest 'the tables and their rows stay as they were' => sub {
    for my $table (qw(users posts)) {
        my $now = (sql("SHOW CREATE TABLE $table", %at))[0][1];
        $now =~ s/,\\n  KEY `posts_newest` \(`created_at`,`id`\)//;
        is($now, $made{$table}[0][1], "$table, but for an index");
    }
    is_deeply([map { [sql("SELECT * FROM $_ ORDER BY id", %at)] }
        qw(users posts)], \@rows, 'every row');
};

subtest 'what the original wrote at +09:00 is read as it was meant' => sub {
    my @list = posts_of($seoul);

    is(join(' ', map { $_->{id} } @list), join(' ', reverse 1 .. 20),
        'the newest first');
    is($list[0]{createdAt}, iso($yesterday + 20), 'createdAt');
    is($list[0]{updatedAt}, iso($yesterday + 20), 'updatedAt');
    is(post_of($seoul, 7)->{createdAt}, iso($yesterday + 7), 'one post');
    is((schema_lines($seoul))[0], undef, 'and there is nothing to warn of');
    is(scalar(alarms($seoul)), 0, 'nor any other such line');
};

subtest 'users log in with the hashes of bcryptjs' => sub {
    for my $i (0 .. $#HASHED) {
        my ($password, $hash) = @{ $HASHED[$i] };
        my $email = 'u' . ($i + 1) . '@example.org';
        my $kind = substr($hash, 0, 4) . ', ' . do {
            utf8::encode(my $bytes = $password); length $bytes } . ' bytes';
        my $answer = request(POST => '/api/auth/login', port => $seoul->port,
            json => { email => $email, password => $password });

        is_json($answer, 200, $kind);
        is($answer->json->{user}{createdAt}, read_back($rows[0][$i][4]),
            "$kind: since when");
        is(request(POST => '/api/auth/login', port => $seoul->port, json =>
            { email => $email, password => "x$password" })->status, 401,
            "$kind: another password");
    }
};

subtest 'a password of over 72 bytes is not taken anew' => sub {
    is_error(request(POST => '/api/auth/register', port => $seoul->port,
        json => { email => new_email(), password => $HASHED[3][0] }), 400,
        qr/72 bytes/, 'at sign-up');
};

subtest 'what is new is on top, and means the same to the original' => sub {
    my $before = time;
    my $user = sign_in(port => $seoul->port);
    my @new = map { new_post($user, port => $seoul->port) } 1 .. 3;
    my @list = posts_of($seoul);
    my @columns = sql('SELECT id, created_at, updated_at FROM posts ORDER BY '
        . 'created_at DESC, id DESC', %at);
    my ($since) = sql("SELECT created_at FROM users WHERE id = $user->{id}",
        %at);

    is($list[0]{id}, $new[2]{id}, 'the new post is the first');
    is_deeply([map { [@$_{qw(id createdAt updatedAt)}] } @list],
        [map { [$_->[0], read_back($_->[1]), read_back($_->[2])] } @columns],
        'the original reads the same times in the same order');
    is(read_back($since->[0]), $user->{createdAt}, 'and the new user');
    is($new[0]{createdAt}, $list[2]{createdAt}, 'what was answered at once');
    cmp_ok($new[0]{createdAt}, 'ge', iso($before), 'and it is now');
    cmp_ok($new[2]{createdAt}, 'le', iso(time), 'no later');
};

subtest 'the original goes on where the patient was' => sub {
    add_post(\%at, 1000, at => seoul(time + 60));
    my @list = posts_of($seoul);

    is($list[0]{id}, 1000, 'its post is the newest');
    cmp_ok($list[0]{createdAt}, 'gt', $list[1]{createdAt}, 'by its time');
    sql('DELETE FROM posts WHERE id = 1000', %at);
};

subtest 'the tools go by the same zone' => sub {
    my ($status, $output) = $seoul->ctl('exec', '--', 'sh', '-c',
        'mariadb --defaults-file="$MARIADB_HOME/my.cnf" -BN '
        . "-e 'SELECT \@\@time_zone'");
    is($output =~ s/\s+\z//r, '+09:00', 'the option file sets it');
    ($status, $output) = $seoul->ctl('exec', '--',
        "$FindBin::Bin/../build/patient-chaos", 'slow-query', '--posts=5',
        '--rows=1000');
    like($output, qr/"totalQueries":6\b/, 'patient-chaos works');
};

subtest 'fractions of seconds are kept' => sub {
    my %here = original('fractions', 'utf8mb4', sub {
        s/`created_at` DATETIME/`created_at` DATETIME(6)/;
        s/`updated_at` DATETIME/`updated_at` DATETIME(3)/ });
    add_user(\%here, 1);
    add_post(\%here, 1, at => '2024-12-10 19:30:45.123456');
    add_post(\%here, 2, at => '2024-12-10 19:30:45.999999');
    my $patient = patient('fractions', DB_TIMEZONE => '+09:00');

    is(post_of($patient, 1)->{createdAt}, '2024-12-10T10:30:45.123Z',
        'of DATETIME(6)');
    is(post_of($patient, 1)->{updatedAt}, '2024-12-10T10:30:45.123Z',
        'of DATETIME(3)');
    is(join(' ', map { $_->{id} } posts_of($patient)), '2 1',
        'and they order the list');
    my $post = new_post(sign_in(port => $patient->port),
        port => $patient->port);
    is(post_of($patient, $post->{id})->{createdAt}, $post->{createdAt},
        'a new one is answered as it is stored');
};

subtest 'days of every year, and those that are none' => sub {
    my %here = original('days', 'utf8mb4', sub {
        s/DATETIME NOT NULL/DATETIME/g });
    my @days = (
        [undef, undef],
        ['0000-00-00 00:00:00', undef],
        ['2024-00-00 00:00:00', undef],
        ['1970-01-01 09:00:00', '1970-01-01T00:00:00.000Z'],
        ['1970-01-01 08:59:59', '1969-12-31T23:59:59.000Z'],
        ['1899-12-31 09:00:00', '1899-12-31T00:00:00.000Z'],
        ['2038-01-19 12:14:08', '2038-01-19T03:14:08.000Z'],
        ['2106-02-07 16:00:00', '2106-02-07T07:00:00.000Z'],
        ['9999-12-31 23:59:59', '9999-12-31T14:59:59.000Z'],
    );
    add_user(\%here, 1);
    sql("SET sql_mode = ''; UPDATE users SET created_at = NULL, updated_at = "
        . "'0000-00-00 00:00:00'", %here);
    add_post(\%here, $_ + 1, at => $days[$_][0]) for 0 .. $#days;
    my $patient = patient('days', DB_TIMEZONE => '+09:00');
    my %list = map { $_->{id} => $_ } posts_of($patient);

    for my $i (0 .. $#days) {
        my ($text, $iso) = @{ $days[$i] };
        $text //= 'NULL';
        ok(exists $list{ $i + 1 }{createdAt}, "$text: createdAt is there");
        is($list{ $i + 1 }{createdAt}, $iso, "$text in the list");
        is(post_of($patient, $i + 1)->{updatedAt}, $iso, "$text, alone");
    }
    my $user = request(POST => '/api/auth/login', port => $patient->port,
        json => { email => 'u1@example.org', password => $HASHED[0][0] })
        ->json->{user};
    is($user->{createdAt}, undef, 'a user of no day');
    is($user->{updatedAt}, undef, 'and of the zeroth');
    is(scalar(alarms($patient)), 0, 'the log is at peace');
};

# The statements that docs/migrating.md has, those with a word in them.
sub documented ($word) {
    my $page = Patient::Server::slurp("$FindBin::Bin/../docs/migrating.md");

    return join ' ', grep { /$word/ && /\A\s*[A-Z]+ / }
        $page =~ /((?:^ {4,}.*\n)+)/mg;
}

subtest 'the statements of docs/migrating.md run as they stand' => sub {
    my %here = original('converted');
    my $told = seoul(my $then = time - 1000);
    my $convert = documented(qr/time_zone|MODIFY/);
    my $times = 'SELECT created_at, updated_at FROM posts ORDER BY id';
    add_user(\%here, 1, at => $told);
    add_post(\%here, $_, at => $told) for 1, 2;
    add_post(\%here, 3, at => '1969-12-31 23:59:59');
    my @before = sql($times, %here);
    ok(!eval { sql($convert, %here); 1 }, 'a time before 1970 stops them');
    is_deeply([sql($times, %here)], \@before, 'and its table is as it was');
    sql("SET sql_mode = ''; UPDATE posts SET created_at = '0000-00-00' "
        . 'WHERE id = 3', %here);
    sql("SET sql_mode = ''; UPDATE posts SET updated_at = '$told'", %here);
    sql($convert, %here);
    my $patient = patient('converted');
    my $port = $patient->port;

    is(join(' ', map { $_->{createdAt} // 'null' } posts_of($patient)),
        join(' ', (iso($then)) x 2, 'null'),
        'converted, a time needs no DB_TIMEZONE');
    my $user = sign_in(port => $port);
    my $post = new_post($user, port => $port);
    is((posts_of($patient))[0]{id}, $post->{id}, 'a new post is the first');
    is(scalar(alarms($patient)), 0, 'and nobody is warned');
    is_deeply([map { read_back($_->[0]) } sql("SET time_zone = '+09:00'; "
        . 'SELECT created_at FROM posts WHERE id <> 3 ORDER BY id', %here)],
        [(iso($then)) x 2, $post->{createdAt}], 'the original reads the same');

    sql(documented(qr/UPDATE/), %here);
    is_deeply([sql('SELECT DISTINCT LEFT(password, 4), LENGTH(password) FROM '
        . 'users ORDER BY 1', %here)], [['$2a$', 60], ['$2b$', 60]],
        'hashes have names that all know');
    is_json(request(POST => '/api/auth/login', port => $port, json =>
        { email => $user->{email}, password => $user->{password} }), 200,
        'by which their users log in here as well');
};

subtest 'TIMESTAMP columns are right in any zone' => sub {
    my %here = original('timestamps', 'utf8mb4', sub {
        s/DATETIME NOT NULL/TIMESTAMP NULL/g });
    sql("SET time_zone = '+00:00'; INSERT INTO users VALUES (1, 'u', 'x', "
        . "NULL, '2024-12-10 10:30:45', NULL); INSERT INTO posts VALUES "
        . "(1, 1, 'Post', NULL, '2024-12-10 10:30:45', NULL)", %here);
    for my $zone (undef, '+00:00', '+09:00', '-12:59') {
        my $patient = patient('timestamps', DB_TIMEZONE => $zone);
        my $name = $zone // 'unset';

        is(post_of($patient, 1)->{createdAt}, '2024-12-10T10:30:45.000Z',
            $name);
        is(post_of($patient, 1)->{updatedAt}, undef, "$name: NULL");
        my $post = new_post(sign_in(port => $patient->port),
            port => $patient->port);
        is((posts_of($patient))[0]{id}, $post->{id}, "$name: a new one");
        is((sql("SET time_zone = '+00:00'; SELECT DATE_FORMAT(created_at, "
            . "'%Y-%m-%dT%H:%i:%s.000Z') FROM posts WHERE id = $post->{id}",
            %here))[0][0], $post->{createdAt}, "$name: what is stored");
        is(scalar(alarms($patient)), 0, "$name: the log is at peace");
    }
};

# ---- what else an original may hold

subtest 'texts of any length come back whole' => sub {
    my %here = original('texts', 'utf8mb4', sub { s/TEXT/LONGTEXT/ });
    my @texts = ('', 'x' x 254, 'x' x 255, '한' x 85, 'x' x 65_535,
        'x' x 65_536, '한' x 21_845 . '글', '🩺' x 20_000, 'y' x 1_500_000);
    add_user(\%here, 1, name => '이' x 100);
    add_post(\%here, $_ + 1, content => $texts[$_], title => '제' x 255)
        for 0 .. $#texts;
    my $patient = patient('texts', DB_TIMEZONE => '+09:00');
    my %list = map { $_->{id} => $_ } posts_of($patient);

    for my $i (0 .. $#texts) {
        my $length = length $texts[$i];
        ok(post_of($patient, $i + 1)->{content} eq $texts[$i],
            "$length characters, alone");
        ok($list{ $i + 1 }{content} eq $texts[$i], 'and in the list');
    }
    is($list{1}{title}, '제' x 255, 'a title');
    is($list{1}{author}{name}, '이' x 100, 'a name');
};

subtest 'columns of bytes hold texts as well' => sub {
    my %here = original('bytes', 'binary');
    my @texts = ('', 'a', '한글 🩺', 'x' x 254, 'x' x 255, 'x' x 256,
        '한' x 85, 'y' x 1000, 'z', '');
    add_user(\%here, 1, email => 'long.address@example.org');
    add_user(\%here, 2, name => 'A');
    add_post(\%here, $_ + 1, content => $texts[$_], title => "제$_",
        user => 1 + $_ % 2) for 0 .. $#texts;
    my $patient = patient('bytes', DB_TIMEZONE => '+09:00');
    my $port = $patient->port;
    my %list = map { $_->{id} => $_ } posts_of($patient);

    for my $i (0 .. $#texts) {
        my $is = [$texts[$i], "제$i", $i % 2 ? 'A' : 'User 1'];
        for my $post ($list{ $i + 1 }, post_of($patient, $i + 1)) {
            is_deeply([@$post{qw(content title)}, $post->{author}{name}], $is,
                length($texts[$i]) . ' characters');
        }
    }
    is_json(request(POST => '/api/auth/login', port => $port, json =>
        { email => 'u2@example.org', password => $HASHED[0][0] }), 200,
        'a hash is read to its end, and no further');
    my $post = new_post(sign_in(port => $port), port => $port,
        title => '가', content => '나');
    is_deeply([@{ post_of($patient, $post->{id}) }{qw(title content)}],
        ['가', '나'], 'what is new, too');
};

subtest 'a NUL, which the original took, is no end of a text' => sub {
    my %here = original('nuls');
    my $patient = patient('nuls', DB_TIMEZONE => '+09:00');
    add_user(\%here, 1);
    add_post(\%here, 1, title => "a\0b\0\0c", content => "\0" . "d\0" x 300
        . 'e');
    add_post(\%here, 2, title => "f\0\0", content => "\0" x 300);

    is_deeply([@{ post_of($patient, 1) }{qw(title content)}],
        ["a\x{fffd}b\x{fffd}\x{fffd}c",
            "\x{fffd}" . "d\x{fffd}" x 300 . 'e'],
        'it is told as the character that stands for what is none');
    is_deeply([@{ post_of($patient, 2) }{qw(title content)}], ['f', ''],
        'those at the end are left out');
};

subtest 'lists of long texts leave no memory behind' => sub {
    my %here = original('long_lists', 'utf8mb4', sub { s/TEXT/LONGTEXT/ });
    add_user(\%here, 1);
    add_post(\%here, 1, content => '한' x 70_000);
    sql('INSERT INTO posts (user_id, title, content, created_at, updated_at) '
        . 'SELECT user_id, title, content, created_at, updated_at FROM posts '
        . "ORDER BY id LIMIT $_", %here) for 1, 2, 4, 8, 16, 32, 36;
    my $patient = patient('long_lists', DB_TIMEZONE => '+09:00');
    my $rss = sub { request(GET => '/api/metrics', port => $patient->port)
        ->json->{memory}{rss} / 2**20 };
    my $before = $rss->();

    for (1 .. 8) {
        my $answer = request(GET => '/api/posts?limit=100',
            port => $patient->port);
        cmp_ok(length $answer->body, '>', 20_000_000, 'a long list');
    }
    # At once: each over a connection of its own.
    my @readers = map { my $pid = fork // die "fork: $!\n";
        if (!$pid) {
            request(GET => '/api/posts?limit=100', port => $patient->port);
            POSIX::_exit(0);
        }
        $pid } 1 .. 8;
    waitpid $_, 0 for @readers;
    ok(wait_until(sub { $rss->() - $before < 64 }),
        'the server is small again') or diag($rss->() - $before . ' MB more');
};

subtest 'posts without their users, and users without names' => sub {
    my %here = original('orphans', 'utf8mb4', sub {
        s/,\s+FOREIGN KEY.*(?=\) ENGINE)//s;
        s/`email` VARCHAR\(255\) NOT NULL/`email` VARCHAR(255)/;
        s/INTEGER/BIGINT/g });
    my $far = 5_000_000_000;
    add_user(\%here, 1, name => undef);
    add_user(\%here, $far, email => 'far@example.org');
    sql("INSERT INTO users VALUES (2, NULL, 'x', 'Nobody', NOW(), NOW())",
        %here);
    add_post(\%here, 1);
    add_post(\%here, 2, user => 2);
    add_post(\%here, 3, user => 99);
    add_post(\%here, $far, user => $far, content => undef,
        at => seoul(time));
    my $patient = patient('orphans', DB_TIMEZONE => '+09:00');
    my $port = $patient->port;
    my @list = posts_of($patient);
    my %list = map { $_->{id} => $_ } @list;

    is(scalar @list, 4, 'every post is listed');
    is_deeply($list{1}{author}, { id => 1, email => 'u1@example.org',
        name => undef }, 'a user without a name');
    is_deeply($list{2}{author}, { id => 2, email => undef,
        name => 'Nobody' }, 'one without an address');
    ok(exists $list{3}{author}, 'a post that has outlived its user has');
    is($list{3}{author}, undef, 'null for an author');
    is(post_of($patient, 3)->{author}, undef, 'alone, too');
    is(post_of($patient, 3)->{user_id}, 99, 'and says whose it was');
    is($list[0]{id}, $far, 'an id beyond 2^31');
    is(post_of($patient, $far)->{author}{id}, $far, 'is found');
    my $login = request(POST => '/api/auth/login', port => $port, json =>
        { email => 'far@example.org', password => $HASHED[0][0] });
    is_json($login, 200, 'such a user logs in');
    my $post = new_post($login->json, port => $port, title => 'Far');
    cmp_ok($post->{id}, '>', $far, 'and writes');
    is_json(request(DELETE => "/api/posts/$post->{id}", port => $port,
        token => $login->json->{token}), 200, 'and deletes');
    is(scalar(alarms($patient)), 0, 'the log is at peace');
};

# ---- what somebody has to be told

my $ZONE = 'DATETIME_WITHOUT_ZONE';
my $CHARSET = 'CHARACTER_SET';

subtest 'DATETIME columns without DB_TIMEZONE are warned of, once' => sub {
    for my $children (1, 3) {
        my $patient = patient('original', DB_TIMEZONE => undef,
            PATIENT_CHILDREN => $children);
        my $line = $patient->log->wait_for(0, sub ($l) {
            ($l->{code} // '') eq $ZONE }) or return fail('no line');

        is($line->{level}, 'warning', "$children children: a warning");
        is($line->{type}, 'SCHEMA WARNING', 'of its type');
        like($line->{message}, qr/DB_TIMEZONE.*posts\.created_at.*users\.upd/s,
            'it names the setting and the columns');
        like($line->{hint}, qr/DB_TIMEZONE.*\+09:00.*\+00:00/s,
            'and says what to do');
        is(join('', Patient::Log::faults((grep { /$ZONE/ }
            $patient->log->raw_since)[0])), '', 'as every line is');
        is((posts_of($patient))[-1]{createdAt}, iso($yesterday + 1 + 9 * 3600),
            'until then they are read as UTC');
        for my $round (1 .. 3) {
            $patient->restart;
            posts_of($patient) for 1 .. 6;
        }
        is(scalar(schema_lines($patient)), 1,
            'over all children and restarts it is one line');
    }
};

subtest 'DB_TIMEZONE=+00:00 is an answer, too' => sub {
    my $patient = patient('original', DB_TIMEZONE => '+00:00');

    is((posts_of($patient))[-1]{createdAt}, iso($yesterday + 1 + 9 * 3600),
        'the columns are UTC');
    is(scalar(alarms($patient)), 0, 'and nobody is warned');
};

subtest 'a database that comes later is looked at later' => sub {
    my $other = Patient::Database->new;
    my %here = ($other->address);
    sql($_, %here) for @ORIGINAL;
    $other->kill('TERM');
    my $patient = Patient::Server->new($other->environment);
    $patient->log->wait_for(0, sub ($l) {
        $l->{type} eq 'DB CONNECTION ERROR' }) or fail('not looked for');
    is(request(GET => '/api/posts', port => $patient->port)->status, 503,
        'it is away');
    $other->start;
    wait_until(sub { request(GET => '/readyz', port => $patient->port)
        ->status == 200 }, 30);
    posts_of($patient) for 1 .. 3;
    is((grep { ($_->{code} // '') eq $ZONE } $patient->log->since), 1,
        'and then the line comes, once');
};

# What cannot be in there, and what can.
my %CHARSETS = (
    latin1 => [['🩺', '한글'], ['Größe', 'é']],
    utf8mb3 => [['🩺', 'a🩺b'], ['한글', 'é']],
);

for my $charset (sort keys %CHARSETS) {
    subtest "tables in $charset" => sub {
        my %here = original("in_$charset", $charset);
        my ($cannot, $can) = @{ $CHARSETS{$charset} };
        my $patient = patient("in_$charset", DB_TIMEZONE => '+09:00');
        my $port = $patient->port;
        my $line = $patient->log->wait_for(0, sub ($l) {
            ($l->{code} // '') eq $CHARSET }) or return fail('no line');
        my $mark = $patient->log->mark;

        is($line->{level}, 'warning', 'a warning');
        like($line->{message}, qr/$charset/, 'names the character set');
        like($line->{message}, qr/\Q$_\E/, "and $_") for qw(users.email
            users.name posts.title posts.content);
        unlike($line->{message}, qr/password/, 'but not what needs no more');

        my $user = sign_in(port => $port, name => $can->[0]);
        is($user->{name}, $can->[0], 'what fits is stored');
        for my $text (@$can) {
            my $post = new_post($user, port => $port, title => $text,
                content => $text);
            is_deeply([@{ post_of($patient, $post->{id}) }{qw(title content)}],
                [$text, $text], "$text comes back");
        }
        for my $text (@$cannot) {
            my $why = qr/character set/;
            is_error(request(POST => '/api/posts', port => $port, token =>
                $user->{token}, json => { title => $text }), 400, $why,
                "$text is no title here");
            is_error(request(POST => '/api/posts', port => $port, token =>
                $user->{token}, json => { title => 'T', content => $text }),
                400, $why, "$text is no content");
            is_error(request(POST => '/api/auth/register', port => $port,
                json => { email => new_email(), password => password(),
                name => $text }), 400, $why, "$text is no name");
            is_error(request(POST => '/api/auth/register', port => $port,
                json => { email => "$text\@example.org", password =>
                password() }), 400, $why, "$text is no address");
            is_error(request(POST => '/api/auth/login', port => $port,
                json => { email => "$text\@example.org", password =>
                password() }), 401, qr/Invalid email or password/,
                "and $text does not log in");
        }
        is((sql("SELECT COUNT(*) FROM posts", %here))[0][0], scalar @$can,
            'nothing of it was stored');
        is(scalar(grep { /ERROR|Error|error|FATAL|WARN|Warn/ }
            $patient->log->raw_since($mark)), 0, 'and no line tells of it');

        sql($_, %here) for $line->{hint} =~ /\G\s*([^;]+);/g;
        $patient->restart;
        my $post = new_post($user, port => $port, title => $cannot->[0]);
        is(post_of($patient, $post->{id})->{title}, $cannot->[0],
            'after what the hint says everything fits');
        is(post_of($patient, 1)->{title}, $can->[0], 'and the rest is whole');
        $patient->stop;
        $patient = patient("in_$charset", DB_TIMEZONE => '+09:00');
        posts_of($patient);
        is(scalar(alarms($patient)), 0, 'and there is no more to warn of');
    };
}

# Tables that would not take just any conversion: the character set, what was
# done to their statements, and their users' addresses, all of them different.
my %STUBBORN = (
    'other accents are other addresses' => ['latin1', sub { },
        ['jörg@example.org', 'jorg@example.org', 'arg@example.org',
            'årg@example.org']],
    'other cases are other addresses' => ['utf8mb3', sub {
        s/`email` VARCHAR\(255\)/$& COLLATE utf8mb3_bin/ },
        ['Ada@example.org', 'ada@example.org']],
    'the same in latin1' => ['latin1', sub {
        s/InnoDB/$& COLLATE latin1_general_cs/ },
        ['Ada@example.org', 'ada@example.org']],
    'keys have 767 bytes' => ['utf8mb3', sub {
        s/InnoDB/$& ROW_FORMAT=COMPACT/ }, ['ada@example.org']],
    'keys have 1000 bytes' => ['utf8mb3', sub {
        s/,\s+FOREIGN KEY.*(?=\) ENGINE)//s; s/InnoDB/MyISAM/ },
        ['ada@example.org']],
    'days are none' => ['latin1', sub { }, ['ada@example.org'],
        '0000-00-00 00:00:00'],
);

for my $name (sort keys %STUBBORN) {
    subtest "the hint about character sets works where $name" => sub {
        my ($charset, $change, $emails, $day) = @{ $STUBBORN{$name} };
        my $database = 'stubborn_' . $name =~ s/\W+/_/gr;
        my %here = original($database, $charset, $change);
        my $rows = sub { map { [sql("SELECT * FROM $_ ORDER BY id", %here)] }
            qw(users posts) };
        add_user(\%here, $_ + 1, email => $emails->[$_]) for 0 .. $#$emails;
        add_post(\%here, $_, at => $day // seoul(time)) for 1 .. 3;
        my @before = $rows->();
        my $patient = patient($database, DB_TIMEZONE => '+09:00');
        my $line = $patient->log->wait_for(0, sub ($l) {
            ($l->{code} // '') eq $CHARSET }) or return fail('no line');
        my ($statements) = $line->{hint} =~ /\A(.*;)/;

        is(eval { sql($statements, %here); 1 }, 1, 'its statements run')
            or diag($@);
        is_deeply([$rows->()], \@before, 'every row is as it was');
        $patient->restart;
        my $port = $patient->port;
        new_post(sign_in(port => $port, name => '🩺'), port => $port,
            title => '🩺', content => '🩺');
        for my $email (@$emails) {
            is(request(POST => '/api/auth/login', port => $port, json =>
                { email => $email, password => $HASHED[0][0] })->json
                ->{user}{email}, $email, "$email logs in");
        }
        $patient->stop;
        $patient = patient($database, DB_TIMEZONE => '+09:00');
        posts_of($patient);
        is(scalar(alarms($patient)), 0, 'and there is no more to warn of');
    };
}

subtest 'tables whose names differ in case are somebody else\'s' => sub {
    my %here = original('other_cases');
    sql('CREATE TABLE Users (id INT, email VARCHAR(20) CHARACTER SET latin1, '
        . 'created_at DATETIME); CREATE TABLE POSTS LIKE Users', %here);
    my $patient = patient('other_cases');
    my $line = $patient->log->wait_for(0, sub ($l) {
        ($l->{code} // '') eq $ZONE }) or return fail('no line');

    like($line->{message}, qr/:\ posts\.created_at,\ posts\.updated_at,
        \ users\.created_at,\ users\.updated_at\ are\ read/x, 'not named');
    posts_of($patient);
    is(scalar(alarms($patient)), 1, 'nor warned of');
};

subtest 'views will do in place of tables' => sub {
    my %here = original('views', 'utf8mb3', sub {
        s/TABLE IF NOT EXISTS `(\w+)`/TABLE `old_$1`/;
        s/REFERENCES `/$&old_/ });
    sql("CREATE VIEW $_ AS SELECT * FROM old_$_", %here) for qw(users posts);
    my $patient = patient('views');
    my $port = $patient->port;

    $patient->log->wait_for(0, sub ($l) { ($l->{code} // '') eq $ZONE })
        or fail('nobody is told that their times have no zone');
    new_post(sign_in(port => $port), port => $port);
    is(scalar(posts_of($patient)), 1, 'they are written and read');
    is(request(GET => '/readyz', port => $port)->status, 200, 'it is ready');
    is(scalar(alarms($patient)), 1, 'and there is nothing else to say');
};

subtest 'tables that lack a column, or want another, are told of' => sub {
    my %here = original('foreign_posts', 'utf8mb4', sub {
        s/`created_at`/`createdAt`/ if /`posts`/;
        s/`name`/`phone` VARCHAR(20) NOT NULL, $&/ });
    my $patient = patient('foreign_posts', DB_TIMEZONE => '+09:00');
    my $port = $patient->port;
    my %why = (ER_BAD_FIELD_ERROR => ['created_at', qr/sql\/schema\.sql/],
        ER_NO_DEFAULT_FOR_FIELD => ['phone', qr/DEFAULT/]);

    is_error(request(GET => '/api/posts', port => $port), 503, qr/posts/,
        'the list');
    is_error(request(POST => '/api/auth/register', port => $port, json =>
        { email => new_email(), password => password() }), 503, qr/user/,
        'a new user');
    for my $code (sort keys %why) {
        my $line = $patient->log->wait_for(0, sub ($l) {
            ($l->{code} // '') eq $code }) or return fail("no $code");

        like($line->{error}, qr/'$why{$code}[0]'/, "$code names the column");
        like($line->{hint}, $why{$code}[1], 'and the hint what to do');
    }
};

subtest 'a column that is too narrow is no failure of the server' => sub {
    my %here = original('narrow', 'utf8mb4', sub {
        s/`title` VARCHAR\(255\)/`title` VARCHAR(20)/ });
    my $patient = patient('narrow', DB_TIMEZONE => '+09:00');
    my $user = sign_in(port => $patient->port);

    is_error(request(POST => '/api/posts', port => $patient->port, token =>
        $user->{token}, json => { title => 'x' x 21 }), 400, qr/longer/,
        'it is a 400');
    is(scalar(alarms($patient)), 0, 'and no line that alarms');
};

subtest 'the tables of our own are nothing to warn of' => sub {
    $database->root('CREATE DATABASE ours CHARACTER SET latin1');
    my $patient = patient('ours');

    posts_of($patient);
    sign_in(port => $patient->port, name => '한글 🩺');
    is(scalar(alarms($patient)), 0, 'whatever the database was made with');
};

subtest 'a zone that the server does not take stops the start' => sub {
    my ($status, $output) = Patient::Server->prepare($database->environment,
        DB_NAME => 'ours', DB_TIMEZONE => '+14:00')->ctl(qw(exec -- true));

    if (!$MARIADB) {
        is($status, 0, 'MySQL takes +14:00') or diag($output);
        return;
    }
    isnt($status, 0, 'MariaDB takes up to +13:00');
    like($output, qr/"type":"CONFIGURATION ERROR".*DB_TIMEZONE/,
        'one line names it');
};

# ---- what differs from the original, on purpose

subtest 'what docs/migrating.md says of the differences' => sub {
    my $port = $seoul->port;
    my $user = sign_in(port => $port);
    my @me = (port => $port, token => $user->{token});

    is_error(request(GET => '/api/posts?limit=101', port => $port), 400,
        qr/limit/, 'a limit over 100');
    is(request(GET => '/api/posts?limit=100', port => $port)->status, 200,
        '100 is none');
    is(request(GET => '/api/auth/verify', port => $port, headers =>
        { Authorization => $user->{token} })->status, 401,
        'a token without the word Bearer');
    for my $path ('/API/posts', '/api/Posts', '/Health') {
        is(request(GET => $path, port => $port)->status, 404, $path);
    }
    is_error(request(POST => '/api/posts', @me, json => { title => 5 }), 400,
        qr/Title/, 'a number for a title');
    for my $name (qw(db-fail memory-leak)) {
        is(request(POST => "/api/chaos/$name", port => $port)->status, 404,
            "$name without CHAOS_MODE");
    }
    my ($status, $output) = Patient::Server->prepare(
        NODE_ENV => 'production', JWT_SECRET => 'your-secret-key')
        ->ctl('check');
    isnt($status, 0, 'production with the JWT_SECRET of the example');
    like($output, qr/JWT_SECRET/, 'which is named');
};

subtest 'each of these differences is on the page' => sub {
    my $page = Patient::Server::slurp("$FindBin::Bin/../docs/migrating.md");

    like($page, $_, "$_") for qr/limit=1000.*400/, qr/JWT_SECRET/,
        qr/CHAOS_MODE=true.*404/, qr/Bearer/, qr/case-sensitive/,
        qr/number is no title/, qr/72 bytes/, qr/PatientHealthStatus 200/,
        qr/DB_TIMEZONE=\+09:00/, qr/DATETIME_WITHOUT_ZONE/, qr/CHARACTER_SET/;
};

# ---- /health as it was

subtest 'PatientHealthStatus 200: /health is 200, the body alone tells' => sub {
    my $other = Patient::Database->new;
    my ($copy, $lasts) = Patient::Server->copy_project;
    open my $conf, '>>', "$copy/conf/patient.conf" or die $!;
    print $conf "PatientHealthStatus 200\n";
    close $conf;
    my $patient = Patient::Server->new($other->environment,
        project => $copy);
    my $port = $patient->port;
    my $health = request(GET => '/health', port => $port);

    is_json($health, 200, 'well');
    is($health->json->{status}, 'ok', 'and it says so');
    $other->kill;
    $health = request(GET => '/health', port => $port);
    is_json($health, 200, 'the database away');
    is($health->json->{status}, 'error', 'the body tells');
    ok(!$health->json->{database}{connected}, 'that it is not connected');
    ok(length $health->json->{error}, 'and why');
    is(request(HEAD => '/health', port => $port)->status, 200, 'HEAD, too');
    is(request(GET => '/readyz', port => $port)->status, 503,
        '/readyz is 503 all the same');
    is(request(GET => '/livez', port => $port)->status, 200, '/livez is 200');
};

done_testing;
