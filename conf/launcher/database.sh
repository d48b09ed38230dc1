# shellcheck shell=sh
#
# database.sh - a MariaDB of the patient's own, in the run directory.
# A part of conf/patientctl.

# mariadbd has no business with root's rights, but a clone in /root is out of
# reach of any other account; then, and only then, it runs as root. Whom it was
# is kept as the directory's owner.
make_db_directory()
{
    : "${PATIENT_USER:=www-data}"
    [ -d "$PATIENT_RUN/db" ] && return 0
    if ! command -v mariadb-install-db mariadbd >/dev/null; then
        fail "DB_HOST is not set, and there is no mariadbd to make a database \
with: set DB_HOST, or install mariadb-server-core (make deps)"
    fi
    rm -rf "$PATIENT_RUN/db.new"
    mkdir -m 700 "$PATIENT_RUN/db.new" "$PATIENT_RUN/db.new/tmp" ||
        fail "no right to write in $PATIENT_RUN"
    [ "$(id -u)" = 0 ] || return 0
    for account in mysql "$PATIENT_USER"; do
        id -u "$account" >/dev/null 2>&1 || continue
        if runuser -u "$account" -- test -x "$PATIENT_RUN"; then
            chown "$account:" "$PATIENT_RUN/db.new" "$PATIENT_RUN/db.new/tmp"
            return 0
        fi
    done
}

# The directory gets its name when it is complete, so that an interrupted first
# start is simply done again.
create_db()
{
    make_db_directory
    [ -d "$PATIENT_RUN/db.new" ] || return 0
    say "patient: making a database of its own in $PATIENT_RUN/db (once)"
    owner=$(stat -c %U "$PATIENT_RUN/db.new")
    # --cross-bootstrap: nothing in it is about this machine's name, which
    # need not resolve. A TMPDIR of its own: two that are made at once would
    # take each other's temporary tables away.
    set -- env TMPDIR="$PATIENT_RUN/db.new/tmp" mariadb-install-db \
        --no-defaults --skip-test-db --cross-bootstrap --skip-name-resolve \
        --innodb-log-file-size=32M \
        --auth-root-authentication-method=socket \
        --auth-root-socket-user="$owner" --datadir="$PATIENT_RUN/db.new/data"
    if [ "$owner" != "$(id -un)" ]; then
        set -- runuser -u "$owner" -- "$@"
    elif [ "$owner" = root ]; then
        # Spelled short because --user=root is mariadb-install-db's own
        # option, which changes the owner of a file of the installed package.
        set -- "$@" -uroot
    fi
    if ! output=$("$@" 2>&1 9>&-); then
        fail "the embedded database could not be made: $output"
    fi
    mv "$PATIENT_RUN/db.new" "$PATIENT_RUN/db" ||
        fail "no right to write in $PATIENT_RUN"
}

# A port that nobody listens on: the one of the last time if it is free, else
# one from a range where the system gives none out by itself. It starts from
# the directory's name so that several patients don't meet.
choose_db_port()
{
    port=$(cat "$PATIENT_RUN/keys/db-port" 2>/dev/null)
    case $port in
        '' | *[!0-9]*)
            port=$(printf '%s' "$PATIENT_RUN" | cksum | cut -d ' ' -f 1)
            port=$((20000 + port % 10000)) ;;
    esac
    while port_in_use "$port"; do
        port=$((20000 + (port - 20000 + 1) % 10000))
    done
    printf '%s' "$port"
}

# The administrator's connection to the embedded database: through its socket,
# where the account that owns it needs no password. The path is relative
# because a socket's name may have 107 bytes only, and a directory more.
db_admin()
{
    owner=$(stat -c %U "$PATIENT_RUN/db")
    set -- mariadb --no-defaults --socket=mariadb.sock --user="$owner" \
        --connect-timeout=2 "$@"
    [ "$owner" = "$(id -un)" ] || set -- runuser -u "$owner" -- "$@"
    (cd "$PATIENT_RUN/db/data" && "$@" 9>&-)
}

