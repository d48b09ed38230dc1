# GET /, /health, /livez and /readyz while all is well; what they say while
# the database is away is in outage.t.

use Patient;

subtest 'GET / names the service and says that it is healthy' => sub {
    my $answer = request(GET => '/');

    is_json($answer, 200, 'it is JSON');
    has_shape($answer->json, {
        service     => 'Cloud Doctor Patient Backend',
        status      => 'healthy',
        version     => qr/\A\d+\.\d+\.\d+/,
        timestamp   => TIME,
        environment => $ENV{NODE_ENV},
    }, 'it has the five promised fields and no other');
};

subtest 'GET /health looks at the database and at the memory' => sub {
    my $answer = request(GET => '/health');

    is_json($answer, 200, 'it is JSON');
    has_shape($answer->json, {
        status       => 'ok',
        timestamp    => TIME,
        uptime       => NUMBER,
        database     => { connected => TRUE, host => $ENV{DB_HOST} },
        memory       => {
            used  => qr/\A\d+\.\d\dMB\z/,
            total => qr/\A\d+\.\d\dMB\z/,
        },
        responseTime => qr/\A\d+ms\z/,
    }, 'it has the promised fields and no other');

    my ($used, $total) = map { s/MB//r }
        @{ $answer->json->{memory} }{qw(used total)};
    cmp_ok($used, '>', 0, 'some memory is used');
    cmp_ok($used, '<=', $total, 'no more than there is');
};

subtest 'the uptime grows' => sub {
    my $before = request(GET => '/health')->json->{uptime};

    cmp_ok($before, '>=', 0, 'it is not negative');
    ok(wait_until(sub {
        request(GET => '/health')->json->{uptime} > $before;
    }), 'it is greater a little later');
};

subtest 'timestamps are the present time in UTC' => sub {
    require Time::Local;
    my $floor = time - 1;
    my $stamp = request(GET => '/')->json->{timestamp};
    my ($y, $mon, $d, $h, $min, $s) =
        $stamp =~ /\A(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)\./;
    my $then = Time::Local::timegm_modern($s, $min, $h, $d, $mon - 1, $y);

    cmp_ok($then, '>=', $floor, 'not in the past');
    cmp_ok($then, '<=', time + 1, 'not in the future');
};

for my $path (qw(/livez /readyz)) {
    subtest "GET $path says ok" => sub {
        my $answer = request(GET => $path);

        is_json($answer, 200, 'it is JSON');
        has_shape($answer->json, { status => 'ok' }, 'and nothing but that');
    };
}

for my $path (qw(/ /health /livez /readyz)) {
    subtest "HEAD $path answers like GET, without the body" => sub {
        my $connection = connection();
        my $head = $connection->request(HEAD => $path);

        is($head->status, 200, 'the status');
        is(scalar $head->header('Content-Type'),
            'application/json; charset=utf-8', 'the type of the body');
        cmp_ok(scalar $head->header('Content-Length'), '>', 0, 'its length');
        is($connection->request(GET => '/livez')->status, 200,
            'and no byte of a body stands before the next answer');
    };
}


done_testing;
