# A pool with nothing left in it: who waits too long gets 503. The patient is
# one of its own, with two connections, which a lock held from outside stalls.

use Patient;
use Patient::Log;
use Patient::Server;
use Patient::Sql;
use Time::HiRes qw(time);

my $patient = Patient::Server->new(DB_POOL_MAX => 2,
    DB_POOL_ACQUIRE_MS => 2000);
my $port = $patient->port;
my $user = sign_in(port => $port);
my $lock = Patient::Sql->open;

sub pool () {
    return request(GET => '/api/metrics', port => $port)->json->{pool};
}

# Two requests that hold the only two connections until the lock is gone.
sub hold () {
    $lock->run('LOCK TABLES posts WRITE');
    my @holders = map { connection(port => $port) } 1, 2;
    $_->send($_->compose(GET => '/api/posts?limit=1')) for @holders;
    wait_until(sub { pool()->{inUse} == 2 }) or die 'they do not hold';
    return @holders;
}

subtest 'who waits longer than the deadline gets 503 and is asked back' => sub {
    my $mark = $patient->log->mark;
    my @holders = hold();
    my %texts = (
        'GET /api/posts'          => 'Failed to fetch posts',
        'GET /api/posts/1'        => 'Failed to fetch post',
        'POST /api/posts'         => 'Failed to create post',
        'DELETE /api/posts/1'     => 'Failed to delete post',
        'POST /api/auth/register' => 'Failed to create user',
        'POST /api/auth/login'    => 'Login failed',
    );
    my %body = (
        '/api/posts'         => { title => 'T' },
        '/api/auth/register' => { email => new_email(),
            password => password() },
        '/api/auth/login'    => { email => $user->{email},
            password => password() },
    );
    my %waiting;
    my $start = time;
    for my $route (sort keys %texts) {
        my ($method, $path) = split / /, $route;
        $waiting{$route} = connection(port => $port);
        $waiting{$route}->send($waiting{$route}->compose($method => $path,
            token => $user->{token},
            $method eq 'POST' ? (json => $body{$path}) : ()));
    }
    for my $route (sort keys %texts) {
        my $answer = $waiting{$route}->read;
        is_error($answer, 503, $texts{$route}, $route);
        like(scalar $answer->header('Retry-After'), qr/\A\d+\z/,
            'with Retry-After');
        cmp_ok(time - $start, '>=', 1.9, 'after the deadline');
        cmp_ok(time - $start, '<', 10, 'and not much later');
    }

    my $line = $patient->log->wait_for($mark, sub ($l) {
        $l->{type} eq 'POOL ERROR' });
    has_shape($line // {}, {
        level => 'error', type => 'POOL ERROR',
        error => 'SequelizeConnectionAcquireTimeoutError: '
            . 'ResourceRequest timed out',
        poolMax => INT, inUse => INT, waiting => INT, waitedMs => INT,
        request_id => STRING, timestamp => TIME, pid => INT, '...' => 1,
    }, 'the log says why');
    is($line->{poolMax}, 2, 'poolMax');
    is($line->{inUse}, 2, 'inUse');
    cmp_ok($line->{waitedMs}, '>=', 1900, 'waitedMs');

    cmp_ok(pool()->{timeouts}, '>=', 6, 'the metrics count them');
    $lock->run('UNLOCK TABLES');
    is($_->read->status, 200, 'the ones that held get their answer')
        for @holders;
};

subtest '/livez answers while as many wait as may, and more come' => sub {
    my @holders = hold();
    my @waiting = map { connection(port => $port) } 1 .. 140;

    $_->send($_->compose(GET => '/api/posts')) for @waiting;
    my $answer = request(GET => '/livez', port => $port);
    is($answer->status, 200, 'it does');
    cmp_ok($answer->seconds, '<', 1.8, 'before the others give up');
    is(join(' ', map { $_->read->status } @waiting), join(' ', (503) x 140),
        'which they all do, if they were let wait at all');
    cmp_ok(pool()->{refused}, '>', 0, 'and some were not');
    $lock->run('UNLOCK TABLES');
    is($_->read->status, 200, 'the lock is gone') for @holders;
};

subtest '/readyz and /health say no within their two seconds' => sub {
    my @holders = hold();

    for my $path (qw(/readyz /health)) {
        my $answer = request(GET => $path, port => $port);
        is_json($answer, 503, $path);
        cmp_ok($answer->seconds, '<', 10, 'soon');
    }
    $lock->run('UNLOCK TABLES');
    $_->read for @holders;
};

subtest 'who gets a connection in time does not notice' => sub {
    my @holders = hold();
    my $waiter = connection(port => $port);

    $waiter->send($waiter->compose(GET => '/api/posts?limit=1'));
    ok(wait_until(sub { pool()->{waiting} >= 1 }, 1.8), 'one waits');
    $lock->run('UNLOCK TABLES');
    is($_->read->status, 200, 'all are served') for @holders, $waiter;
};

subtest 'a failure that goes on leaves few lines' => sub {
    my $mark = $patient->log->mark;
    my @holders = hold();
    my $given_up = 0;

    for (1 .. 3) {
        my @waiting = map { connection(port => $port) } 1 .. 40;
        $_->send($_->compose(GET => '/api/posts')) for @waiting;
        $given_up += grep { $_->read->status == 503 } @waiting;
    }
    is($given_up, 120, '120 requests waited in vain');
    $lock->run('UNLOCK TABLES');
    $_->read for @holders;
    my @lines = grep { $_->{level} =~ /\A(?:warning|error|fatal)\z/ }
        $patient->log->since($mark);
    cmp_ok(@lines, '<', 15, 'a few lines');
};

subtest 'afterwards it is as before' => sub {
    my @status = map { request(GET => '/api/posts', port => $port)->status }
        1 .. 20;
    is("@status", join(' ', (200) x 20), 'every request is served');
    ok(wait_until(sub { my $p = pool(); !$p->{inUse} && !$p->{waiting} }),
        'nothing is held');
};

done_testing;