# mariadbd says what is wrong in a log of its own.
launch_db()
{
    DB_PORT=$(choose_db_port)
    (umask 077 && printf '%s\n' "$DB_PORT" >"$PATIENT_RUN/keys/db-port")
    db_log=$PATIENT_RUN/db/mariadbd.log
    set -- mariadbd --no-defaults --datadir="$PATIENT_RUN/db/data" \
        --socket=mariadb.sock --pid-file="$PATIENT_RUN/db/mariadbd.pid" \
        --port="$DB_PORT" --bind-address=127.0.0.1 --skip-name-resolve \
        --tmpdir="$PATIENT_RUN/db/tmp" --log-error="$db_log" \
        --character-set-server=utf8mb4 \
        --collation-server=utf8mb4_unicode_ci \
        --innodb-buffer-pool-size=64M --innodb-log-file-size=32M \
        --performance-schema=OFF --max-connections=300 \
        --open-files-limit=4096 --table-open-cache=400 --symbolic-links=0
    owner=$(stat -c %U "$PATIENT_RUN/db")
    if [ "$owner" != "$(id -un)" ]; then
        set -- setpriv --reuid="$owner" --regid="$(id -g "$owner")" \
            --init-groups -- "$@"
    elif [ "$owner" = root ]; then
        set -- "$@" --user=root
    fi
    # A session of its own: Ctrl-C is for the launcher, which stops the server
    # first and the database after it.
    setsid "$@" </dev/null >/dev/null 2>&1 &
    printf '%s\n' "$!" >"$PATIENT_RUN/db.pid"
}

# Waits until the database answers: 0, or 1 if it ended or took too long.
await_db()
{
    tries_left=300
    until db_admin --execute='SELECT 1' >/dev/null 2>&1; do
        pid_of db >/dev/null || return 1
        [ $tries_left -gt 0 ] || return 1
        [ $((tries_left % 100)) -ne 50 ] ||
            say 'patient: the database is still starting'
        tries_left=$((tries_left - 1))
        sleep 0.2
    done
}

# The patient's own user and database. The name of the database is the one
# thing in here that comes from outside.
grant_db()
{
    # shellcheck disable=SC2016  # these are SQL's own quotes
    name=$(printf '%s' "$DB_NAME" | sed 's/`/``/g')
    password=$(secret db-password) || exit 1
    db_admin <<SQL
CREATE DATABASE IF NOT EXISTS \`$name\` CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'patient'@'127.0.0.1';
ALTER USER 'patient'@'127.0.0.1' IDENTIFIED BY '$password';
GRANT ALL ON \`$name\`.* TO 'patient'@'127.0.0.1';
SQL
}

start_db()
{
    create_db
    if pid_of db >/dev/null; then
        DB_PORT=$(cat "$PATIENT_RUN/keys/db-port")
    else
        tries=3
        while :; do
            launch_db
            await_db && break
            tries=$((tries - 1))
            # Somebody may have taken the port since it was looked at.
            if [ $tries -eq 0 ] || ! port_in_use "$DB_PORT"; then
                stop_db
                fail "the embedded database does not start; see $db_log: \
$(grep -h 'ERROR' "$db_log" 2>/dev/null | tail -n 1)"
            fi
            stop_db
        done
    fi
    if ! output=$(grant_db 2>&1); then
        fail "the embedded database takes no orders: $output"
    fi
    use_embedded_db
}

use_embedded_db()
{
    DB_HOST=127.0.0.1
    DB_PORT=$(cat "$PATIENT_RUN/keys/db-port")
    DB_USER=patient
    DB_PASSWORD=$(secret db-password) || exit 1
    DB_SSL_CA=
    export DB_HOST DB_PORT DB_USER DB_PASSWORD DB_SSL_CA
}

stop_db()
{
    pid=$(pid_of db) || return 0
    kill "$pid" 2>/dev/null
    if ! wait_gone "$pid" 30; then
        kill -9 "$pid" 2>/dev/null
        wait_gone "$pid" 5
    fi
    rm -f "$PATIENT_RUN/db.pid"
}
