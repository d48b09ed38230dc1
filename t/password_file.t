# The password of the database stands in a file, and changes while the patient
# serves. The database is this suite's own.

use Patient;
use File::Temp ();
use POSIX ();
use Patient::Database;
use Patient::Log;
use Patient::Server;
use Patient::Sql;
use Time::HiRes qw(time);

my $database = Patient::Database->new;
my $dir = File::Temp->newdir('secret-XXXXXX', TMPDIR => 1);
my $file = "$dir/password";

sub write_file ($name, $bytes) {
    open my $out, '>:raw', $name or die "$name: $!\n";
    print $out $bytes;
    close $out or die "$name: $!\n";
}

# As a secret that is mounted is replaced.
sub replace ($bytes) {
    write_file("$file.new", $bytes);
    rename "$file.new", $file or die "$file: $!\n";
}

sub disconnect () {
    $database->root(join ';', map { "KILL $_->[0]" } sql('SELECT id FROM '
        . "information_schema.processlist WHERE user = 'patient'",
        $database->administrator));
}

my %env = ($database->environment, DB_PASSWORD => undef,
    DB_PASSWORD_FILE => $file);

subtest 'what is no good stops the start, in one line' => sub {
    my %bad = (
        'both are set'   => ["x\n", qr/DB_PASSWORD and DB_PASSWORD_FILE/,
            DB_PASSWORD => 'x'],
        'no such file'   => [undef, qr/DB_PASSWORD_FILE: \S+ cannot be read/],
        'an empty file'  => ['', qr/DB_PASSWORD_FILE: \S+ is empty/],
        'a newline alone' => ["\n", qr/is empty/],
        'two lines'      => ["a\nb\n", qr/holds more than one line/],
        'a NUL'          => ["a\0b", qr/holds a NUL/],
        'too much'       => ['x' x 1901, qr/holds more than 1,900 bytes/],
        'far too much'   => ['x' x 50_000_000, qr/holds more than/],
    );
    for my $name (sort keys %bad) {
        my ($bytes, $said, @more) = @{ $bad{$name} };
        unlink $file;
        write_file($file, $bytes) if defined $bytes;
        my $patient = Patient::Server->prepare(%env, @more);
        my ($status, undef, undef, $err) = $patient->ctl('check');
        isnt($status, 0, "$name: it does not start");
        like($err, qr/\A[^\n]*$said[^\n]*\n\z/, 'and says why');
    }
};

subtest 'what is no plain file stops the start, too' => sub {
    unlink $file;
    for my $case ([pipe => sub { POSIX::mkfifo($file, 0600) }],
        [directory => sub { mkdir $file }],
        [device => sub { symlink '/dev/zero', $file }]) {
        my ($name, $make) = @$case;
        $make->() or die "$name: $!";
        my $start = time;
        my ($status, undef, undef, $err) =
            Patient::Server->prepare(%env)->ctl('check');
        isnt($status, 0, "a $name: it does not start");
        like($err, qr/\A[^\n]*\S+ is no plain file[^\n]*\n\z/, 'and says why');
        cmp_ok(time - $start, '<', 5, 'at once');
        -d $file && !-l $file ? rmdir $file : unlink $file;
    }
};

# As long as may be (MySQL takes 256 bytes), and each byte two in an option
# file.
subtest 'a password as long as may be' => sub {
    my $password = '"\\' x ($ENV{PATIENT_TEST_MYSQL} ? 125 : 950);
    $database->take_password($password);
    replace($password);
    my $patient = Patient::Server->new(%env);
    is(request(GET => '/readyz', port => $patient->port)->status, 200,
        'it lets the patient in');
    $database->take_password('a password');
};

# Everything that an option file, a shell or SQL might trip over.
my $odd = join '', grep { !/[\n\0]/ } map { chr } 1 .. 127;
replace("$database->{password}\n");
my $patient = Patient::Server->new(%env);
my $port = $patient->port;
my $user = sign_in(port => $port);

# Whether everybody gets in who connects anew.
sub is_well ($name) {
    my $start = time;

    ok(wait_until(sub { request(POST => '/api/posts', port => $port,
        token => $user->{token}, json => { title => 'T' })->status == 201
        && request(GET => '/readyz', port => $port)->status == 200 }, 60),
        $name);
    cmp_ok(time - $start, '<', 5, 'within 5 s');
}

