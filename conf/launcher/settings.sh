# shellcheck shell=sh
#
# settings.sh - the environment: defaults, .env, and what is wrong with it.
# A part of conf/patientctl.

newline='
'

# Takes over the lines KEY=VALUE of a file, values verbatim (they are never
# evaluated, and quotes belong to the value, as with docker's --env-file).
# What the environment has already wins.
read_dotenv()
{
    [ -f "$1" ] || return 0
    [ -r "$1" ] || fail "$1 cannot be read"
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line%"$(printf '\r')"}
        key=${line%%=*}
        case $line in
            '#'* | '') continue ;;
            *=*) ;;
            *) continue ;;
        esac
        case $key in
            '' | [0-9]* | *[!A-Za-z0-9_]*)
                fail "$1: '$key' is no name of a variable" ;;
            # None of ours, but perhaps one of this script's own.
            *[a-z]*) continue ;;
        esac
        # The name was checked above, and the value is not looked at here.
        if eval "[ -z \"\${$key+set}\" ]"; then
            export "$key=${line#*=}"
        fi
    done <"$1"
}

# is_number NAME VALUE MIN MAX
is_number()
{
    case $2 in
        '' | *[!0-9]* | 0?* | ??????????*)
            fail "$1='$2' is no whole number from $3 to $4" ;;
    esac
    if [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
        fail "$1='$2' is no whole number from $3 to $4"
    fi
}

# is_cpus NAME VALUE: a number such as 2 or 0.25; NAME is exported
is_cpus()
{
    awk -v name="$1" 'BEGIN {
        cpus = ENVIRON[name]
        exit !(cpus ~ /^[0-9]+(\.[0-9]+)?$/ && cpus + 0 >= 0.01 &&
            cpus + 0 <= 1024) }' ||
        fail "$1='$2' is no number of CPUs from 0.01 to 1024"
}

# is_path NAME VALUE: httpd's configuration expands it between quotes.
is_path()
{
    case $2 in
        *'"'* | *\\* | *'$'* | *'
'*) fail "$1: httpd cannot take a quote, a backslash, a dollar sign or a \
newline in a path: $2" ;;
    esac
}

