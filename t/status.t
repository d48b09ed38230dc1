# What mod_status and mod_info show of the patient, in its own server. A
# patient of its own.

use Patient;
use Patient::Curl;
use Patient::Server;

my ($copy, $keep) = Patient::Server->copy_project;

open my $conf, '>>', "$copy/conf/httpd.conf" or die $!;
print $conf <<'END';
LoadModule status_module "${PATIENT_MODULES}/mod_status.so"
LoadModule info_module   "${PATIENT_MODULES}/mod_info.so"
LoadModule http2_module  "${PATIENT_MODULES}/mod_http2.so"
Protocols h2c http/1.1
ExtendedStatus On
<Location "/server-status">
    SetHandler server-status
</Location>
<Location "/server-info">
    SetHandler server-info
</Location>
<Location "/closed">
    SetHandler server-status
    Require all denied
</Location>
END
close $conf;

my $SECRET = 'a secret that nobody shall see at all';
my $patient = Patient::Server->new(project => $copy, CHAOS_MODE => 'true',
    NODE_ENV => 'test', JWT_SECRET => $SECRET, CHAOS_TOKEN => $SECRET);
my $port = $patient->port;

sub show ($path) { return request(GET => $path, port => $port) }

# The figures of "?auto" that are the patient's.
sub figures () {
    return { show('/server-status?auto')->body =~ /^Patient(\w+): (\d+)$/mg };
}

request(GET => '/api/posts', port => $port) for 1 .. 3;
request(GET => '/api/posts/none', port => $port) for 1 .. 2;

subtest 'the page is mod_status\'s own, unharmed' => sub {
    my $page = show('/server-status');

    is($page->status, 200, 'it is there');
    like(scalar $page->header('Content-Type'), qr{\Atext/html\b}, 'HTML');
    like($page->body, qr{\A<!DOCTYPE.*<title>Apache Status</title>.*</html>}s,
        'from its beginning to its end');
    is(scalar $page->header('Access-Control-Allow-Origin'), undef,
        'and not for pages of every origin to read');
};

subtest 'with a part about the patient' => sub {
    my $body = show('/server-status')->body;

    like($body, qr{<h2>The patient</h2>}, 'its heading');
    my $where = "database at $ENV{DB_HOST}:$ENV{DB_PORT}.";
    like($body, qr{Environment test, \Q$where\E},
        'what and where');
    like($body, qr{<td>Database connections, at most</td>.*?>10</td>},
        'a figure');
};

subtest 'a program is told the same figures' => sub {
    my $answer = show('/server-status?auto');
    my $metrics = show('/api/metrics')->json;

    like(scalar $answer->header('Content-Type'), qr{\Atext/plain\b}, 'text');
    like($answer->body, qr/^ServerUptimeSeconds: /m, 'beside httpd\'s own');
    has_shape(figures(), { map { $_ => qr/\A\d+\z/ } qw(Uptime Children
        InFlight Requests2xx Requests3xx Requests4xx Requests5xx PoolMax
        PoolInUse PoolWaiting PoolTimeouts PoolRefused DatabaseFailures) },
        'these, and no others');
    is(figures()->{PoolMax}, $metrics->{pool}{max}, 'of the same pool');
    is(figures()->{Children}, $metrics->{children}, 'the same children');
    cmp_ok(figures()->{Requests2xx}, '>=', 3, 'requests that went well');
    cmp_ok(figures()->{Requests4xx}, '>=', 2, 'and those that did not');
    my $before = figures()->{Requests4xx};
    request(GET => '/api/posts/none', port => $port);
    ok(wait_until(sub { figures()->{Requests4xx} > $before }), 'one more');
    is(figures()->{Requests4xx}, $before + 1, 'is one more');
};

subtest 'nothing of it tells what is wrong on purpose' => sub {
    my ($part) = show('/server-status')->body
        =~ m{(<h2>The patient</h2>.*?</table>)}s;

    for my $text ($part, join ' ', keys %{ figures() }) {
        unlike($text, qr/chaos|incident|scenario|operat/i, 'no word');
    }
};

subtest 'nor does the list of workers, where requests stand' => sub {
    for my $path (qw(/api/chaos /api/chaos/incidents /api/chaos/jwt-expiry
        /api/chaos/jwt-expire /api/chaos%2Fhalt /api/chaos/%zz),
        '/api/chaos#halt', '/api/chaos/' . 'x' x 9000) {
        request($path =~ /jwt/ ? 'POST' : 'GET', $path, port => $port,
            token => $SECRET);
    }
    request(GET => '/api/chaos', port => $port, headers => { Host => undef });
    my $curl = Patient::Curl->new("http://localhost:$port",
        'http2-prior-knowledge');
    $curl->request(GET => '/api/chaos', token => $SECRET) for 1 .. 5;
    request(GET => '/api/posts/seen', port => $port);
    my $page = show('/server-status')->body;
    like($page, qr{GET /api/posts/seen HTTP/1\.1}, 'a user\'s is there');
    unlike($page, qr/chaos|jwt-expir/, 'an operator\'s is not');
    # Where no later request has taken their place.
    unlike($page, qr{<td>h2c</td>.*HTTP/1\.1}, 'those of HTTP/2 are of that');
};

subtest 'errors beside it are the patient\'s' => sub {
    is_error(show('/closed'), 403, 'Forbidden', 'one of httpd\'s');
    is_error(show('/server-statu'), 404, 'Not Found', 'one of its own');
};

subtest 'mod_info lists the directives, and no secret' => sub {
    my $page = show('/server-info');

    is($page->status, 200, 'it is there');
    like($page->body, qr{<title>Server Information</title>.*</html>}s,
        'unharmed');
    like($page->body, qr/mod_patient\.c/, 'the module');
    like($page->body, qr/PatientMaxBody.{0,40}524288/s, 'a setting');
    like($page->body, qr/PatientPoolWaiters.{0,20}-/s, 'and its help');
    unlike($page->body, qr/\Q$SECRET\E/, 'the secrets stay where they are');
};

subtest 'the log has no complaint' => sub {
    my @alarms = grep { $_->{level} !~ /\A(?:info|debug)\z/
        && ($_->{code} // '') ne 'AH01630' } $patient->log->since;

    is(@alarms, 0, 'none') || diag(explain(\@alarms));
};

done_testing;
