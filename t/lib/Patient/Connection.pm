package Patient::Connection;

# A strict HTTP/1.1 client on a bare socket. It reads exactly one response at
# a time and knows where it ends, so a test can tell a second response, a
# missing Content-Length or a connection closed too early from a good answer.

use v5.36;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use Time::HiRes qw(time);
use Patient::Response;

# Far above what any answer needs: whoever waits this long has failed.
use constant PATIENCE => 60;

sub new ($class, $port) {
    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => PATIENCE)
        or die "cannot connect to 127.0.0.1:$port: $!\n";
    binmode $socket;
    $socket->autoflush(1);
    return bless { socket => $socket, port => $port, in => '' }, $class;
}

# Bytes as they are. A server may close before it has read them all, and then
# its answer is what matters: a failed write is no failure of the test.
sub send ($self, $bytes) {
    local $SIG{PIPE} = 'IGNORE';
    my $done = 0;
    while ($done < length $bytes) {
        my $n = syswrite $self->{socket}, $bytes, 65536, $done;
        last unless defined $n;
        $done += $n;
    }
    return $self;
}

# Says that no more will come, as `nc -N` does.
sub finish ($self) {
    $self->{socket}->shutdown(1);
    return $self;
}

# The bytes of a request. headers => {NAME => VALUE or [VALUES] or undef to
# leave a usual one out}; json => DATA, or body => BYTES with type => TYPE;
# chunked => 1 sends the body in chunks; token => JWT.
sub compose ($self, $method, $target, %with) {
    my %headers = (Host => "localhost:$self->{port}");
    my $body = $with{body};

    if (exists $with{json}) {
        $body = JSON::PP->new->utf8->canonical->allow_nonref
            ->encode($with{json});
        $with{type} //= 'application/json';
    }
    $headers{'Content-Type'} = $with{type} if defined $with{type};
    $headers{Authorization} = "Bearer $with{token}" if defined $with{token};
    if (defined $body) {
        if ($with{chunked}) {
            $headers{'Transfer-Encoding'} = 'chunked';
            $body = join '', (map { sprintf "%x\r\n%s\r\n", length $_, $_ }
                    unpack '(a16384)*', $body), "0\r\n\r\n";
        }
        else {
            $headers{'Content-Length'} = length $body;
        }
    }
    %headers = (%headers, %{ $with{headers} // {} });

    my $head = "$method $target HTTP/1.1\r\n";
    for my $name (sort keys %headers) {
        my $value = $headers{$name} // next;
        $head .= "$name: $_\r\n" for ref $value ? @$value : $value;
    }
    return "$head\r\n" . ($body // '');
}

sub request ($self, $method, $target, %with) {
    my $start = time;

    $self->send($self->compose($method, $target, %with));
    my $response = $self->read($method);
    $response->{seconds} = time - $start;
    return $response;
}

# The next response; dies if the connection ends or stalls before its end.
sub read ($self, $method = 'GET') {
    my ($head, $status, $reason, %headers);

    do {
        $self->fill(sub { $self->{in} =~ /\r\n\r\n/ }, 'a response');
        $self->{in} =~ s/\A(.*?)\r\n\r\n//s;
        $head = $1;
        my ($first, @lines) = split /\r\n/, $head;
        ($status, $reason) = $first =~ m{\AHTTP/1\.1 (\d{3}) ?(.*)\z}
            or die "not a status line: '$first'\n";
        %headers = ();
        for my $line (@lines) {
            my ($name, $value) = $line =~ /\A([!-9;-~]+):[ \t]*(.*?)[ \t]*\z/
                or die "not a header: '$line'\n";
            push @{ $headers{ lc $name } }, $value;
        }
    } while ($status =~ /\A1/);

    my $body = '';
    if ($method ne 'HEAD' && $status !~ /\A(?:204|304)\z/) {
        $body = $self->read_body(\%headers);
    }
    return Patient::Response->new(
        status => $status, reason => $reason, head => $head,
        headers => \%headers, body => $body);
}

sub read_body ($self, $headers) {
    if (my $length = $headers->{'content-length'}) {
        my $want = $length->[0];
        $self->fill(sub { length $self->{in} >= $want }, 'the body');
        return substr $self->{in}, 0, $want, '';
    }
    if ($headers->{'transfer-encoding'}) {
        my $body = '';
        while (1) {
            $self->fill(sub { $self->{in} =~ /\r\n/ }, 'a chunk');
            $self->{in} =~ s/\A([0-9A-Fa-f]+)[^\r\n]*\r\n//
                or die "not a chunk size\n";
            my $size = hex $1;
            $self->fill(sub { length $self->{in} >= $size + 2 }, 'a chunk');
            $body .= substr $self->{in}, 0, $size, '';
            substr $self->{in}, 0, 2, '';
            return $body unless $size;
        }
    }
    my $body = $self->rest;
    return $body;
}

# Reads until $enough says so.
sub fill ($self, $enough, $what) {
    until ($enough->()) {
        $self->more or die "the connection ended within $what, after '"
            . substr($self->{in}, 0, 200) . "'\n";
    }
}

sub more ($self) {
    IO::Select->new($self->{socket})->can_read(PATIENCE)
        or die "no answer within " . PATIENCE . " s\n";
    my $n = sysread $self->{socket}, $self->{in}, 65536, length $self->{in};
    return $n;
}

# All that still comes until the server closes.
sub rest ($self) {
    1 while $self->more;
    my $rest = $self->{in};
    $self->{in} = '';
    return $rest;
}

# Whether something has come that was not read yet.
sub is_answered ($self) {
    return $self->{in} ne ''
        || IO::Select->new($self->{socket})->can_read(0);
}

sub close ($self) {
    $self->{socket}->close;
}

1;
