# conf/patientctl: a patient with a database of its own, side by side with
# others, from start to stop. It does not use the common server.

use Patient;
use Patient::Log;
use Patient::Server;
use File::Spec ();
use POSIX ();

# The processes that carry a run directory in their environment, so what a
# patient has left running.
sub processes_of ($run) {
    my @pids;
    for my $file (glob '/proc/[0-9]*/environ') {
        my ($pid) = $file =~ /(\d+)/;
        open my $in, '<:raw', $file or next;
        local $/ = undef;
        my $environ = readline($in) // '';
        push @pids, $pid if $environ =~ /(?:\A|\0)PATIENT_RUN=\Q$run\E\0/;
    }
    return @pids;
}

sub is_one_line ($err, $text, $sentence) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @lines = split /\n/, $err;

    is(@lines, 1, "$sentence: one line") || diag($err);
    is(join(', ', Patient::Log::faults($lines[0] // '')), '',
        "$sentence: of the log's form");
    like($lines[0] // '', $text, "$sentence: that says it");
}

my %OWN = (embedded => 1, JWT_SECRET => undef);

subtest 'with nothing set there is a patient with its own database' => sub {
    my $patient = Patient::Server->new(%OWN);
    my $run = $patient->{env}{PATIENT_RUN};
    my $health = request(GET => '/health', port => $patient->port);

    is_json($health, 200, 'it is healthy');
    ok($health->json->{database}{connected}, 'and connected');
    my $user = sign_in(port => $patient->port);
    my $post = new_post($user, port => $patient->port);

    my ($status, $output) = $patient->ctl('status');
    is($status, 0, 'status is 0');
    like($output, qr/:@{[$patient->port]}\b/, 'and says where');

    subtest 'a second start in the same directory is refused' => sub {
        for my $verb (qw(start run)) {
            my $second = Patient::Server->prepare(%OWN, PATIENT_RUN => $run);
            my ($status, undef, undef, $err) = $second->ctl($verb);
            isnt($status, 0, "$verb: the status");
            is_one_line($err, qr/already running.*\Q$run\E/, $verb);
        }
    };
    subtest 'a port in use is refused' => sub {
        for my $verb (qw(start run)) {
            my $second = Patient::Server->prepare(%OWN,
                PORT => $patient->port);
            my ($status, undef, undef, $err) = $second->ctl($verb);
            isnt($status, 0, "$verb: the status");
            is_one_line($err, qr/PORT.*in use/, $verb);
        }
    };
    subtest 'another patient lives beside it' => sub {
        # Made at once, they would meet in TMPDIR; so neither needs it.
        my $second = Patient::Server->new(%OWN, TMPDIR => "$run/none");
        is_json(request(GET => "/api/posts/$post->{id}",
            port => $second->port), 404, 'with posts of its own');
        is((eval { sign_in(port => $second->port) } // {})->{id}, 1,
            'and users of its own');
        my ($status) = $second->stop;
        is($status, 0, 'it stops');
        is(processes_of($second->{env}{PATIENT_RUN}), 0, 'wholly');
    };

    is_json(request(GET => '/health', port => $patient->port), 200,
        'the first one is well');
    ($status, $output) = $patient->stop;
    is($status, 0, 'it stops') || diag($output);
    is(join(' ', processes_of($run)), '', 'and leaves no process');
    is(($patient->ctl('status'))[0], 3, 'status is 3');
    is(($patient->stop)[0], 0, 'a second stop is no mistake');

    ($status, $output) = $patient->ctl('start');
    is($status, 0, 'it starts again') || diag($output);
    $patient->{running} = 1;
    is_json(request(GET => "/api/posts/$post->{id}", port => $patient->port),
        200, 'with the post it had');
    is_json(request(GET => '/api/auth/verify', port => $patient->port,
        token => $user->{token}), 200, 'and the token is still good');
    is(join(' ', grep { (stat)[2] & 077 } "$run/keys", "$run/private",
        glob("$run/private/*")), '', 'nobody else may read its secrets');
};

subtest 'in a folder with a space and in the foreground, until Ctrl-C' => sub {
    my ($copy, $keep) = Patient::Server->copy_project('a project \'s space');
    my $run = "$copy/run";
    my $patient = Patient::Server->prepare(%OWN, project => $copy,
        PATIENT_RUN => undef, PATIENT_CHILDREN => 3);

    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        my ($status) = $patient->ctl('run');
        POSIX::_exit($status);
    }
    ok(wait_until(sub {
        eval { request(GET => '/livez', port => $patient->port) } }, 60),
        'it comes up')
        || diag(Patient::Server::slurp("$patient->{dir}/stderr"));
    my $out;
    ok(wait_until(sub {
        $out = Patient::Server::slurp("$patient->{dir}/stdout");
        $out =~ /curl/ }), 'it says a curl to try');
    my $port = $patient->port;
    like($out, qr/localhost:$port\b/, 'where the API is');
    like($out, qr/database/i, 'and which database it uses');
    is_json(request(GET => '/health', port => $port), 200, 'it is healthy');
    # Long lines from several children at once share one pipe.
    for (1 .. 5) {
        my @connections = map { connection(port => $port) } 1 .. 40;
        $_->send($_->compose(GET => '/' . 'p' x 3000,
            headers => { 'User-Agent' => '"' x 4000 })) for @connections;
        $_->read for @connections;
    }

    chomp(my $launcher = Patient::Server::slurp("$run/launcher.pid"));
    kill INT => $launcher;
    ok(wait_until(sub { waitpid($pid, POSIX::WNOHANG()) == $pid }, 60),
        'Ctrl-C ends it');
    is($? >> 8, 0, 'with status 0');
    ok(wait_until(sub { !grep { /\Q$copy\E/ } map {
        Patient::Server::slurp("/proc/$_/cmdline") }
        map { m{(\d+)} } glob '/proc/[0-9]*' }), 'no process is left');
    my @lines = split /\n/, Patient::Server::slurp("$patient->{dir}/stderr");
    cmp_ok(@lines, '>', 2, 'the log was on stderr');
    is(join("\n", grep { Patient::Log::faults($_) } @lines), '',
        'in JSON, every line');
    is_deeply([Patient::Log->new("$run/logs/error_log")->raw_since], \@lines,
        'and the same in run/logs/error_log');
};

subtest 'what a killed launcher left behind is stopped by stop' => sub {
    my $patient = Patient::Server->new(%OWN);
    my $run = $patient->{env}{PATIENT_RUN};

    chomp(my $launcher = Patient::Server::slurp("$run/launcher.pid"));
    kill KILL => $launcher;
    ok(wait_until(sub { !kill 0, $launcher }), 'the launcher is dead');
    is(($patient->ctl('start'))[0], 1, 'no second one starts beside the rest');
    my ($status, $output) = $patient->stop;
    is($status, 0, 'stop stops the rest') || diag($output);
    ok(wait_until(sub { !processes_of($run) }), 'all of it');
};

# Runs it in the foreground, through the command @before: its pid.
sub run_in_foreground ($patient, @before) {
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        POSIX::setsid();
        my ($status) = $patient->command(@before);
        POSIX::_exit($status);
    }
    wait_until(sub { Patient::Server::slurp("$patient->{dir}/stdout")
        =~ /curl/ }, 60) or diag('it does not come up');
    return $pid;
}

# SIGWINCH to the launcher itself.
sub winch ($patient) {
    chomp(my $launcher = Patient::Server::slurp(
        "$patient->{env}{PATIENT_RUN}/launcher.pid"));
    return kill WINCH => $launcher;
}

subtest 'SIGWINCH stops it gracefully where there is no terminal' => sub {
    my $patient = Patient::Server->prepare;
    my $pid = run_in_foreground($patient,
        "$patient->{project}/conf/patientctl", 'run');

    ok(winch($patient), 'SIGWINCH, as a container engine sends it');
    ok(wait_until(sub { waitpid($pid, POSIX::WNOHANG()) == $pid }, 60),
        'it ends');
    is($? >> 8, 0, 'with status 0');
    is(join(' ', processes_of($patient->{env}{PATIENT_RUN})), '', 'wholly');
};

subtest 'at a terminal SIGWINCH is about the window alone' => sub {
    my $patient = Patient::Server->prepare;
    my $run = "'$patient->{project}/conf/patientctl' run";
    my $pid = run_in_foreground($patient, 'script', '--quiet', '--command',
        $run, '--log-out', '/dev/null');

    ok(winch($patient), 'SIGWINCH');
    ok(!wait_until(sub { !eval { request(GET => '/livez',
        port => $patient->port) } }, 2), 'it serves on');
    is(($patient->ctl('stop'))[0], 0, 'and stops when asked to');
    ok(wait_until(sub { waitpid($pid, POSIX::WNOHANG()) == $pid }, 30),
        'and the terminal is free');
};

subtest 'through a symbolic link it is the same launcher' => sub {
    my $patient = Patient::Server->prepare;
    my $link = "$patient->{dir}/patientctl";

    symlink File::Spec->rel2abs("$patient->{project}/conf/patientctl"), $link
        or die "$link: $!\n";
    my ($status, $output) = $patient->command($link, 'check');
    is($status, 0, 'check') || diag($output);
};

subtest 'exec gives a command the environment and the database' => sub {
    my $patient = Patient::Server->prepare(%OWN);
    my ($status, undef, $out, $err) = $patient->ctl('exec', '--', 'sh', '-c',
        'MYSQL_PWD=$DB_PASSWORD mariadb --no-defaults --protocol=tcp '
        . '-h "$DB_HOST" -P "$DB_PORT" -u "$DB_USER" "$DB_NAME" -BN '
        . '-e "SHOW TABLES"; test ${#JWT_SECRET} -ge 32 && exit 7');

    is($status, 7, 'its exit status is the command\'s') || diag($err);
    is($out, "posts\nusers\n", 'and its output too');
    is(processes_of($patient->{env}{PATIENT_RUN}), 0, 'nothing is left');
};

subtest 'the tables of the original are taken over as they are' => sub {
    require Patient::Database;
    require Patient::Sql;
    my $database = Patient::Database->new;
    my %at = $database->address;

    Patient::Sql::sql($_, %at) for
        'CREATE TABLE users (id INT PRIMARY KEY AUTO_INCREMENT, '
        . 'email VARCHAR(255) UNIQUE NOT NULL, password VARCHAR(255) NOT NULL,'
        . ' name VARCHAR(100), created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,'
        . ' updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE '
        . 'CURRENT_TIMESTAMP)',
        'CREATE TABLE posts (id INT PRIMARY KEY AUTO_INCREMENT, user_id INT '
        . 'NOT NULL, title VARCHAR(255) NOT NULL, content TEXT, created_at '
        . 'TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT '
        . 'CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, FOREIGN KEY '
        . '(user_id) REFERENCES users(id) ON DELETE CASCADE)',
        "INSERT INTO users (email, password, name) VALUES ('o\@example.org',"
        . " 'x', NULL)",
        "INSERT INTO posts (user_id, title) VALUES (1, 'Old')";
    for my $round (1, 2) {
        my $patient = Patient::Server->new($database->environment);
        my $answer = request(GET => '/api/posts', port => $patient->port);
        is_json($answer, 200, "start $round");
        is($answer->json->{posts}[0]{title}, 'Old', 'the post is there');
        my @index = Patient::Sql::sql('SELECT index_name FROM '
            . "information_schema.statistics WHERE table_name = 'posts' AND "
            . "table_schema = 'patient_db' AND column_name = 'created_at'",
            %at);
        is(@index, 1, 'and one index to read the newest with');
    }
};

done_testing;
