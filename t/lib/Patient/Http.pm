package Patient::Http;

# Requests as a frontend makes them, and the users and posts that tests need.

use v5.36;
use Exporter 'import';
use Patient::Connection;

our @EXPORT = qw(request connection server_port
    new_email sign_up sign_in new_post password);

# The common server's port, where nothing else is asked for.
sub server_port () {
    return $ENV{PATIENT_TEST_PORT} // die "run the suites with t/TEST\n";
}

# A connection that stays open: Patient::Connection's methods.
sub connection (%with) {
    return Patient::Connection->new($with{port} // server_port());
}

# One request on a connection of its own; what may stand in %with is said at
# Patient::Connection::compose; besides, port => N.
sub request ($method, $target, %with) {
    my $connection = connection(port => delete $with{port});

    $with{headers} = { Connection => 'close', %{ $with{headers} // {} } };
    my $response = $connection->request($method, $target, %with);
    $connection->close;
    return $response;
}

my $users = 0;

# Unique over all suites and both rounds on one database.
sub new_email ($local = 'user') {
    return sprintf '%s-%x-%d-%d@example.org', $local, $^T, $$, ++$users;
}

# Every test's password starts like this, so that t/log.t can look for it.
sub password () { return 'S3cretly ' . ++$users }

# A user who is registered and logged in: {id, email, name, password, token}.
sub sign_in (%with) {
    my $user = sign_up(%with);
    my $answer = request(POST => '/api/auth/login', port => $with{port},
        json => { email => $user->{email}, password => $user->{password} });

    $answer->status == 200 or die 'login: ' . $answer->summary;
    return { %$user, token => $answer->json->{token} };
}

sub sign_up (%with) {
    my $port = delete $with{port};
    my %user = (email => new_email(), password => password(),
        name => 'Tess Ter', %with);
    my $answer = request(POST => '/api/auth/register', json => \%user,
        port => $port);

    $answer->status == 201 or die 'register: ' . $answer->summary;
    return { %user, %{ $answer->json->{user} } };
}

# A post of that user's, as the server gave it back.
sub new_post ($user, %with) {
    my $port = delete $with{port};
    my $answer = request(POST => '/api/posts', token => $user->{token},
        port => $port, json => { title => 'A title', %with });

    $answer->status == 201 or die 'post: ' . $answer->summary;
    return $answer->json;
}

1;
