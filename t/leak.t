# Whatever goes wrong, and however often: memory that a request took is given
# back after it, be its connection kept for ever. The database and the patient
# are this suite's own.

use Patient;
use IO::Select;
use IO::Socket::INET;
use Patient::Connection;
use Patient::Database;
use Patient::Ill;
use Patient::Sql;
use Patient::Token;

# How many of each kind. A kilobyte that stays is found in each.
my $COUNT = $ENV{PATIENT_LEAK_COUNT} // 4000;

# A connection's answers take turns, so many are on their way at once.
my $CONNECTIONS = 24;
my $BATCH = 50;

# Of each process.
my $ALLOWED_MB = 2;

my $children = $ENV{PATIENT_CHILDREN} // 1;

my $database = Patient::Database->new;
my $patient = Patient::Ill->new($database->environment, DB_POOL_MAX => 4,
    DB_POOL_ACQUIRE_MS => 20);
my $port = $patient->port;
my $user = insist(sub { sign_in(port => $port) });
my $post = insist(sub { new_post($user, port => $port) });
my @socket = map { call() } 1 .. $CONNECTIONS;

sub call () {
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
        || die "connect: $!\n";
}

# With so little patience, the first may find no connection.
sub insist ($do) {
    my $got;

    wait_until(sub { $got = eval { $do->() } }) or die $@;
    return $got;
}

# Those that nobody used for longer than httpd keeps them, because a database
# took its time to come back.
sub call_again () {
    my $closed = IO::Select->new(@socket);

    for my $ready ($closed->can_read(0)) {
        $_ == $ready and $_ = call() for @socket;
    }
}

