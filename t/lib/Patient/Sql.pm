package Patient::Sql;

# SQL past the patient, straight to its database, through the client program
# that comes with the server.

use v5.36;
use Exporter 'import';
use IPC::Open2 ();

our @EXPORT = qw(sql sql_text);

# The rows that a statement gives, each a list of strings. NULL reads 'NULL';
# a tab, a newline or a backslash comes back escaped, so ask for HEX() where
# bytes matter. The database is the common server's, or %on says which: host,
# port, ca, or socket; user, password, database.
sub sql ($statement, %on) {
    my $session = Patient::Sql->open(%on);
    my @rows = $session->run($statement);
    $session->close;
    return @rows;
}

# A string as an SQL literal, whatever is in it (Perl characters).
sub sql_text ($string) {
    utf8::encode(my $bytes = $string);
    return "CONVERT(x'" . unpack('H*', $bytes) . "' USING utf8mb4)";
}

# A session of its own, to hold locks with.
sub open ($class, %on) {
    my $ca = $on{ca} // $ENV{DB_SSL_CA} // '';
    my @way = $on{socket} ? ("--socket=$on{socket}") : ('--protocol=tcp',
        '--host=' . ($on{host} // $ENV{DB_HOST}),
        '--port=' . ($on{port} // $ENV{DB_PORT}),
        length $ca ? ("--ssl-ca=$ca", '--ssl-verify-server-cert')
            : ('--skip-ssl'));
    local $ENV{MYSQL_PWD} = $on{password} // $ENV{DB_PASSWORD};
    my $pid = IPC::Open2::open2(my $out, my $in, 'mariadb', '--no-defaults',
        '--batch', '--skip-column-names', '--unbuffered',
        '--default-character-set=utf8mb4', @way,
        '--user=' . ($on{user} // $ENV{DB_USER}),
        $on{database} // $ENV{DB_NAME});
    $in->autoflush(1);
    return bless { pid => $pid, in => $in, out => $out }, $class;
}

# Runs one statement and waits for its end; dies if it fails.
sub run ($self, $statement) {
    my $end = "end of statement " . ++$self->{count};
    my @rows;

    local $SIG{PIPE} = 'IGNORE';
    print { $self->{in} } "$statement;\nSELECT '$end';\n";
    while (defined(my $line = readline $self->{out})) {
        chomp $line;
        return @rows if $line eq $end;
        push @rows, [split /\t/, $line, -1];
    }
    die "SQL failed: $statement\n";
}

sub close ($self) {
    my $pid = delete $self->{pid} or return;
    CORE::close $self->{in};
    CORE::close $self->{out};
    local $?;
    waitpid $pid, 0;
}

sub DESTROY ($self) { $self->close }

1;
