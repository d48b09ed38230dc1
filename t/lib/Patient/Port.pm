package Patient::Port;

# Ports for servers that suites start.

use v5.36;
use Exporter 'import';
use IO::Socket::INET;

our @EXPORT = qw(free_port);

# The kernel gives out higher ones to clients by itself, so one of those could
# be taken, by the very test that broke a server, before the server is back.
# The launcher's databases start at 20000.
use constant { LOWEST => 10_240, HIGHEST => 19_999 };

# A port on which nobody listens, another one each time: who asked may not have
# begun to. They come in no order, so that two runs on one machine do not meet.
sub free_port () {
    state %given;

    for (1 .. 1000) {
        my $port = LOWEST + int rand HIGHEST - LOWEST + 1;
        next if $given{$port}++;
        return $port if IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port, Listen => 1, ReuseAddr => 1);
    }
    die "no free port: $!\n";
}

1;
