package Patient::Curl;

# Requests as curl makes them, for what Patient::Connection does not speak:
# HTTP/2, TLS, compressed answers.

use v5.36;
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Patient::Response;
use Patient::Server;

# new($url, OPTIONS): the server, and what curl is to be told besides.
sub new ($class, $url, @options) {
    return bless { url => $url, options => [@options] }, $class;
}

sub request ($self, $method, $target, %with) {
    return ($self->requests([$method, $target, %with]))[0];
}

# One answer for each [METHOD, TARGET, %with], all by one run of curl, which
# keeps to one connection where it can. %with is what
# Patient::Connection::compose takes, without chunked. An answer is a
# Patient::Response that also has {version} (1.1, 2), {connects} (how many
# connections curl had to open for it) and {problem}, what curl complained of.
sub requests ($self, @requests) {
    my $dir = File::Temp->newdir('patient-curl-XXXXXX', TMPDIR => 1);
    my @config;

    for my $i (0 .. $#requests) {
        push @config, ('next') x ($i > 0),
            $self->settings("$dir/$i", @{ $requests[$i] });
    }
    write_file("$dir/config", join "\n", @config, '');
    run($dir);
    my @said = split /\n/, Patient::Server::slurp("$dir/said");
    return map { answer("$dir/$_", $said[$_] // '{}') } 0 .. $#requests;
}

# A request whose body begins and never ends; after so many seconds curl loses
# its patience.
sub stall ($self, $seconds, $method, $target, %with) {
    my $dir = File::Temp->newdir('patient-curl-XXXXXX', TMPDIR => 1);

    POSIX::mkfifo("$dir/body", 0600) or die "mkfifo: $!\n";
    write_file("$dir/config", join "\n", $self->settings("$dir/0", $method,
        $target, %with), 'upload-file = ' . quoted("$dir/body"),
        "max-time = $seconds", '');
    # Holds the other end open, for reading as well, so that nobody waits.
    open my $body, '+<', "$dir/body" or die "$dir/body: $!\n";
    syswrite $body, '{';
    run($dir);
    return answer("$dir/0", Patient::Server::slurp("$dir/said") || '{}');
}

sub settings ($self, $file, $method, $target, %with) {
    my %headers = %{ $with{headers} // {} };
    my $body = $with{body};
    my @options = ('silent', 'path-as-is', 'max-time = 60', 'noproxy = "*"',
        @{ $self->{options} }, 'url = ' . quoted("$self->{url}$target"),
        'output = ' . quoted("$file.body"),
        'dump-header = ' . quoted("$file.head"),
        'write-out = "%{json}\n"',
        # With "head" it sends no body; without, it waits for one that does
        # not come, and over HTTP/2 knows at the stream's end.
        $method eq 'HEAD' && !defined $with{body}
            ? 'head' : 'request = ' . quoted($method));

    if (exists $with{json}) {
        $body = JSON::PP->new->utf8->canonical->allow_nonref
            ->encode($with{json});
        $with{type} //= 'application/json';
    }
    $headers{'Content-Type'} = $with{type} if defined $with{type};
    $headers{Authorization} = "Bearer $with{token}" if defined $with{token};
    if (defined $body) {
        write_file("$file.sent", $body);
        push @options, 'data-binary = ' . quoted("\@$file.sent");
        # Of its own accord curl would call it a form, and wait for a 100.
        $headers{$_} //= undef for qw(Content-Type Expect);
    }
    return @options, map { 'header = ' . quoted("$_:"
        . (defined $headers{$_} ? " $headers{$_}" : '')) }
        sort keys %headers;
}

sub quoted ($text) { return '"' . $text =~ s/([\\"])/\\$1/gr . '"' }

sub write_file ($path, $content) {
    open my $out, '>:raw', $path or die "$path: $!\n";
    print $out $content;
    close $out or die "$path: $!\n";
}

sub run ($dir) {
    local $?;
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        open STDOUT, '>', "$dir/said";
        open STDERR, '>', "$dir/complaints";
        { exec 'curl', '--disable', '--config', "$dir/config" }
        print STDERR "curl: $!\n";
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    die 'curl: ' . Patient::Server::slurp("$dir/complaints") if $? == 127 << 8;
}

# The last header that came is the answer's; before it there may be a 100.
sub answer ($file, $said) {
    my $told = JSON::PP->new->decode($said);
    my $head = (grep { /\S/ } split /\r\n\r\n/,
        Patient::Server::slurp("$file.head"))[-1] // '';
    my ($first, @lines) = split /\r\n/, $head;
    my %headers;

    for my $line (@lines) {
        my ($name, $value) = $line =~ /\A([^:]+):[ \t]*(.*?)[ \t]*\z/ or next;
        push @{ $headers{ lc $name } }, $value;
    }
    my ($status) = ($first // '') =~ m{\AHTTP/[\d.]+ (\d{3})};
    return Patient::Response->new(
        status => $status // 0, head => $head, headers => \%headers,
        reason => '', body => Patient::Server::slurp("$file.body"),
        version => $told->{http_version} // '',
        connects => $told->{num_connects} // 0,
        problem => $told->{errormsg});
}

1;
