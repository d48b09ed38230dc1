# On ECS every line names its task. The metadata endpoint is this test's own.

use Patient;
use Patient::Log;
use Patient::Server;
use IO::Socket::INET;
use POSIX ();

use constant ID => '158d1c8083dd49d6b527399fd6414f5c';
use constant ARN => 'arn:aws:ecs:eu-west-1:111122223333:task/patient/' . ID;

# Answers every request in the same way and notes down each: (URL, file).
my @services;
sub service ($answer, $status = '200 OK') {
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        Listen => 5) or die $!;
    my $book = "$ENV{TMPDIR}/metadata-$$-" . $listener->sockport;
    my $pid = fork // die "fork: $!";

    if (!$pid) {
        while (my $client = $listener->accept) {
            my $head = '';
            while (my $line = <$client>) {
                $head .= $line;
                last if $line eq "\r\n";
            }
            open my $out, '>>', $book or last;
            print {$out} $head =~ s/\r\n.*//sr, "\n";
            close $out;
            next unless defined $answer;    # it keeps the client waiting
            print {$client} "HTTP/1.1 $status\r\nContent-Length: ",
                length $answer, "\r\nConnection: close\r\n\r\n", $answer;
            close $client;
        }
        POSIX::_exit(0);
    }
    push @services, $pid;
    return ('http://127.0.0.1:' . $listener->sockport . '/v4/abc', $book);
}
END {
    local $?;
    for my $pid (@services) {
        kill 'TERM', $pid;
        waitpid $pid, 0;
    }
}

sub asked ($book) { return split /\n/, Patient::Server::slurp($book) }

# What httpd wrote, from a patient with that endpoint that served a little.
sub lines_with ($url, %more) {
    my $patient = Patient::Server->new(ECS_CONTAINER_METADATA_URI_V4 => $url);
    my $port = $patient->port;

    request(GET => '/api/posts', port => $port);
    if ($more{restart}) {
        $patient->restart;
        request(GET => '/nowhere', port => $port);
    }
    $patient->stop;
    return $patient->log->since(0);
}

subtest 'every line names the task, which is asked for once' => sub {
    my ($url, $book) = service(JSON::PP->new->encode({ TaskARN => ARN }));
    my @lines = lines_with($url, restart => 1);

    cmp_ok(@lines, '>', 5, 'there are lines');
    is(scalar(grep { ($_->{task} // '') ne ID } @lines), 0,
        'all of them do') || diag(explain(grep { !$_->{task} } @lines));
    is(join(', ', asked($book)), 'GET /v4/abc/task HTTP/1.1',
        'one question, however often it restarts');
};

my %unfit = (
    'no JSON'        => ['<html>'],
    'no ARN'         => ['{}'],
    'an ARN of another type' => ['{"TaskARN":[1]}'],
    'bytes that no id has'   => ['{"TaskARN":"task/a\"b\nc"}'],
    'an id too long' => [sprintf '{"TaskARN":"task/%s"}', 'a' x 65],
    'a failure'      => [sprintf('{"TaskARN":"%s"}', ARN), '500 Oops'],
    'too much'       => ['{"TaskARN":"' . ARN . '"}' . ' ' x 100_000],
    'silence'        => [undef],
);
for my $what (sort keys %unfit) {
    subtest "$what: it serves all the same, and names none" => sub {
        my ($url, $book) = service(@{ $unfit{$what} });
        my @lines = lines_with($url);

        is(scalar(asked($book)), 1, 'it was asked once');
        is(scalar(grep { exists $_->{task} } @lines), 0, 'no line has a task');
        is(scalar(grep { $_->{type} eq 'REQUEST' && $_->{status} == 200 }
            @lines), 1, 'the request was answered');
        is(scalar(grep { $_->{level} !~ /\A(?:info|debug)\z/ } @lines), 0,
            'nothing looks like a failure');
    };
}

done_testing;