for my $case (['the database, then the file', 'second', "second\n"],
    ['without a newline', 'third', 'third'],
    ['with all that there is', $odd, "$odd\n"]) {
    my ($name, $password, $bytes) = @$case;

    subtest "it changes: $name" => sub {
        my $mark = $patient->log->mark;
        $database->take_password($password);
        disconnect();
        is(request(GET => '/readyz', port => $port)->status, 503,
            'the old one is refused');
        my $line = $patient->log->wait_for($mark, sub ($l) {
            ($l->{mysql_errno} // 0) == 1045 });
        like($line->{hint} // '', qr/DB_PASSWORD_FILE.*deployment/,
            'and the log says what to do');
        replace($bytes);
        is_well('the new one is used');
        my ($status, $all) = $patient->command(
            "$patient->{project}/conf/patientctl", 'exec', '--',
            "$patient->{project}/build/patient-chaos", 'slow-query');
        is($status, 0, 'by patient-chaos, too') || diag($all);
    };
}

subtest 'it changes: the file, then the database' => sub {
    replace("fourth\n");
    sleep 3;                    # the file is looked at each second
    disconnect();
    is_well('until then, the old one is used');
    $database->take_password('fourth');
    disconnect();
    is_well('and afterwards the new one');
};

subtest 'a link is put in the place of another, as Kubernetes does' => sub {
    mkdir "$dir/one";
    write_file("$dir/one/password", "fifth\n");
    symlink 'one', "$dir/data.new" or die $!;
    rename "$dir/data.new", "$dir/data" or die $!;
    unlink $file;
    symlink 'data/password', $file or die $!;
    $database->take_password('fifth');
    disconnect();
    is_well('the first one');
    mkdir "$dir/two";
    write_file("$dir/two/password", "sixth\n");
    symlink 'two', "$dir/data.new" or die $!;
    rename "$dir/data.new", "$dir/data" or die $!;
    $database->take_password('sixth');
    disconnect();
    is_well('the second one');
};

subtest 'a file that is no good in between does no harm' => sub {
    my $mark = $patient->log->mark;
    unlink $file;
    write_file($file, '');
    ok($patient->log->wait_for($mark, sub ($l) {
        $l->{type} eq 'CONFIGURATION WARNING'
            && $l->{error} =~ /is empty/ }), 'the log says so');
    disconnect();
    is_well('the old one is used');
    replace("seventh\n");
    $database->take_password('seventh');
    disconnect();
    is_well('and then the new one');
};

subtest 'while it is used, nobody notices' => sub {
    my @status;
    my $ask = sub ($count) {
        my @connections = map { connection(port => $port) } 1 .. $count;
        $_->send($_->compose(POST => '/api/posts', token => $user->{token},
            json => { title => 'T' })) for @connections;
        push @status, map { $_->read->status } @connections;
    };
    $ask->(3) for 1 .. 3;
    $database->take_password('eighth');
    $ask->(30) for 1 .. 5;      # more than there are connections
    replace("eighth\n");
    my $start = time;
    $ask->(30) while time - $start < 4 || @status <= 300;
    is(scalar(grep { $_ != 201 } @status), 0, 'everybody is served');
    cmp_ok(@status, '>', 300, 'who are many');
    disconnect();
    is_well('and it is the new one');
};

subtest 'it cannot be read for a while' => sub {
    my $mark = $patient->log->mark;
    chmod 0, $file;
    if (-r $file) {             # we are root
        unlink $file;
    }
    ok($patient->log->wait_for($mark, sub ($l) {
        $l->{type} eq 'CONFIGURATION WARNING'
            && $l->{error} =~ /cannot be read/ }), 'the log says so');
    is(scalar(grep { $_->{type} eq 'CONFIGURATION WARNING' }
        $patient->log->since($mark)), 1, 'once');
    disconnect();
    is_well('the old one is used');
    replace('eighth');
};

subtest 'it is nowhere to be read' => sub {
    my $private = "$patient->{env}{PATIENT_RUN}/private";
    is((stat "$private/my.cnf")[2] & 0777, 0600, 'the option file is private');
    ok(!-e "$private.new", 'and nothing else is left');
    unlike($patient->log_text, qr/seventh|sixth|eighth/, 'the log tells none');
    unlike($patient->log_text, qr/^[^{]/m, 'and is all JSON');
};

undef $patient;
done_testing;
