package Patient::Metadata;

# The task metadata endpoint of ECS, made up: it answers as it is told to, and
# notes down what it was asked.

use v5.36;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Patient::Server;

# $answer: of every path, or {path => answer} below the endpoint's own
# ('' and '/task'), where an answer is a text, a value for JSON, or undef for
# none at all. $status: of all answers.
sub new ($class, $answer, $status = '200 OK') {
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        Listen => 5) or die $!;
    my $self = bless {
        url => 'http://127.0.0.1:' . $listener->sockport . '/v4/abc',
        book => "$ENV{TMPDIR}/metadata-$$-" . $listener->sockport,
        owner => $$,
    }, $class;

    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        while (my $client = $listener->accept) {
            $self->serve($client, $answer, $status);
        }
        POSIX::_exit(0);
    }
    return $self;
}

sub serve ($self, $client, $answer, $status) {
    my $head = '';

    while (my $line = <$client>) {
        $head .= $line;
        last if $line eq "\r\n";
    }
    open my $out, '>>', $self->{book} or return;
    print {$out} $head =~ s/\r\n.*//sr, "\n";
    close $out;
    my ($path) = $head =~ m{\AGET /v4/abc(/\S+)? };
    my $body = ref $answer eq 'HASH' ? $answer->{$path // ''} : $answer;
    if (!defined $body) {
        push @{ $self->{kept} }, $client;       # it keeps the client waiting
        return;
    }
    $body = JSON::PP->new->encode($body) if ref $body;
    print {$client} "HTTP/1.1 $status\r\nContent-Length: ", length $body,
        "\r\nConnection: close\r\n\r\n", $body;
    close $client;
}

# What ECS_CONTAINER_METADATA_URI_V4 is to be.
sub url ($self) { return $self->{url} }

# The first lines of the requests that came.
sub asked ($self) {
    return split /\n/, Patient::Server::slurp($self->{book});
}

sub DESTROY ($self) {
    return if $self->{owner} != $$;
    local $?;
    kill 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    unlink $self->{book};
}

1;
