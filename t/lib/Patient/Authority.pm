package Patient::Authority;

# A certificate authority of a suite's own, and the certificates it gives to
# servers.

use v5.36;
use File::Temp ();
use POSIX ();

my @KEY = qw(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2);

my $made = 0;

sub new ($class) {
    my $self = bless {
        dir => File::Temp->newdir('patient-ca-XXXXXX', TMPDIR => 1),
        count => 0,
    }, $class;

    # Nothing of the machine's own settings.
    open my $out, '>', "$self->{dir}/openssl.cnf" or die "openssl.cnf: $!\n";
    print $out "[req]\ndistinguished_name = name\n[name]\n";
    close $out;
    $self->request('ca', '/CN=Authority ' . ++$made . ' of the tests',
        '-addext', 'basicConstraints=critical,CA:TRUE',
        '-addext', 'keyUsage=critical,keyCertSign');
    return $self;
}

# Its own certificate, for who is to trust it.
sub file ($self) { return "$self->{dir}/ca.pem" }

# A certificate for host names and addresses: the files (certificate, key).
sub certify ($self, @names) {
    my $file = 'server' . ++$self->{count};
    my $names = join ',', map { /\A[\d.]+\z/ ? "IP:$_" : "DNS:$_" } @names;

    $self->request($file, '/CN=A server of the tests',
        '-CA', $self->file, '-CAkey', "$self->{dir}/ca.key",
        '-addext', "subjectAltName=$names");
    return map { "$self->{dir}/$file.$_" } qw(pem key);
}

sub request ($self, $file, $subject, @options) {
    my $dir = $self->{dir};
    local $?;
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        open STDOUT, '>', "$dir/log";
        open STDERR, '>&', \*STDOUT;
        { exec 'openssl', 'req', '-x509', '-config', "$dir/openssl.cnf", @KEY,
            '-subj', $subject, '-keyout', "$dir/$file.key",
            '-out', "$dir/$file.pem", @options }
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    die "openssl: cannot make $dir/$file.pem\n" if $?;
}

1;
