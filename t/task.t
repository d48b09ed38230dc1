# On ECS every line names its task. The metadata endpoint is this test's own.

use Patient;
use Patient::Log;
use Patient::Metadata;
use Patient::Server;

use constant ID => '158d1c8083dd49d6b527399fd6414f5c';
use constant ARN => 'arn:aws:ecs:eu-west-1:111122223333:task/patient/' . ID;

# What httpd wrote, from a patient with that endpoint that served a little.
sub lines_with ($ecs, %more) {
    my $patient = Patient::Server->new(
        ECS_CONTAINER_METADATA_URI_V4 => $ecs->url);
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
    my $ecs = Patient::Metadata->new({ '/task' => { TaskARN => ARN },
        '' => {} });
    my @lines = lines_with($ecs, restart => 1);

    cmp_ok(@lines, '>', 5, 'there are lines');
    is(scalar(grep { ($_->{task} // '') ne ID } @lines), 0,
        'all of them do') || diag(explain(grep { !$_->{task} } @lines));
    is(join(', ', $ecs->asked),
        'GET /v4/abc/task HTTP/1.1, GET /v4/abc HTTP/1.1',
        'once of the task and once of the container, however often it '
        . 'restarts');
};

my %unfit = (
    'no JSON'        => ['<html>'],
    'no ARN'         => ['{}'],
    'an ARN of another type' => ['{"TaskARN":[1]}'],
    'bytes that no id has'   => ['{"TaskARN":"task/a\"b\nc"}'],
    'an id too long' => [sprintf '{"TaskARN":"task/%s"}', 'a' x 65],
    'a failure'      => [sprintf('{"TaskARN":"%s"}', ARN), '500 Oops'],
    'too much'       => ['{"TaskARN":"' . ARN . '"}' . ' ' x 300_000],
    'silence'        => [undef],
);
for my $what (sort keys %unfit) {
    subtest "$what: it serves all the same, and names none" => sub {
        my $ecs = Patient::Metadata->new(@{ $unfit{$what} });
        my @lines = lines_with($ecs);
        my $task = grep { m{/task } } $ecs->asked;

        is($task, 1, 'it was asked once');
        is(scalar(grep { exists $_->{task} } @lines), 0, 'no line has a task');
        is(scalar(grep { $_->{type} eq 'REQUEST' && $_->{status} == 200 }
            @lines), 1, 'the request was answered');
        is(scalar(grep { $_->{level} !~ /\A(?:info|debug)\z/ } @lines), 0,
            'nothing looks like a failure');
    };
}

done_testing;
