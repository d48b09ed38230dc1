# Behind a load balancer: whose request it is, by what X-Forwarded-For says.
# Patients of its own.

use Patient;
use Patient::Server;

# The address that the log has for a request with this X-Forwarded-For: one
# value, or a list of them for as many headers.
sub client_of ($patient, $forwarded) {
    my $mark = $patient->log->mark;
    my $id = request(GET => '/api/posts/x', port => $patient->port,
        headers => { 'X-Forwarded-For' => $forwarded })
        ->header('X-Request-Id');

    my $line = $patient->log->wait_for($mark, sub ($l) {
        $l->{type} eq 'REQUEST' && $l->{request_id} eq $id });
    return $line->{client};
}

my $trusting = Patient::Server->new(
    PATIENT_TRUSTED_PROXY => '127.0.0.1 10.0.0.0/8 fd00::/8');

my @SAID = (
    ['198.51.100.7',              '198.51.100.7', 'an address'],
    ['198.51.100.7:51234',        '198.51.100.7', 'with a port'],
    ['198.51.100.7:1',            '198.51.100.7', 'a short one'],
    ['  198.51.100.7:51234  ',    '198.51.100.7', 'between blanks'],
    ['2001:db8::7',               '2001:db8::7', 'IPv6'],
    ["2001:db8::7:8080", "2001:db8::7:8080",
        "that ends as a port might"],
    ['[2001:db8::7]:51234',       '2001:db8::7', 'with a port'],
    ['[2001:DB8:0::7]',           '2001:db8::7', 'in brackets alone'],
    ['203.0.113.9:80, 198.51.100.7:51234', '198.51.100.7',
        'the last that is no proxy of ours'],
    ['198.51.100.7:51234, 10.1.2.3:443', '198.51.100.7',
        'before one that is'],
    ['198.51.100.7:51234,10.1.2.3:443 ,[fd00::1]:80 , 10.0.0.1',
        '198.51.100.7', 'before many'],
    ['[2001:db8::7]:51234,10.1.2.3', '2001:db8::7', 'IPv6 before one'],
    [['198.51.100.7:51234', '10.1.2.3:443'], '198.51.100.7',
        'in two headers'],
    ['198.51.100.7,',             '198.51.100.7', 'with a comma too many'],
    ['198.51.100.7:1 , ,, 10.1.2.3:2,,', '198.51.100.7', 'with many'],
    [', 198.51.100.7:51234',      '198.51.100.7', 'with one before it'],
    [['198.51.100.7:51234', '', '10.1.2.3'], '198.51.100.7',
        'with an empty header'],
    ['[::ffff:198.51.100.7]:80',  '198.51.100.7', 'IPv4 in IPv6'],
);

for my $said (@SAID) {
    my ($forwarded, $client, $sentence) = @$said;
    my $text = ref $forwarded ? join(' | ', @$forwarded) : $forwarded;

    subtest "'$text': $sentence" => sub {
        is(client_of($trusting, $forwarded), $client, "is $client");
    };
}

subtest 'what is no address is not taken for one' => sub {
    for my $bad ('198.51.100.7:', '198.51.100.7:x', '198.51.100.7:1:2',
        '198.51.100.7:123456', '198.51.100:80', '[198.51.100.7:80', 'unknown',
        '_hidden:80', '[]:80', '[2001:db8::7', '2001:db8::7]:80', ':80',
        '"198.51.100.7:80"', 'localhost:80', '999.51.100.7:80', '', ',', ' , ,',
        '198.51.100.7 :80', '198.51.100.7: 80', '198.51.100.7;80',
        '198.51.100.7:1 10.1.2.3', '198.51.100.7:51234, unknown', '0x7f.1:80',
        "1.1.1.1:1," x 700 . 'x') {
        is(client_of($trusting, $bad), '127.0.0.1', substr $bad, 0, 30);
    }
    is(client_of($trusting, 'evil:1, 198.51.100.7:2'), '198.51.100.7',
        'and does not hide what stands after it');
    is(client_of($trusting, '1.1.1.1:1, ' x 700 . '198.51.100.7:2'),
        '198.51.100.7', 'nor do many');
    is((grep { $_->{level} !~ /\A(?:info|debug)\z/ } $trusting->log->since),
        0, 'the log has no complaint');
};

subtest 'who is no proxy of ours is not believed' => sub {
    my $wary = Patient::Server->new(PATIENT_TRUSTED_PROXY => '10.0.0.0/8');

    is(client_of($wary, $_), '127.0.0.1', $_)
        for '198.51.100.7', '198.51.100.7:51234', '[2001:db8::7]:1';
};

subtest 'and nobody is where none is named' => sub {
    my $alone = Patient::Server->new;

    is(client_of($alone, $_), '127.0.0.1', $_)
        for '198.51.100.7', '198.51.100.7:51234';
};

$trusting->stop;
done_testing;
