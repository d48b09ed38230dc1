package Patient::Mariadb;

# A MariaDB server's programs, as Patient::Database uses them.

use v5.36;

# What makes a data directory where root comes in through the socket.
sub creation ($class, $data) {
    return ('mariadb-install-db', '--no-defaults', '--cross-bootstrap',
        "--datadir=$data", '--auth-root-authentication-method=normal',
        '--skip-test-db');
}

# What starts the server; the options that it shares with MySQL come after.
sub server ($class) {
    my ($program) = grep { -x } map { "$_/mariadbd" }
        split(/:/, $ENV{PATH}), '/usr/sbin';
    return ($program // 'mariadbd', '--no-defaults');
}

# Makes it read its certificate anew.
sub reload_statement ($class) { return 'FLUSH SSL' }

# Without a certificate it offers no TLS.
sub without_tls ($class) { return () }

# It lets in who comes without TLS, unless a suite wants it otherwise.
sub is_secure ($class) { return 0 }

1;
