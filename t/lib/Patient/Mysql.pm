package Patient::Mysql;

# Oracle's MySQL server, as Patient::Database uses it: what t/get-mysql has
# unpacked to the directory $PATIENT_TEST_MYSQL, with libraries of its own, the
# dynamic loader included.

use v5.36;

sub tree ($class) {
    return $ENV{PATIENT_TEST_MYSQL} // die "PATIENT_TEST_MYSQL is not set\n";
}

# What starts the server; the options that it shares with MariaDB come after.
sub server ($class) {
    my $tree = $class->tree;

    return ("$tree/lib/loader", '--library-path', "$tree/lib", "$tree/mysqld",
        '--no-defaults', "--basedir=$tree", "--plugin-dir=$tree/plugin",
        "--lc-messages-dir=$tree/share",
        "--character-sets-dir=$tree/share/charsets",
        # What a server of its age keeps, and no test needs.
        '--mysqlx=OFF', '--skip-log-bin', '--secure-file-priv=NULL',
        '--innodb-redo-log-capacity=16M', '--performance-schema=OFF');
}

# Making a data directory takes MySQL ten seconds, so that it is made once and
# copied. The certificates are the test's, never the server's own.
sub creation ($class, $data) {
    my $first = $class->tree . '/data';

    if (!-d $first) {
        my $new = "$first.$$";
        system($class->server, '--initialize-insecure', "--datadir=$new",
            '--auto-generate-certs=OFF', "--log-error=$new.log") == 0
            or die "mysqld could not make $new: see $new.log\n";
        rename $new, $first or die "$first: $!\n";
    }
    return ('cp', '-R', $first, $data);
}

sub reload_statement ($class) { return 'ALTER INSTANCE RELOAD TLS' }

sub without_tls ($class) { return ('--tls-version=') }

# As RDS is run where passwords matter.
sub is_secure ($class) { return 1 }

1;
