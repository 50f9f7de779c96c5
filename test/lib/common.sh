# Sourced by ./dev and by test/services/*: where things live, saying, waiting with a bound, processes by pid file.
#
#   PRISM_STATE   everything that is made lives here (default: a folder under /tmp, named by user and project path)
#   PRISM_USER    who runs servers when we are root (default: postgres)
#   PRISM_WAIT    seconds until waiting for readiness gives up (default: 60)
set -euo pipefail
umask 022

PROJECT=${PROJECT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)}
PRISM_USER=${PRISM_USER:-postgres}
PRISM_WAIT=${PRISM_WAIT:-60}
PRISM_STATE=${PRISM_STATE:-/tmp/prism-$(id -u)-$(printf %s "$PROJECT" | cksum | cut -d' ' -f1)}

say() { printf '%s\n' "$*"; }
step() { printf '==> %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }

# own_folder PATH: makes it. It is ours or we stop: its name can be guessed by other users of the machine.
own_folder() {
	mkdir -p "$1"
	if [ ! -d "$1" ] || [ -L "$1" ] || [ ! -O "$1" ]; then die "$1 is not our own folder: remove it or set PRISM_STATE"; fi
	chmod 755 "$1"
}

# What ./dev has made, or found empty, has this in it. Anything else is somebody's: nothing is made there or removed.
MARKER=.made-by-dev

make_state() {
	if ! is_state "$PRISM_STATE" && ! is_vacant "$PRISM_STATE"; then
		die "$PRISM_STATE has other things in it than what ./dev makes: set PRISM_STATE to a folder that is empty or does not exist"
	fi
	own_folder "$PRISM_STATE"
	PRISM_STATE=$(cd "$PRISM_STATE" && pwd -P)
	export PRISM_STATE
	[ -e "$PRISM_STATE/$MARKER" ] || : >"$PRISM_STATE/$MARKER"
}

# A folder of a ./dev that knew no marker has these three.
is_state() {
	[ -f "$1/$MARKER" ] || { [ -f "$1/lock" ] && [ -f "$1/staging" ] && [ -d "$1/build" ]; }
}

is_vacant() {
	if [ ! -e "$1" ] && [ ! -L "$1" ]; then return 0; fi
	[ -d "$1" ] && [ -z "$(find "$1/" -mindepth 1 -maxdepth 1 -print -quit)" ]
}

# PostgreSQL refuses to run as root, so servers and tests of root's run as $PRISM_USER.
# setpriv and env replace themselves by the command: pid, signals and exit status are the command's own.
as_user() {
	find_as_user
	"${AS_USER[@]}" "$@"
}
find_as_user() {
	if is_root; then
		AS_USER=(setpriv --reuid "$PRISM_USER" --regid "$(id -gn "$PRISM_USER")" --init-groups
			env HOME="$PRISM_STATE" USER="$PRISM_USER" LOGNAME="$PRISM_USER")
	else
		AS_USER=(env)
	fi
}

# user_folder PATH...: folders that $PRISM_USER may write.
#
# Root makes a folder, and gives it away, only where nobody else can have put a link in the way: below folders that are
# root's own, from the state folder on. What is below a folder of the user's the user makes.
user_folder() {
	local path
	for path; do
		if is_root; then give_folder "$path"; else mkdir -p "$path"; fi
	done
}

give_folder() {
	local path=$1 folder=$PRISM_STATE rest
	case $path in
		"$PRISM_STATE"/*) ;;
		"$(far_sockets)"/*) folder=$(far_sockets) ;;
		*) die "$path is not below $PRISM_STATE" ;;
	esac
	rest=${path#"$folder"/}
	while [ -O "$folder" ] && [ "$rest" ]; do
		folder=$folder/${rest%%/*}
		[ -d "$folder" ] || mkdir "$folder"
		case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
	done
	if [ -O "$folder" ]; then chown -h "$PRISM_USER:" "$folder"; else as_user mkdir -p "$path"; fi
}

# The path of a socket is bounded by the system (107 bytes); when $PRISM_STATE is long, sockets live elsewhere.
far_sockets() { echo "/tmp/prism-socket-$(printf %s "$PRISM_STATE" | cksum | cut -d' ' -f1)"; }

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port [WANTED]: WANTED when given (taken is an error), else one that nobody listens on.
free_port() {
	local port
	if [ -n "${1:-}" ]; then
		if port_taken "$1"; then die "port $1 is taken by another process"; fi
		echo "$1"
		return
	fi
	while :; do
		port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))	# below Linux' range for outgoing connections
		port_taken "$port" || break
	done
	echo "$port"
}

# pid_alive FILE: the pid file names a live process that is still the one we started.
# A pid is used again after a while; the start time beside it tells the difference.
pid_alive() {
	local pid started
	[ -s "$1" ] || return 1
	read -r pid started <"$1"
	[ "$started" = "$(start_time "$pid")" ]
}
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# spawn PIDFILE LOG COMMAND...: starts it in a session of its own.
spawn() {
	local file=$1 log=$2
	shift 2
	setsid "$@" >>"$log" 2>&1 </dev/null &
	echo "$! $(start_time $!)" >"$file"
}

# wait_for PIDFILE LOG COMMAND...: until the command succeeds; fails when the process ends or the time is up.
wait_for() {
	local file=$1 log=$2 end=$((SECONDS + PRISM_WAIT))
	shift 2
	until "$@" >/dev/null 2>&1; do
		if ! pid_alive "$file"; then tail -n 30 "$log" >&2; die "ended before it was ready: $log"; fi
		if [ $SECONDS -ge $end ]; then tail -n 30 "$log" >&2; die "not ready after $PRISM_WAIT s: $log"; fi
		sleep 0.1
	done
}

# end_process PIDFILE SIGNAL: sends it and waits until the process is gone; SIGKILL after 20 s.
end_process() {
	local file=$1 signal=$2 pid end=$((SECONDS + 20))
	if pid_alive "$file"; then
		read -r pid _ <"$file"
		# as the user: whose process it is, his file says
		as_user kill -s "$signal" "$pid" 2>/dev/null || true
		while pid_alive "$file"; do
			if [ $SECONDS -ge $end ]; then as_user kill -s KILL "$pid" 2>/dev/null || true; fi
			sleep 0.05
		done
	fi
	rm -f "$file"
}
