# docs/openapi.yaml tells the truth: every answer of real patients, good and
# bad, is as it says, it says nothing that never happens, and it leaves out no
# route. t/node/openapi.js compares; here is what is asked, and of whom.

use Patient;
use File::Temp ();
use JSON::PP ();
use Patient::Database;
use Patient::Ill;
use Patient::Node;
use Patient::Server;
use Patient::Sql;
use Patient::Token;

# Documented, and out of reach here.
my %OUT_OF_REACH = (
    'There is no room for another incident' =>
        'the slots are more than PatientChaosMaxIncidents lets run',
);

my $JSON = JSON::PP->new->utf8->canonical;
my $dir = File::Temp->newdir('patient-openapi-XXXXXX', TMPDIR => 1);
my $book = "$dir/exchanges";
my $OPERATOR = 'the operator of the suite';

my $database = Patient::Database->new;

# Three patients on one database: one that asks for the operator's token, one
# that is open to all operators but lets only one failure run at a time, and
# one that is no chaos patient at all.
# The first has one child, so that it is known how many requests fill it up.
my $patient = Patient::Ill->new($database->environment,
    CHAOS_TOKEN => $OPERATOR, PATIENT_CHILDREN => 1);
my $open = open_patient();
my $closed = Patient::Server->new($database->environment);

END {
    local $?;
    $_ && $_->stop for $patient, $open, $closed;
}

sub open_patient () {
    my ($copy, $lasts) = Patient::Server->copy_project;

    open my $conf, '>>', "$copy/conf/chaos.conf" or die "$copy: $!\n";
    print $conf "PatientChaosMaxIncidents 1\n";
    close $conf or die "$copy: $!\n";
    my $server = Patient::Ill->new($database->environment, project => $copy,
        CORS_ORIGIN => 'https://a.example, https://b.example');
    $server->{copy} = $lasts;
    return $server;
}

# ---- asking, and writing down what came

sub note_down ($answer, %of) {
    open my $out, '>>:raw', $book or die "$book: $!\n";
    print $out $JSON->encode({
        %of, status => $answer->status, headers => $answer->{headers},
        # Bytes of UTF-8, as the answer's characters.
        body => do { utf8::decode(my $text = $answer->body); $text },
    }), "\n";
    close $out or die "$book: $!\n";
    return $answer;
}

# ask(STATUS, METHOD, PATH, ...): PATH as the document has it; id => N stands
# in for {id}, query => '?...', of => another patient. Dies on another status.
sub ask ($status, $method, $path, %with) {
    my $server = delete $with{of} // $patient;
    my $id = delete $with{id};
    my $everywhere = delete $with{everywhere};
    my $target = ($path =~ s/\{id\}/$id/r) . (delete $with{query} // '');
    my $answer = request($method => $target, port => $server->port, %with);

    note_down($answer, method => $method,
        $everywhere ? (everywhere => $everywhere) : (path => $path),
        exists $with{json} ? (sent => { type => 'application/json',
            body => $JSON->encode($with{json}) })
        : defined $with{type} ? (sent => { type => $with{type},
            body => $with{body} }) : ());
    $answer->status == $status
        or die "$method $target: not $status, but " . $answer->summary . "\n";
    return $answer;
}

sub chaos ($status, $name, $body = undef, %with) {
    return ask($status, POST => "/api/chaos/$name", token => $OPERATOR,
        defined $body ? (json => $body) : (), %with);
}

sub refused ($status, $answer) {
    note_down($answer, everywhere => 'refused', method => '-');
    is($answer->status, $status, "it is $status");
}

sub stop ($name, %with) {
    ask(200, DELETE => "/api/chaos/$name", token => $OPERATOR, %with);
    nothing_runs(%with);
}

sub nothing_runs (%with) {
    wait_until(sub {
        my $all = ask(200, GET => '/api/chaos/incidents', token => $OPERATOR,
            %with)->json->{incidents};
        return !grep { !defined $_->{endedAt} } @$all;
    }, 60) or die "something still runs\n";
}

# ---- the module's own truth: the tables of its source

my %routes;     # a path as the document has it => {METHOD => who may}

my @SCENARIOS = map { s/_/-/gr }
    Patient::Server::slurp("$FindBin::Bin/../chaos/scenarios.def")
        =~ /^CHAOS_SCENARIO\(chaos_(\w+)\)/mg;

for my $file (glob "$FindBin::Bin/../mod_patient/api/*.c") {
    my $source = Patient::Server::slurp($file);
    while ($source =~ /\{\s*M_([A-Z]+),\s*"([^"]+)",\s*ROUTE_([A-Z]+)/g) {
        my ($method, $pattern, $who) = ($1, $2, $3);
        # The document has each scenario by its name.
        my @paths = $pattern =~ /:name/
            ? map { $pattern =~ s/:name/$_/r } @SCENARIOS
            : $pattern =~ s/:(\w+)/{$1}/gr;
        $routes{$_}{$method} = $who for @paths;
    }
}