# Sends a request so many times, over the same connections always: which
# statuses came. A long one goes over one connection alone: httpd's threads keep
# some of what each needed at its worst, and there are many.
sub flood ($count, @request) {
    my $bytes = Patient::Connection::compose({ port => $port }, @request);
    my $left = $count;
    call_again();
    my @use = length $bytes > 100_000 ? $socket[0] : @socket;
    my $batch = $count < $BATCH * @use ? 1 + int($count / @use) : $BATCH;
    my $select = IO::Select->new(@use);
    my (%due, %in, %seen);
    my $send = sub ($socket) {
        my $n = $left < $batch ? $left : $batch;
        $left -= $n;
        $due{$socket} = $n;
        if (!$n) {
            $select->remove($socket);
            return;
        }
        my $all = $bytes x $n;
        while (length $all) {
            my $done = syswrite $socket, $all or die "write: $!\n";
            substr $all, 0, $done, '';
        }
    };

    $send->($_) for @use;
    while ($select->count) {
        my @ready = $select->can_read(60) or die "no answer\n";
        for my $socket (@ready) {
            sysread $socket, $in{$socket}, 65536, length($in{$socket} // '')
                or die 'closed after ' . substr $in{$socket}, -300;
            # A whole answer: its head, and as much as that says.
            while ($in{$socket} =~ m{\AHTTP/1\.1 (\d+)(.*?)\r\n\r\n}s) {
                my ($status, $head, $size) = ($1, $2, $+[0]);
                $size += $1 if $head =~ /^content-length: (\d+)/im;
                last if length $in{$socket} < $size;
                substr $in{$socket}, 0, $size, '';
                $seen{$status}++;
                $due{$socket}--;
            }
            $send->($socket) if !$due{$socket};
        }
    }
    return join ' ', sort keys %seen;
}

# The pool's connections end, so that what was prepared is gone.
sub disconnect () {
    my @thread = map { $_->[0] } sql('SELECT id FROM '
        . "information_schema.processlist WHERE user = 'patient'",
        $database->administrator);
    $database->root(join ';', map { "KILL $_" } @thread) if @thread;
}

# How many of the patient's connections wait for a table.
sub locked_out () {
    return (sql('SELECT COUNT(*) FROM information_schema.processlist '
        . "WHERE user = 'patient' AND state LIKE 'Waiting for table%'",
        $database->administrator))[0][0];
}

my $lock;
my $connections = request(GET => '/api/metrics', port => $port)
    ->json->{pool}{max};
my @read = (GET => "/api/posts/$post->{id}");
my @list = (GET => '/api/posts');
my @write = (POST => '/api/posts', token => $user->{token},
    json => { title => 'T' });
my @kinds = (
    # name, statuses, share of the count, request, what breaks it and mends it
    ['a list', '200', 0.5, \@list],
    ['a post', '200', 1, \@read],
    ['a post that does not exist', '404', 1, [GET => '/api/posts/999999']],
    ['no such path', '404', 1, [GET => '/nowhere']],
    ['a wrong method', '405', 1, [PUT => '/api/posts']],
    ['no token', '401', 1, [POST => '/api/posts', json => { title => 'T' }]],
    ['a token that has expired', '401', 1, [GET => '/api/auth/verify',
        token => token({ id => 1, iat => 1, exp => 2 })]],
    ['a bad token', '401', 1, [@write[0, 1], token => 'a.b.c', @write[4, 5]]],
    ['malformed JSON', '400', 1, [@write[0 .. 3], body => '{"title": ',
        type => 'application/json']],
    ['no title', '400', 1, [@write[0 .. 3], json => {}]],
    ['another type', '415', 1, [@write[0 .. 3], body => 'title',
        type => 'text/plain']],
    ['a body that is too long', '413', 0.02, [@write[0 .. 3],
        json => { title => 'T', content => 'x' x 600_000 }]],
    ['a path that is long', '404', 1, [GET => '/error' x 300]],
    ['an order that nobody knows', '400', 1, [POST => '/api/chaos/db-fail',
        json => { duration_s => 1, patience => 1 }]],
    ['an order that is too large', '422', 1, [POST => '/api/chaos/memory-leak',
        json => { duration_s => 1, limit_mb => 1_000_000 }]],
    ['an illness that does not run', '200', 1, [DELETE => '/api/chaos/db-fail']],
    ['a table that is not there', '503', 1, \@read,
        sub { $database->root('RENAME TABLE patient_db.posts TO '
            . 'patient_db.away'); disconnect() },
        sub { $database->root('RENAME TABLE patient_db.away TO '
            . 'patient_db.posts') }],
    ['no room for prepared statements', '503', 1, \@read,
        sub { $database->root('SET GLOBAL max_prepared_stmt_count = 0');
            disconnect() },
        sub { $database->root('SET GLOBAL max_prepared_stmt_count = 10000') }],
    ['a read-only database', '503', 1, \@write,
        sub { $database->root('SET GLOBAL read_only = 1') },
        sub { $database->root('SET GLOBAL read_only = 0') }],
    ['a right that is missing', '503', 1, \@read,
        sub { $database->root("REVOKE ALL ON patient_db.* FROM patient\@'%'; "
            . "GRANT INSERT ON patient_db.* TO patient\@'%'"); disconnect() },
        sub { $database->root("GRANT ALL ON patient_db.* TO patient\@'%'") }],
    ['no way in', '503', 1, \@read,
        sub { $database->root("ALTER USER patient\@'%' ACCOUNT LOCK");
            disconnect() },
        sub { $database->root("ALTER USER patient\@'%' ACCOUNT UNLOCK") }],
    ['a pool with nothing left', '503', 0.25, \@write,
        sub { $lock = Patient::Sql->open($database->address);
            $lock->run('LOCK TABLES posts WRITE, users WRITE');
            # With so little patience, not each finds a connection.
            wait_until(sub {
                push @{ $lock->{holders} }, connection(port => $port);
                $lock->{holders}[-1]->send(
                    $lock->{holders}[-1]->compose(@list));
                return locked_out() == $connections;
            }) or die "they do not wait\n" },
        sub { $lock->run('UNLOCK TABLES');
            $_->read for @{ delete $lock->{holders} }; $lock->close }],
    ['a database that is ill', '503', 0.25, [GET => '/health'],
        sub { $patient->fall_ill('db-fail', mode => 'refused',
            duration_s => 300) },
        sub { $patient->ask(DELETE => '/api/chaos/db-fail') }],
    ['a database that is dead', '503', 1, \@read,
        sub { $database->kill }, sub { $database->start }],
);

sub suffer ($kind, $count) {
    my ($name, $statuses, $share, $request, $break, $mend) = @$kind;

    $break->() if $break;
    my $seen = flood(int($count * $share) || 1, @$request);
    $mend->() if $mend;
    wait_until(sub { request(GET => '/readyz', port => $port)->status == 200
        }) or die "$name: it does not recover\n" if $mend;
    return $seen;
}

# How many MB the patient grew by what $do does.
sub growth ($do) {
    my $before = $patient->rss;

    $do->();
    return $patient->rss - $before;
}

# What a process keeps to work with, each of its threads has after this.
suffer($_, $COUNT / 4 * $children) for @kinds;

my $first = $patient->rss;
for my $kind (@kinds) {
    my $grown = within_bound($ALLOWED_MB, sub { growth(sub {
        # With so little patience, one or another may find no connection.
        like(suffer($kind, $COUNT), qr/\A$kind->[1](?: 503)?\z/, $kind->[0]);
    }) });
    cmp_ok($grown, '<', $ALLOWED_MB, 'its memory is given back');
    diag(sprintf '%6.2f MB %s', $grown, $kind->[0]) if $ENV{PATIENT_LEAK_COUNT};
}
my $grown = $patient->rss - $first;
$grown = within_bound($ALLOWED_MB * $children, sub { growth(sub {
    suffer($_, $COUNT) for @kinds }) }) if $grown >= $ALLOWED_MB * $children;
cmp_ok($grown, '<', $ALLOWED_MB * $children, 'all in all, too');

undef $patient;
done_testing;
