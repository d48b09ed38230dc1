package Patient::Forwarder;

# A database's endpoint, as a name in DNS is one: it leads somewhere, and from
# one moment on elsewhere, while connections made before live on. It can also
# swallow those, as a router does that forgot about them.

use v5.36;
use IO::Select;
use IO::Socket::INET;
use POSIX ();

# Leads to a port of this machine.
sub new ($class, $target) {
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        Listen => 128, ReuseAddr => 1) or die "forwarder: $!\n";
    pipe my $orders, my $order or die "pipe: $!\n";
    pipe my $done, my $report or die "pipe: $!\n";
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        close $order;
        close $done;
        eval { serve($listener, $orders, $report, $target) };
        POSIX::_exit(0);
    }
    my $self = bless { pid => $pid, port => $listener->sockport,
        order => $order, done => $done, owner => $$ }, $class;
    close $listener;
    return $self;
}

sub port ($self) { return $self->{port} }

# New connections lead to another port from now on.
sub lead ($self, $target) { $self->order("lead $target") }

# From the connections that there are nothing comes through any more.
sub swallow ($self) { $self->order('swallow') }

# They end, as if the other side had died.
sub cut ($self) { $self->order('cut') }

sub order ($self, $order) {
    syswrite $self->{order}, "$order\n";
    sysread($self->{done}, my $answer, 1) or die "the forwarder has died\n";
}

sub serve ($listener, $orders, $report, $target) {
    my $select = IO::Select->new($listener, $orders);
    my (%peer, %black);

    while (1) {
        for my $ready ($select->can_read) {
            if ($ready == $orders) {
                sysread($orders, my $order, 100) or return;
                if ($order =~ /^lead (\d+)/) { $target = $1 }
                elsif ($order =~ /^swallow/) {
                    $black{$_} = 1 for keys %peer;
                }
                else {
                    for my $end (values %peer) {
                        $select->remove($end);
                        close $end;
                    }
                    %peer = %black = ();
                }
                syswrite $report, '.';
                last;           # what is ready has changed
            }
            if ($ready == $listener) {
                my $in = $listener->accept or next;
                my $out = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                    PeerPort => $target) or do { close $in; next };
                @peer{ $in, $out } = ($out, $in);
                $select->add($in, $out);
                next;
            }
            my $other = $peer{$ready} or next;
            my $n = sysread $ready, my $bytes, 65536;
            next if $n && $black{$ready};
            next if $n && syswrite($other, $bytes);
            $select->remove($ready, $other);
            delete @peer{ $ready, $other };
            delete @black{ $ready, $other };
            close $_ for $ready, $other;
        }
    }
}

sub DESTROY ($self) {
    return if $self->{owner} != $$;
    local $?;
    kill KILL => $self->{pid};
    waitpid $self->{pid}, 0;
}

1;
