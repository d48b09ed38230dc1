# shellcheck shell=sh
#
# options.sh - how a client gets into the database, and the schema.
# A part of conf/patientctl.

# A value in an option file, safe whatever bytes it has: between double quotes
# with the escapes that libmariadb and the mariadb client both undo.
option_value()
{
    printf '"%s"' "$(printf '%s' "$1" |
        sed 's/[\\"]/\\&/g; s/\t/\\t/g; s/\r/\\r/g')"
}

# option_group NAME CA PROTOCOL
option_group()
{
    printf '[%s]\n' "$1"
    printf 'host=%s\n' "$(option_value "$DB_HOST")"
    # Or "localhost" would mean a socket, whatever the port.
    printf 'protocol=%s\nport=%s\n' "$3" "$DB_PORT"
    printf 'user=%s\n' "$(option_value "$DB_USER")"
    printf 'password=%s\n' "$(option_value "$DB_PASSWORD")"
    printf 'database=%s\n' "$(option_value "$DB_NAME")"
    # Without it an unreachable host takes the kernel's two minutes.
    printf 'connect-timeout=2\ndefault-character-set=utf8mb4\n'
    # Every session tells times in that zone, whatever the session is for.
    [ -z "$DB_TIMEZONE" ] ||
        printf 'init-command=%s\n' \
            "$(option_value "SET time_zone = '$DB_TIMEZONE'")"
    if [ -n "$DB_SSL_CA" ]; then
        printf 'ssl-ca=%s\nssl-verify-server-cert=1\n' \
            "$(option_value "$2")"
    elif [ "$1" = client ]; then
        # The mariadb client would try TLS by itself, verify nothing, and
        # then fail to log in with caching_sha2_password to a server without
        # TLS, where libmariadb, which does not try, gets in.
        printf 'skip-ssl\n'
    fi
}

# write_option_file FILE CA: the one place where the password is written, for
# libmariadb (group patient) and for the mariadb client (group client).
write_option_file()
{
    (umask 077 && {
        option_group client "$2" tcp
        # The same, as libmariadb numbers it.
        option_group patient "$2" 1
    } >"$1")
}

# write_options DIRECTORY CA
#
# httpd's children read the file themselves, as their own user. The directory
# is made anew each time, so that nothing that they could leave in it is ever
# followed by a launcher with root's rights.
write_options()
{
    rm -rf "$1"
    mkdir -m 700 "$1" || fail "no right to write in $PATIENT_RUN"
    if [ -n "$DB_SSL_CA" ]; then
        cp -- "$DB_SSL_CA" "$1/ca.pem" ||
            fail "DB_SSL_CA: $DB_SSL_CA cannot be read"
    fi
    write_option_file "$1/my.cnf" "$2" ||
        fail "no right to write in $1"
}

apply_schema()
{
    # From there, because the CA's path in the option file may be relative.
    (cd "$private" && timeout 60 mariadb --defaults-file=./my.cnf \
        --batch <"$root/sql/schema.sql" 2>&1 >/dev/null 9>&-)
}

# A database that is away at start is no reason not to start: a task on ECS
# comes up, answers 503 and recovers by itself, and so does its schema.
require_schema()
{
    command -v mariadb >/dev/null || {
        log warning 'SCHEMA WARNING' "there is no mariadb client here to \
apply sql/schema.sql with; the tables must be there already"
        return 0
    }
    output=$(apply_schema) && return 0
    case $output in
        *1298*"'$DB_TIMEZONE'"*)
            fail "DB_TIMEZONE='$DB_TIMEZONE' is no zone of the server at \
$DB_HOST:$DB_PORT (MariaDB takes -12:59 to +13:00): $output" ;;
        *TLS/SSL*) output="$output (is DB_SSL_CA the authority of its \
certificate, and DB_HOST a name in it?)" ;;
        *'ERROR 3159 '* | *require_secure_transport*)
            output="$output (it wants TLS: set DB_SSL_CA)" ;;
    esac
    log warning 'SCHEMA WARNING' "sql/schema.sql could not be applied to \
$DB_NAME at $DB_HOST:$DB_PORT: $output; $1"
    return 1
}

retry_schema()
{
    while sleep 10 >/dev/null 2>&1; do
        if apply_schema >/dev/null; then
            log info SCHEMA "sql/schema.sql is applied to $DB_NAME at \
$DB_HOST:$DB_PORT"
            return 0
        fi
    done
}

# ---- a password that changes

# Whether the database turns down who comes with these options. Without a
# client here, or with the database away, nobody knows: then it does not.
is_refused()
{
    command -v mariadb >/dev/null || return 1
    case $(cd "$1" && timeout 5 mariadb --defaults-file="$2" --batch \
        --execute='DO 0' 2>&1 9>&-) in
        *'ERROR 1045 '* | *'ERROR 1698 '*) return 0 ;;
    esac
    return 1
}

# renew_options DIRECTORY CA: the options with another password, for whoever
# connects next; 1 if the database does not take that yet. The directory may be
# that of httpd's user by now, who could leave a link in it: so the file is made
# beside it, and takes the old one's name.
renew_options()
{
    rm -rf "$1.new"
    mkdir -m 700 "$1.new" && write_option_file "$1.new/my.cnf" "$2" &&
        ! is_refused "$1" "$1.new/my.cnf" && {
            [ "$(id -u)" != 0 ] ||
                chown --reference="$1" "$1.new/my.cnf"
        } && mv -fT -- "$1.new/my.cnf" "$1/my.cnf"
    renewed=$?
    rm -rf "$1.new"
    return $renewed
}

# watch_password DIRECTORY CA: looks each second whether DB_PASSWORD_FILE holds
# another password, and has the patient use it once the database does: until
# then the old one is good.
watch_password()
{
    complaint=''
    while sleep 1 >/dev/null 2>&1; do
        # A look that starts no process. It takes the first line alone, so
        # that whatever is new is read once more.
        line=''
        [ ! -f "$DB_PASSWORD_FILE" ] ||
            { IFS= read -r line <"$DB_PASSWORD_FILE"; } 2>/dev/null
        [ "$line" != "$DB_PASSWORD" ] || continue
        old=$DB_PASSWORD
        if problem=$(password_problem); then
            [ "$problem" = "$complaint" ] || log warning \
                'CONFIGURATION WARNING' "$problem; the old one is used"
            complaint=$problem
            continue
        fi
        complaint=''
        DB_PASSWORD=$(password_of_file; printf x)
        DB_PASSWORD=${DB_PASSWORD%x}
        [ "$DB_PASSWORD" != "$old" ] || continue
        if renew_options "$1" "$2"; then
            log info PASSWORD "there is a new one in DB_PASSWORD_FILE, which is \
used from now on"
        else
            DB_PASSWORD=$old
        fi
    done
}
