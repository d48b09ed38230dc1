# The database dies under load and comes back. The patient and its MariaDB are
# this suite's own.

use Patient;
use Patient::Database;
use Patient::Log;
use Patient::Server;
use Patient::Sql;
use POSIX ();
use Time::HiRes qw(sleep time);

my $WORKERS = 6;

my $database = Patient::Database->new;
my $patient = Patient::Server->new($database->environment);
my $port = $patient->port;
my $user = sign_in(port => $port);
my $own = new_post($user, port => $port);
my $book = "$patient->{dir}/book";      # one line for each request of the load
my $stop = "$patient->{dir}/stop";
my @workers;

# One of the many who use the patient all the time: every other request reads,
# every other one writes, under a title that no other has.
sub work ($number) {
    open my $out, '>>', $book or die $!;
    $out->autoflush(1);
    for (my $n = 0; !-e $stop; $n++) {
        my $title = "worker $number post $n";
        my $started = time;
        my $answer = eval { $n % 2
            ? request(POST => '/api/posts', port => $port,
                token => $user->{token}, json => { title => $title })
            : request(GET => '/api/posts', port => $port) };
        my $text = $answer ? $answer->json->{error} // '' : "$@";
        my $status = $answer ? $answer->status : 0;
        my $retry = $answer ? $answer->header('Retry-After') // '' : '';
        syswrite $out, join("\t", $started, $n % 2 ? 'POST' : 'GET', $status,
            $title, $retry, $text =~ s/\s+/ /gr) . "\n";
        # As a client does that was told to come back later, if not as long.
        sleep 0.02 if $status == 503;
    }
    POSIX::_exit(0);
}

sub entries ($wanted = sub { 1 }) {
    return grep { $wanted->($_) } map {
        my %entry;
        @entry{qw(started method status title retry text)} = split /\t/, $_, 6;
        \%entry;
    } split /\n/, Patient::Server::slurp($book);
}

# END runs in the workers, too, unless they leave as above.
END {
    if (@workers) {
        local $?;
        POSIX::close(POSIX::creat($stop, 0600));
        waitpid $_, 0 for @workers;
    }
}

for my $number (1 .. $WORKERS) {
    my $pid = fork // die "fork: $!";
    work($number) unless $pid;
    push @workers, $pid;
}

my $httpd = $patient->httpd;
my $mark;

subtest 'before, all is well under load' => sub {
    ok(wait_until(sub { entries(sub ($e) { $e->{status} == 201 }) >= 60 }, 60),
        'posts are created');
    is(scalar entries(sub ($e) { $e->{status} !~ /\A20[01]\z/ }), 0,
        'and nothing fails');
};

subtest 'while the database is dead, it is 503 and the patient lives' => sub {
    $mark = $patient->log->mark;
    $database->kill;

    for my $method (qw(GET POST)) {
        ok(wait_until(sub { entries(sub ($e) { $e->{status} == 503
            && $e->{method} eq $method }) >= 30 }, 60), "$method gets 503");
    }
    my $live = request(GET => '/livez', port => $port);
    is_json($live, 200, '/livez is 200');
    for my $path (qw(/health /readyz)) {
        my $answer = request(GET => $path, port => $port);
        is_json($answer, 503, "$path is 503");
        cmp_ok($answer->seconds, '<', 10, 'soon');
    }
    has_shape(request(GET => '/health', port => $port)->json, {
        status => 'error', timestamp => TIME, uptime => NUMBER,
        database => { connected => FALSE, host => '127.0.0.1' },
        memory => { used => STRING, total => STRING },
        responseTime => qr/\A\d+ms\z/, error => STRING,
    }, '/health has the same shape, and an error');

    my %texts = (
        'GET /api/posts'               => 'Failed to fetch posts',
        "GET /api/posts/$own->{id}"    => 'Failed to fetch post',
        'POST /api/posts'              => 'Failed to create post',
        "DELETE /api/posts/$own->{id}" => 'Failed to delete post',
        'POST /api/auth/register'      => 'Failed to create user',
        'POST /api/auth/login'         => 'Login failed',
    );
    for my $route (sort keys %texts) {
        my ($method, $path) = split / /, $route;
        my %body = $method ne 'POST' ? () : (json => {
            title => 'T', email => new_email(), password => password() });
        my $answer = request($method => $path, port => $port,
            token => $user->{token}, %body);
        is_error($answer, 503, $texts{$route}, $route);
        like(scalar $answer->header('Retry-After'), qr/\A\d+\z/,
            'with Retry-After');
    }
    is_json(request(GET => '/api/auth/verify', port => $port,
        token => $user->{token}), 200, 'a token can still be verified');
    is_json(request(GET => '/api/metrics', port => $port), 200,
        'and the metrics be read');
};

subtest 'the log says what it is, in few lines' => sub {
    my $line = $patient->log->wait_for($mark, sub ($l) {
        $l->{type} eq 'DB CONNECTION ERROR'
            && $l->{error} =~ /ECONNREFUSED/ });
    has_shape($line // {}, {
        timestamp => TIME, level => 'error', type => 'DB CONNECTION ERROR',
        pid => INT, request_id => STRING,
        error => 'SequelizeConnectionRefusedError: connect ECONNREFUSED '
            . "127.0.0.1:$database->{port}",
        parent => 'SequelizeConnectionError', code => 'ECONNREFUSED',
        host => '127.0.0.1', port => INT, mysql_errno => INT, '...' => 1,
    }, 'DB CONNECTION ERROR, with the seed\'s fields and the native truth');
    is($line->{port}, $database->{port}, 'the port');
    my @alarms = grep { $_->{level} =~ /\A(?:warning|error|fatal)\z/ }
        $patient->log->since($mark);
    cmp_ok(@alarms, '<', 30, 'not one for each of the many that failed');
};