my @PATHS = sort keys %routes;

# All routes of a method, with who may.
sub routes_of ($method, $who = qr/./) {
    return grep { ($routes{$_}{$method} // '') =~ $who } @PATHS;
}

# ---- health, metrics, and what holds everywhere

# A sender so slow that the server gives up, which takes its time.
my $slow = $patient->connection->send("GET / HTTP/1.1\r\nHost: x\r\n");

my $user;

subtest 'whoever asks rightly' => sub {
    ask(200, $_ => '/') for qw(GET HEAD);
    for my $path (qw(/livez /readyz /health /api/metrics /metrics)) {
        ask(200, $_ => $path) for qw(GET HEAD);
    }
    ask(200, GET => '/', of => $open, headers => { Origin => $_ })
        for 'https://a.example', 'https://evil.example';
    ask(200, GET => '/', headers => { 'X-Request-Id' => 'one/of:ours' });

    $user = { email => new_email(), password => password(), name => 'Ada' };
    ask(201, POST => '/api/auth/register', json => $user);
    ask(201, POST => '/api/auth/register',
        type => 'application/x-www-form-urlencoded',
        body => 'email=' . new_email() . '&password=' . password() =~ s/ /+/r);
    $user->{token} = ask(200, POST => '/api/auth/login', json => {
        email => $user->{email}, password => $user->{password},
    })->json->{token};
    ask(200, $_ => '/api/auth/verify', token => $user->{token})
        for qw(GET HEAD);

    my $post = ask(201, POST => '/api/posts', token => $user->{token},
        json => { title => 'Ünicode 한글', content => "two\nlines" })->json;
    ask(201, POST => '/api/posts', token => $user->{token},
        json => { title => 'bare' });
    ask(200, $_ => '/api/posts', query => '?limit=2&offset=0')
        for qw(GET HEAD);
    ask(200, $_ => '/api/posts/{id}', id => $post->{id}) for qw(GET HEAD);
    ask(200, DELETE => '/api/posts/{id}', id => $post->{id},
        token => $user->{token});
    pass('and is answered');
};

subtest 'OPTIONS, other methods and paths that are not there' => sub {
    for my $path (@PATHS) {
        my $allow = join ', ', (map { $_ eq 'GET' ? 'GET, HEAD' : $_ }
            sort { $b cmp $a } keys %{ $routes{$path} }), 'OPTIONS';
        $allow =~ s/\A(POST), (GET, HEAD)/$2, $1/;
        my $answer = ask(204, OPTIONS => $path, id => 1,
            everywhere => 'preflight', headers => {
                Origin => 'https://a.example',
                'Access-Control-Request-Method' => 'POST',
            });
        is(scalar $answer->header('Allow'), $allow, "$path allows");
        is(scalar $answer->header('Access-Control-Allow-Methods'), $allow,
            'and tells browsers so');
        $answer = ask(405, PATCH => $path, id => 1,
            everywhere => 'otherMethod');
        is(scalar $answer->header('Allow'), $allow, 'after a 405, too');
    }
    ask(404, $_ => '/no/such/path', everywhere => 'noSuchPath')
        for qw(GET POST HEAD BREW);
    ask(204, OPTIONS => $_, everywhere => 'preflight')
        for qw(/no/such/path /api/chaos/none);
};

subtest 'what httpd refuses by itself' => sub {
    my %bad = (
        400 => "GARBAGE\r\n\r\n",
        414 => 'GET /' . 'x' x 9000 . " HTTP/1.1\r\nHost: x\r\n\r\n",
        417 => "GET / HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\n\r\n",
    );
    for my $status (sort keys %bad) {
        refused($status, $patient->connection->send($bad{$status})->read);
    }
};

# ---- what users do wrong

subtest 'bodies that are no good, wherever a body is taken' => sub {
    my %taken = (%{ { map { $_ => $user->{token} } grep { !/chaos/ }
        routes_of('POST') } }, map { ("/api/chaos/$_" => $OPERATOR) }
        @SCENARIOS);

    for my $path (sort keys %taken) {
        my %with = (token => $taken{$path}, type => 'application/json');
        ask(400, POST => $path, %with, body => $_)
            for '{"a":1,"a":2}', '[]', "{\"\xff\":1}", '{"a":"\u0000"}', '{';
        ask(413, POST => $path, %with, body => ' ' x 600_000);
        ask(415, POST => $path, %with, type => 'text/plain', body => '{}');
        ask(415, POST => $path, token => $taken{$path}, body => '{}');
        ask(415, POST => $path, %with, body => '{}',
            headers => { 'Content-Encoding' => 'gzip' });
        ask(415, POST => $path, %with, body => '{}', chunked => 1,
            headers => { 'Transfer-Encoding' => 'gzip, chunked' });
        ask(400, POST => $path, %with, body => 'a=%00',
            type => 'application/x-www-form-urlencoded');
    }
    pass('are turned away');
};

subtest 'what users do wrong by themselves' => sub {
    my ($email, $password) = @$user{qw(email password)};
    my %wrong = (
        '/api/auth/register' => [{}, { email => 'x', password => 'longer' },
            { email => new_email(), password => 'short' },
            { email => 'x', password => 'short' },
            { email => 1, password => [], name => {} },
            { email => $email, password => $password, name => 'x' x 101 }],
        '/api/auth/login' => [{}, { email => 7, password => 'x' }],
        '/api/posts' => [{}, { title => 'x' x 256 }, { title => 7 },
            { title => 'x', content => 'x' x 65_536 },
            { title => 'x' x 256, content => 'x' x 65_536 }],
    );
    for my $path (sort keys %wrong) {
        ask(400, POST => $path, token => $user->{token}, json => $_)
            for @{ $wrong{$path} };
    }
    ask(409, POST => '/api/auth/register', json => $user);
    ask(401, POST => '/api/auth/login',
        json => { email => $email, password => 'another' });
    ask(400, GET => '/api/posts', query => $_)
        for '?limit=0', '?limit=x', '?offset=-1', '?limit=%zz';
    ask(404, $_ => '/api/posts/{id}', id => 2_147_483_647,
        token => $user->{token}) for qw(GET DELETE);
    ask(404, $_ => '/api/posts/{id}', id => 'seven', token => $user->{token})
        for qw(GET DELETE);
    pass('is answered in the documented words');
};

subtest 'who may not' => sub {
    my $now = time;
    my %claims = (id => 1, email => 'a@example.org', iat => $now);
    my $expired = token({ %claims, exp => $now - 5 });
    my $forged = token({ %claims, exp => $now + 60 }, secret => 'another');
    my $other = sign_in(port => $patient->port);
    my $post = new_post($user, port => $patient->port);
    my $gone = sign_in(port => $patient->port);
    sql("DELETE FROM users WHERE id = $gone->{id}", $database->address);

    ask(401, GET => '/api/auth/verify', %$_)
        for {}, map { { token => $_ } } $expired, $forged;
    for my $with ({}, { token => $expired }, { token => $forged }) {
        ask(401, POST => '/api/posts', json => { title => 'x' }, %$with);
        ask(401, DELETE => '/api/posts/{id}', id => $post->{id}, %$with);
    }
    ask(401, POST => '/api/posts', json => { title => 'x' },
        token => $gone->{token});
    ask(403, DELETE => '/api/posts/{id}', id => $post->{id},
        token => $other->{token});

    for my $method (qw(GET POST DELETE)) {
        for my $path (routes_of($method, qr/OPERATOR/)) {
            ask(401, $method => $path, id => '0' x 16, %$_)
                for {}, { token => 'another' };
            ask(404, $method => $path, id => '0' x 16, of => $closed,
                token => $OPERATOR);
        }
    }
    pass('is told so');
};

# ---- failures on purpose

# Each one-shot so small that it is over soon, and what makes it a 409.
my %ONCE = (
    'db-fail' => { mode => 'refused' },
    'pool-exhaustion' => { attempts => 12, hold_s => 1, acquire_ms => 200 },
    'slow-query' => {},
    'api-timeout' => { timeout_ms => 100 },
    'jwt-expiry' => {}, 'memory-leak' => { limit_mb => 8 }, 'high-cpu' => {},
);

subtest 'one-shots, incidents and what is refused' => sub {
    is(join(' ', sort keys %ONCE), join(' ', sort @SCENARIOS), 'all seven');
    ask(200, $_ => '/api/chaos', token => $OPERATOR) for qw(GET HEAD);
    for my $name (@SCENARIOS) {
        chaos(200, $name, $ONCE{$name});
        stop($name);
        my $id = chaos(202, $name, { duration_s => 60 })->json->{id};
        ask(200, $_ => '/api/chaos/incidents/{id}', id => $id,
            token => $OPERATOR) for qw(GET HEAD);
        ask(200, GET => '/api/chaos', token => $OPERATOR);
        ask(200, $_ => "/api/chaos/$name", token => $OPERATOR)
            for qw(GET HEAD);
        chaos(409, $name, $_) for {}, { duration_s => 1 };
        stop($name);
        chaos(400, $name, { no_such => 1 });
        chaos(400, $name, { duration_s => 'long' });
        chaos(422, $name, { duration_s => 601 });
        chaos(422, $name, { limit_mb => 2000 }) if $name eq 'memory-leak';
    }
    # Too few rows to be slow, and connections enough for all.
    chaos(409, 'slow-query', { posts => 1, rows => 1000 });
    chaos(409, 'pool-exhaustion', { attempts => 1, hold_s => 1 });
    ask(200, $_ => '/api/chaos/incidents', token => $OPERATOR)
        for qw(GET HEAD);
    ask(200, $_ => '/api/chaos/page', token => $OPERATOR) for qw(GET HEAD);
    ask(404, GET => '/api/chaos/incidents/{id}', id => '0' x 16,
        token => $OPERATOR);
    ask(200, $_ => '/api/chaos/ledger', token => $OPERATOR) for qw(GET HEAD);
    ask(200, POST => '/api/chaos/halt', token => $OPERATOR);
};

subtest 'without a token, and while another runs' => sub {
    chaos(202, 'jwt-expiry', { duration_s => 60 }, of => $open);
    chaos(409, 'db-fail', { mode => 'refused' }, of => $open);
    ask(200, POST => '/api/chaos/halt', of => $open);
    nothing_runs(of => $open);
    pass('one at a time, and open');
};

# ---- what is beyond the users

# So many that they fill a child up to its reserve.
subtest 'all workers wait for a service that does not answer' => sub {
    my $port = $patient->port;

    chaos(202, 'api-timeout', { duration_s => 60, timeout_ms => 8000 });
    my @crowd = map { $patient->connection } 1 .. 126;
    $_->send($_->compose(POST => '/api/posts', token => $user->{token},
        json => { title => 'never stored' })) for @crowd;
    wait_until(sub { request(GET => '/api/metrics', port => $port)
        ->json->{requests}{inFlight} >= 121 }, 10) or fail('they wait');

    for my $method (qw(GET POST DELETE)) {
        ask(503, $method => $_, id => 1, token => $user->{token})
            for grep { !m{/livez|metrics|chaos} } routes_of($method);
    }
    ask(200, GET => $_) for qw(/livez /metrics);
    my @answers = map { $_->read } @crowd;
    note_down($_, path => '/api/posts', method => 'POST') for @answers;
    cmp_ok((scalar grep { $_->status == 504 } @answers), '>=', 100,
        'and are told in the end');
    stop('api-timeout');
};

subtest 'the database takes no writes' => sub {
    $database->root('SET GLOBAL read_only = 1');
    ask(503, GET => '/readyz');
    ask(200, GET => '/health');
    ask(503, POST => '/api/posts', token => $user->{token},
        json => { title => 'never stored' });
    $database->root('SET GLOBAL read_only = 0');
    pass('and what tells of it says so');
};

subtest 'the database is away' => sub {
    $database->kill;
    my $new = { email => new_email(), password => password() };
    my $post = { title => 'never stored' };

    ask(503, GET => $_) for qw(/health /readyz /api/posts);
    ask(503, POST => '/api/auth/register', json => $new);
    ask(503, POST => '/api/auth/login', json => $new);
    ask(503, GET => '/api/posts/{id}', id => 1);
    ask(503, POST => '/api/posts', token => $user->{token}, json => $post);
    ask(503, DELETE => '/api/posts/{id}', id => 1, token => $user->{token});
    pass('and all that needs it says so');
};

subtest 'a slow sender is given up' => sub { refused(408, $slow->read) };

# ---- the comparison

my $found = node('openapi.js', "$FindBin::Bin/../docs/openapi.yaml", $book);

sub is_empty ($list, $sentence) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(!@$list, $sentence)
        || diag(join "\n", @$list > 20 ? (@$list[0 .. 19], '...') : @$list);
}

is_empty($found->{problems}, 'the linter is content with the document');
is($found->{version}, request(GET => '/', port => $patient->port)
    ->json->{version}, 'its version is the patient\'s');
is_empty($found->{faults}, 'every answer is as documented');
is_empty($found->{unseen}, 'every documented answer was seen');
is_empty([grep { !$OUT_OF_REACH{$_} } @{ $found->{unsaid} }],
    'every documented text of an error was seen');

subtest 'the document has every route of the module, and no other' => sub {
    my $page = request(GET => '/metrics', port => $patient->port)->body;
    my %labels = map { $_ => 1 }
        $page =~ /_count\{method="([A-Z]+",route="[^"]+)"/g;
    my %known = map {
        my $path = $_ =~ s/\{(\w+)\}/:$1/gr;
        map { sprintf('%s",route="%s', $_, $path) => 1 }
            keys %{ $routes{$_} };
    } grep { !m{\A/api/chaos} } @PATHS;

    is(join("\n", sort keys %labels), join("\n", sort keys %known),
        'the tables of the source are those of the running module');
    # An operator's routes are in no figure.
    for my $path (grep { m{\A/api/chaos} } @PATHS) {
        my $allow = request(OPTIONS => $path =~ s/\{\w+\}/x/gr,
            port => $patient->port, token => $OPERATOR)->header('Allow');
        is(join(' ', grep { !/HEAD|OPTIONS/ } sort split /, /, $allow // ''),
            join(' ', sort keys %{ $routes{$path} }), "$path, too");
    }
    is_deeply($found->{patterns}, { map {
        my $path = $_;
        $path => [grep { $routes{$path}{$_} } qw(GET POST PUT PATCH DELETE)]
    } @PATHS }, 'the document has them');
};

subtest 'the document has the parameters of the catalogue' => sub {
    my %catalogue = map {
        $_->{name} => { map {
            my %parameter = %$_;
            delete @parameter{qw(name help)};
            $_->{name} => \%parameter;
        } @{ $_->{parameters} } }
    } @{ request(GET => '/api/chaos', port => $patient->port,
        token => $OPERATOR)->json->{scenarios} };

    is_deeply($found->{orders}, \%catalogue, 'names, types, ranges');
};

done_testing;