# Defaults for all that is unset or empty. The exported names are what
# conf/*.conf expands.
set_defaults()
{
    : "${NODE_ENV:=development}" "${PORT:=3000}" "${DB_PORT:=3306}"
    : "${DB_NAME:=patient_db}" "${CHAOS_MODE:=false}" "${CORS_ORIGIN:=*}"
    : "${DB_POOL_MAX:=10}" "${DB_POOL_ACQUIRE_MS:=30000}" "${LOG_LEVEL:=info}"
    : "${DB_HOST:=}" "${DB_USER:=}" "${DB_PASSWORD:=}" "${DB_SSL_CA:=}"
    : "${DB_PASSWORD_FILE:=}"
    : "${DB_TIMEZONE:=}"
    : "${JWT_SECRET:=}" "${CHAOS_TOKEN:=}"
    : "${PATIENT_RUN:=$root/run}" "${PATIENT_LOG:=both}"
    : "${PATIENT_CHILDREN:=1}" "${PATIENT_TRUSTED_PROXY:=}"
    : "${PATIENT_MEMORY_MB:=}" "${PATIENT_CPUS:=}"
    case $PATIENT_RUN in
        /*) ;;
        *) PATIENT_RUN=$PWD/$PATIENT_RUN ;;
    esac
    case $DB_SSL_CA in
        '' | /*) ;;
        *) DB_SSL_CA=$PWD/$DB_SSL_CA ;;
    esac
    case $DB_PASSWORD_FILE in
        '' | /*) ;;
        *) DB_PASSWORD_FILE=$PWD/$DB_PASSWORD_FILE ;;
    esac
    export NODE_ENV PORT DB_PORT DB_NAME CHAOS_MODE CORS_ORIGIN DB_POOL_MAX \
        DB_POOL_ACQUIRE_MS LOG_LEVEL DB_HOST DB_USER DB_PASSWORD DB_SSL_CA \
        DB_TIMEZONE JWT_SECRET CHAOS_TOKEN PATIENT_RUN PATIENT_LOG \
        PATIENT_CHILDREN \
        PATIENT_TRUSTED_PROXY PATIENT_MEMORY_MB PATIENT_CPUS
}

# What DB_PASSWORD_FILE holds, without the newline that it may end in.
password_of_file()
{
    text=$(cat -- "$DB_PASSWORD_FILE" && printf x) || return 1
    text=${text%x}
    printf '%s' "${text%"$newline"}"
}

# Why DB_PASSWORD_FILE is no good; 1 if it is. Nothing is read that does not
# end, or that could be read once only; and libmariadb takes an option of some
# 4,000 bytes, where each may have become two.
password_problem()
{
    [ -f "$DB_PASSWORD_FILE" ] || [ ! -e "$DB_PASSWORD_FILE" ] || {
        printf '%s' "DB_PASSWORD_FILE: $DB_PASSWORD_FILE is no plain file"
        return 0
    }
    [ "$(wc -c 2>/dev/null <"$DB_PASSWORD_FILE" || echo 0)" -le 1900 ] || {
        printf '%s' "DB_PASSWORD_FILE: $DB_PASSWORD_FILE holds more than \
1,900 bytes"
        return 0
    }
    text=$(password_of_file 2>/dev/null && printf x) || {
        printf '%s' "DB_PASSWORD_FILE: $DB_PASSWORD_FILE cannot be read"
        return 0
    }
    case ${text%x} in
        '') printf '%s' "DB_PASSWORD_FILE: $DB_PASSWORD_FILE is empty" ;;
        *"$newline"*) printf '%s' "DB_PASSWORD_FILE: $DB_PASSWORD_FILE holds \
more than one line" ;;
        *)
            [ "$(tr -d '\0' <"$DB_PASSWORD_FILE" | wc -c)" != \
                "$(wc -c <"$DB_PASSWORD_FILE")" ] || return 1
            printf '%s' "DB_PASSWORD_FILE: $DB_PASSWORD_FILE holds a NUL byte"
            ;;
    esac
}

# The password from a file, which may change: see watch_password.
read_password()
{
    [ -n "$DB_PASSWORD_FILE" ] || return 0
    [ -z "$DB_PASSWORD" ] || fail 'DB_PASSWORD and DB_PASSWORD_FILE are both \
set: which of them holds?'
    ! problem=$(password_problem) || fail "$problem"
    DB_PASSWORD=$(password_of_file; printf x)
    DB_PASSWORD=${DB_PASSWORD%x}
}

check_settings()
{
    # The values stay out of the messages: some of these are secrets.
    for name in NODE_ENV DB_HOST DB_NAME DB_USER DB_PASSWORD DB_SSL_CA \
        JWT_SECRET CHAOS_TOKEN CORS_ORIGIN; do
        eval "value=\$$name"
        # shellcheck disable=SC2154  # the eval above sets it
        case $value in
            *'
'*) fail "$name holds a newline" ;;
        esac
    done
    # Only production asks for a secret: a slip must not pass for another word.
    case $NODE_ENV in
        development | test | production) ;;
        *) fail "NODE_ENV='$NODE_ENV' is none of development, test, \
production" ;;
    esac
    is_number PORT "$PORT" 1 65535
    is_number DB_PORT "$DB_PORT" 1 65535
    is_number DB_POOL_MAX "$DB_POOL_MAX" 1 1000
    is_number DB_POOL_ACQUIRE_MS "$DB_POOL_ACQUIRE_MS" 1 600000
    is_number PATIENT_CHILDREN "$PATIENT_CHILDREN" 1 16
    [ -z "${PATIENT_LOG_PULSE:-}" ] ||
        is_number PATIENT_LOG_PULSE "$PATIENT_LOG_PULSE" 0 300
    if [ -n "$PATIENT_MEMORY_MB" ]; then
        is_number PATIENT_MEMORY_MB "$PATIENT_MEMORY_MB" 16 1048576
    fi
    [ -z "$PATIENT_CPUS" ] || is_cpus PATIENT_CPUS "$PATIENT_CPUS"
    case $CHAOS_MODE in
        true | false) ;;
        *) fail "CHAOS_MODE='$CHAOS_MODE' is neither true nor false" ;;
    esac
    case $LOG_LEVEL in
        debug) PATIENT_LOGLEVEL='debug' ;;
        # httpd's own info lines tell what clients did wrong, in words that
        # would look like ours; the module's info lines are the ones to have.
        info) PATIENT_LOGLEVEL='notice patient:info' ;;
        warning) PATIENT_LOGLEVEL='warn' ;;
        error) PATIENT_LOGLEVEL='error' ;;
        *) fail "LOG_LEVEL='$LOG_LEVEL' is none of debug, info, warning, \
error" ;;
    esac
    # It goes into a statement, so nothing else may be in it.
    case $DB_TIMEZONE in
        '' | [+-]0[0-9]:[0-5][0-9] | [+-]1[0-3]:[0-5][0-9] | +14:00) ;;
        *) fail "DB_TIMEZONE='$DB_TIMEZONE' is no offset from UTC from -13:59 \
to +14:00, such as +09:00" ;;
    esac
    case $PATIENT_LOG in
        both | file | stderr) ;;
        *) fail "PATIENT_LOG='$PATIENT_LOG' is none of both, file, stderr" ;;
    esac
    case $PATIENT_TRUSTED_PROXY in
        *[!0-9A-Fa-f.:/\ ]*)
            fail "PATIENT_TRUSTED_PROXY='$PATIENT_TRUSTED_PROXY' is no list \
of addresses or networks" ;;
    esac
    if [ -n "$DB_HOST" ] && [ -z "$DB_USER" ]; then
        fail "DB_USER is not set, and DB_HOST ($DB_HOST) needs one"
    fi
    read_password
    if [ -n "$DB_SSL_CA" ] && [ ! -r "$DB_SSL_CA" ]; then
        fail "DB_SSL_CA: $DB_SSL_CA cannot be read"
    fi
    if [ -n "$DB_SSL_CA" ] &&
        ! grep -q '^-----BEGIN .*CERTIFICATE-----' "$DB_SSL_CA"; then
        fail "DB_SSL_CA: $DB_SSL_CA holds no certificate (PEM)"
    fi
    if [ "$NODE_ENV" = production ]; then
        if [ -z "$JWT_SECRET" ]; then
            fail 'JWT_SECRET is not set; NODE_ENV=production needs 32 bytes'
        elif [ "$(printf '%s' "$JWT_SECRET" | wc -c)" -lt 32 ]; then
            fail 'JWT_SECRET is too short; NODE_ENV=production needs 32 bytes'
        fi
    fi
    is_path PATIENT_RUN "$PATIENT_RUN"
    is_path 'the project' "$root"
    export PATIENT_LOGLEVEL
}

# Where httpd, its modules and ours are.
find_server()
{
    : "${PATIENT_HTTPD:=$(command -v apache2 || command -v httpd)}"
    [ -n "$PATIENT_HTTPD" ] ||
        fail 'no apache2 on this machine: install apache2-bin (make deps)'

    # apxs would know, but it comes with the compiler; a machine that only
    # runs the patient has the modules in one of a few places.
    if [ -z "${PATIENT_MODULES:-}" ]; then
        for dir in /usr/lib/apache2/modules /usr/lib64/httpd/modules \
            /usr/local/apache2/modules /usr/lib/httpd/modules; do
            [ -e "$dir/mod_dbd.so" ] && PATIENT_MODULES=$dir && break
        done
    fi
    if [ -z "${PATIENT_MODULES:-}" ]; then
        PATIENT_MODULES=$(apxs -q LIBEXECDIR 2>/dev/null) ||
            fail "httpd's modules were not found: set PATIENT_MODULES"
    fi
    if [ -z "${PATIENT_SO:-}" ]; then
        PATIENT_SO=$root/build/mod_patient.so
        [ -e "$PATIENT_SO" ] || [ ! -e "$PATIENT_MODULES/mod_patient.so" ] ||
            PATIENT_SO=$PATIENT_MODULES/mod_patient.so
    fi
    [ -r "$PATIENT_SO" ] ||
        fail "there is no module $PATIENT_SO: run make first"
    case $PATIENT_SO in
        /*) ;;
        *) PATIENT_SO=$PWD/$PATIENT_SO ;;
    esac
    is_path PATIENT_SO "$PATIENT_SO"

    PATIENT_CONF=$root/conf
    PATIENT_ERRORLOG=/dev/stderr
    PATIENT_WORKERS=$((PATIENT_CHILDREN * 128))
    PATIENT_MIN_SPARE=$((PATIENT_WORKERS - 127))
    PATIENT_MAX_SPARE=$((PATIENT_WORKERS + 1))
    # A graceful restart starts new children while the old ones finish, which
    # takes as long as a slow sender may: room for sixteen restarts meanwhile.
    PATIENT_SLOTS=$((PATIENT_CHILDREN * 17))
    # httpd never serves as root; without root it serves as whoever calls.
    if [ "$(id -u)" = 0 ]; then
        : "${PATIENT_USER:=www-data}" "${PATIENT_GROUP:=www-data}"
        id -u "$PATIENT_USER" >/dev/null 2>&1 ||
            fail "PATIENT_USER: there is no user $PATIENT_USER here"
    else
        PATIENT_USER="#$(id -u)"
        PATIENT_GROUP="#$(id -g)"
    fi
    export PATIENT_HTTPD PATIENT_MODULES PATIENT_SO PATIENT_CONF \
        PATIENT_WORKERS PATIENT_MIN_SPARE PATIENT_MAX_SPARE PATIENT_SLOTS \
        PATIENT_USER PATIENT_GROUP PATIENT_ERRORLOG
}

# What every verb begins with.
read_settings()
{
    read_dotenv "$root/.env"
    set_defaults
}

# The same for a verb that is about to start something.
prepare_environment()
{
    read_settings
    check_settings
}