my $ready;
subtest 'when it is back, nothing fails any more' => sub {
    $database->start;
    ok(wait_until(sub { request(GET => '/readyz', port => $port)->status
        == 200 }, 60), '/readyz is 200 by itself');
    $ready = time;
    ok(wait_until(sub { entries(sub ($e) { $e->{started} > $ready }) >= 300 },
        60), '300 more requests');
    my @failed = entries(sub ($e) { $e->{started} > $ready
        && $e->{status} !~ /\A20[01]\z/ });
    is(@failed, 0, 'none of them failed') || diag(explain($failed[0]));
    is_json(request(GET => '/health', port => $port), 200, '/health is 200');
};

POSIX::close(POSIX::creat($stop, 0600));
waitpid $_, 0 for splice @workers;

subtest 'no answer was anything but what is promised' => sub {
    my @odd = entries(sub ($e) {
        my $failed = $e->{method} eq 'GET' ? 'Failed to fetch posts'
            : 'Failed to create post';
        return !($e->{status} == ($e->{method} eq 'GET' ? 200 : 201)
            || ($e->{status} == 503 && $e->{retry} =~ /\A\d+\z/
                && $e->{text} eq $failed));
    });
    is(@odd, 0, 'success, or 503 with Retry-After and the original\'s text')
        || diag(explain($odd[0]));
};

subtest 'every 201 that was answered is in the table' => sub {
    my %there = map { $_->[0] => 1 } sql(
        "SELECT title FROM posts WHERE title LIKE 'worker %'",
        $database->address);
    my @created = map { $_->{title} } entries(sub ($e) {
        $e->{status} == 201 });
    my @lost = grep { !$there{$_} } @created;
    cmp_ok(@created, '>', 100, 'there were many');
    is(@lost, 0, 'none is lost') || diag("@lost");

    my @undone = map { $_->{title} } entries(sub ($e) {
        $e->{method} eq 'POST' && $e->{status} == 503 });
    my @done = grep { $there{$_} } @undone;
    cmp_ok(@undone, '>', 10, 'many were answered with 503');
    is(@done, 0, 'and none of those is there') || diag("@done");
};

subtest 'httpd was not restarted, nor did it lose a child' => sub {
    my $now = $patient->httpd;
    is($now, $httpd, 'the same process');
    ok(kill(0, $now), 'which lives');
    my %pids = map { $_->{pid} => 1 }
        grep { $_->{type} eq 'REQUEST' } $patient->log->since;
    is(keys %pids, 1, 'one child served it all');
};

subtest 'a write that the database died over is 503 and not done' => sub {
    my $lock = Patient::Sql->open($database->address);
    my $writer = connection(port => $port);

    $lock->run('LOCK TABLES posts WRITE');
    $writer->send($writer->compose(POST => '/api/posts',
        token => $user->{token}, json => { title => 'Cut off' }));
    ok(wait_until(sub { (sql('SELECT COUNT(*) FROM '
        . "information_schema.processlist WHERE info LIKE 'INSERT%'",
        $database->address))[0][0] }), 'it hangs in the database');
    $database->kill;
    is_error($writer->read('POST'), 503, 'Failed to create post',
        'it is 503');
    $lock->close;
    $database->start;
    ok(wait_until(sub { request(GET => '/readyz', port => $port)->status
        == 200 }, 60), 'the database is back');
    is((sql("SELECT COUNT(*) FROM posts WHERE title = 'Cut off'",
        $database->address))[0][0], 0, 'it is not in the table');
};

# Connections that died unnoticed must not cost a single request.
subtest 'a restart between two requests is not noticed' => sub {
    my @warm = map { connection(port => $port) } 1 .. 10;
    $_->send($_->compose(GET => '/api/posts')) for @warm;
    $_->read for @warm;
    for my $round (1, 2) {
        $database->kill('TERM');
        $database->start;
        my @connections = map { connection(port => $port) } 1 .. 20;
        $_->send($_->compose(GET => '/api/posts')) for @connections;
        is(join(' ', map { $_->read->status } @connections),
            join(' ', (200) x 20), "after restart $round all are served");
    }
};

subtest 'a database that is stuck is as good as none' => sub {
    kill STOP => $database->{pid};
    my @connections = map { connection(port => $port) } 1 .. 8;
    $_->send($_->compose(GET => '/api/posts')) for @connections;
    is_json(request(GET => '/livez', port => $port), 200, '/livez is 200');
    my $health = request(GET => '/health', port => $port);
    is_json($health, 503, '/health is 503');
    cmp_ok($health->seconds, '<', 10, 'soon');
    is(join(' ', map { $_->read->status } @connections),
        join(' ', (503) x 8), 'requests get 503, none hangs for ever');
    kill CONT => $database->{pid};
    ok(wait_until(sub { request(GET => '/api/posts', port => $port)->status
        == 200 }, 60), 'and all is well when it goes on');
};

done_testing;
