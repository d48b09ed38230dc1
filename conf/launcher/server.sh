# shellcheck shell=sh
#
# server.sh - httpd: started, watched, stopped.
# A part of conf/patientctl.

check_httpd()
{
    output=$(cd "$private" && "$PATIENT_HTTPD" -t \
        -f "$PATIENT_CONF/httpd.conf" \
        ${PATIENT_TRUSTED_PROXY:+-DTRUSTED_PROXY} 2>&1 9>&-) && return 0
    fail "httpd does not take the configuration: $(printf '%s' "$output" |
        tr '\n' ' ')"
}

# open_log: opens file descriptor 8, where httpd's log goes. httpd opens it once
# more by its name, at each restart, so it cannot be a socket, nor a pipe that
# belongs to somebody else; then, and where both stderr and the file shall have
# the log, a reader stands between. It goes on until its last writer is gone, so
# that nothing said during the stop is lost.
open_log()
{
    case $PATIENT_LOG in
        file)
            exec 8>>"$log_file"
            return 0 ;;
        stderr)
            if [ -w /dev/fd/2 ] && [ ! -S /dev/fd/2 ]; then
                exec 8>&2
                return 0
            fi
            set -- cat ;;
        both)
            # -p: a closed terminal is no reason not to write to the file.
            set -- tee -a -p "$log_file" ;;
    esac
    rm -f "$PATIENT_RUN/log.pipe"
    mkfifo -m 600 "$PATIENT_RUN/log.pipe" ||
        fail "no right to write in $PATIENT_RUN"
    setsid "$@" <"$PATIENT_RUN/log.pipe" >&2 9>&- &
    reader_pid=$!
    exec 8>"$PATIENT_RUN/log.pipe"
}

# httpd in the foreground of a session of its own: a terminal's signals (Ctrl-C,
# but also the one for a resized window, which httpd takes for "stop
# gracefully") go to the launcher alone, and httpd's own killing of its process
# group hits nobody else.
#
# It starts in the private directory, so that its children find the option file
# as ./my.cnf: that asks nothing of the directories above, which may be closed
# to them. Without HOME, because libmariadb would let ~/.my.cnf override it.
launch_httpd()
{
    rm -f "$PATIENT_RUN/httpd.pid"
    open_log
    (cd "$private" && unset DB_PASSWORD HOME && MARIADB_HOME=. &&
        PATIENT_ERRORLOG=/dev/fd/8 && export MARIADB_HOME PATIENT_ERRORLOG &&
        exec setsid "$PATIENT_HTTPD" -f "$PATIENT_CONF/httpd.conf" \
            ${PATIENT_TRUSTED_PROXY:+-DTRUSTED_PROXY} -DFOREGROUND \
            </dev/null >&8 2>"$PATIENT_RUN/logs/start.err") &
    httpd_pid=$!
    exec 8>&-
}

# What httpd said before it had its log: why it did not start, in plain words.
# report_start LEVEL: 0 if there was anything.
report_start()
{
    said=$(cat "$PATIENT_RUN/logs/start.err" 2>/dev/null)
    rm -f "$PATIENT_RUN/logs/start.err"
    [ -n "$said" ] && log "$1" 'SERVER ERROR' "$said"
}

# Serving begins when httpd has written its pid file: the ports are open then.
await_httpd()
{
    tries_left=300
    until [ -s "$PATIENT_RUN/httpd.pid" ]; do
        wait_gone "$httpd_pid" 0 && return 1
        [ $tries_left -gt 0 ] || return 1
        tries_left=$((tries_left - 1))
        sleep 0.1
    done
}

# 1 once somebody who asked for the stop has lost patience.
hurry=0

# How many connections a TCP port has, and whether (1) there are some that the
# server has not taken yet, as the kernel tells. Those without a byte so far
# (SYN_RECV) are among them: their clients believe that they are in.
connections()
{
    hex=$(printf '%04X' "$1")
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
        awk -v port=":$hex" 'index($2, port) != length($2) - 4 { next }
            $4 == "01" || $4 == "03" { all++ }
            $4 == "0A" { sub(/.*:/, "", $5) }
            $4 == "03" || $4 == "0A" && $5 != "00000000" { new = 1 }
            END { print all + 0, new + 0 }'
}

# From the signal on httpd lets nobody new in, and each answer says that it is
# the last on its connection (drain.h). Until all have left, but not longer
# than a second: who keeps a connection and asks nothing has nothing to lose.
# Somebody who has not been taken yet has.
drain_httpd()
{
    [ -s "$PATIENT_RUN/httpd.pid" ] || return 0
    kill -USR2 "$httpd_pid" 2>/dev/null || return 0
    tries=0
    while [ $tries -lt 30 ] && [ $hurry -eq 0 ]; do
        case $(connections "$PORT") in
            '0 0') break ;;
            *' 0') [ $tries -lt 10 ] || break ;;
        esac
        tries=$((tries + 1))
        sleep 0.1
    done
}

# Lets requests finish (GracefulShutdownTimeout in httpd.conf bounds that; ECS
# kills after 30 s), then insists. In the end nothing of its process group may
# be left, not even the children of an httpd that was killed.
stop_httpd()
{
    [ -n "$httpd_pid" ] || return 0
    drain_httpd
    if [ $hurry -eq 0 ]; then
        kill -WINCH "$httpd_pid" 2>/dev/null
        wait_gone "$httpd_pid" 24 && wait "$httpd_pid" 2>/dev/null
    fi
    kill -TERM "-$httpd_pid" 2>/dev/null || return 0
    wait_gone "-$httpd_pid" 10
    kill -KILL "-$httpd_pid" 2>/dev/null
    wait "$httpd_pid" 2>/dev/null
    wait_gone "-$httpd_pid" 5
}
