package Patient::Node;

# The programs of t/node: what is checked with libraries that Node has.

use v5.36;
use Exporter 'import';
use File::Temp ();
use FindBin;
use POSIX ();
use Patient::Response;

our @EXPORT = qw(node);

# Runs one; it prints a JSON value, which is returned. Nothing of the caller's
# environment reaches it but the path.
sub node ($program, @arguments) {
    my $out = File::Temp->new;
    my $pid = fork // die "fork: $!\n";
    local $?;

    if (!$pid) {
        %ENV = (PATH => $ENV{PATH});
        open STDOUT, '>&', $out;
        { exec 'node', "$FindBin::Bin/node/$program", @arguments }
        print STDERR "cannot run node: $!\n";
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    die "t/node/$program failed\n" if $?;
    seek $out, 0, 0;
    local $/ = undef;
    return Patient::Response::decode(readline $out);
}

1;
