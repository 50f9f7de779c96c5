# Sourced by ./dev: temporary clusters and the end of whatever was started.
#
# A cluster listens on a socket in a folder that only its user and root may enter: it needs no port and lets no
# other user of the machine in.

socket_folder() {
	local folder=$PRISM_STATE/$1/socket
	[ ${#folder} -le 80 ] || folder=$(far_sockets)/${1//\//-}
	echo "$folder"
}

# cluster_address NAME: where clients find it.
cluster_address() {
	PGHOST=$(socket_folder "$1") PGPORT=5432 PGUSER=postgres
	export PGHOST PGPORT PGUSER
}

# cluster_start NAME [SETTINGS]: makes the cluster if need be and starts it; sets PGHOST and PGPORT to it.
# Fails with the end of the server's log.
cluster_start() {
	local name=$1 folder=$PRISM_STATE/$1 socket plugins=
	socket=$(socket_folder "$name")
	[ "$socket" = "$folder/socket" ] || own_folder "$(far_sockets)"
	user_folder "$folder" "$socket"
	as_user chmod 700 "$socket"
	if [ ! -e "$folder/data/PG_VERSION" ]; then
		as_user "$PG_BIN/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$PRISM_STATE/initdb.log" 2>&1 ||
			{ cat "$PRISM_STATE/initdb.log" >&2; die "initdb failed"; }
		as_user tee -a "$folder/data/postgresql.conf" >/dev/null <<<"include = 'prism.conf'"
	fi
	# Newer minor releases refuse output plugins that are not listed; older ones do not know the setting.
	if "$PG_BIN/postgres" --describe-config | grep -q '^output_plugin_libraries'; then
		plugins="output_plugin_libraries = 'pgoutput, test_decoding, prism'"
	fi
	as_user tee "$folder/data/prism.conf" >/dev/null <<-SETTINGS
		listen_addresses = ''
		unix_socket_directories = '$socket'
		shared_preload_libraries = 'prism'
		wal_level = logical
		max_worker_processes = 32
		fsync = off
		$plugins
		${2:-}
	SETTINGS
	cluster_address "$name"
	: | as_user tee "$folder/server.log" >/dev/null
	STARTED+=("$name")
	as_user "$PG_BIN/pg_ctl" -D "$folder/data" -l "$folder/server.log" -w -t "$PRISM_WAIT" start >/dev/null 9>&- ||
		{ tail -n 40 "$folder/server.log" >&2; return 1; }
}

cluster_stop() {
	local data=$PRISM_STATE/$1/data
	[ -e "$data/postmaster.pid" ] || return 0
	as_user "$PG_BIN/pg_ctl" -D "$data" -m fast -w -t "${2:-$PRISM_WAIT}" stop >/dev/null 2>&1 ||
		{ as_user "$PG_BIN/pg_ctl" -D "$data" -m immediate -w stop >/dev/null 2>&1 || true; return 1; }
}

# no_crash LOG: no process of a server crashed; prints the lines that say so.
no_crash() {
	! grep -E 'PANIC:|TRAP:|was terminated by signal' "$1"
}

# ends_in_order LOG: no worker of prism's called its end a fault; prints the lines that do.
ends_in_order() {
	! grep -E 'FATAL: +terminating background worker "prism' "$1"
}

# run_service NAME COMMAND...: test/services/NAME from the build folder, as the unprivileged user.
run_service() {
	local name=$1 service=$PROJECT/test/services/$1
	shift
	if is_root; then
		# the checkout may be under a folder that only root can enter
		user_folder "$PRISM_STATE/scripts"
		tar -C "$PROJECT/test" --mode=go+rX -cf - lib services | as_user tar -C "$PRISM_STATE/scripts" -xf -
		service=$PRISM_STATE/scripts/services/$name
	fi
	as_user env PRISM_STATE="$PRISM_STATE" "$service" "$@" 9>&-
}

STARTED=()
stop_started() {
	local name
	for name in "${STARTED[@]:-}"; do
		[ -z "$name" ] || cluster_stop "$name" || true
	done
	STARTED=()
}

# end_leftovers FOLDER: ends servers below it of which nobody can be in charge any more: a test was killed before it could end them.
# Each is known by the pid file in its own folder, and asked whether it is what the file says.
end_leftovers() {
	local file pid folder
	while IFS= read -r file; do
		pid=$(head -n 1 "$file")
		if [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$(dirname "$file")" ]; then
			say "ending a server that was left over in $(dirname "$file")"
			as_user kill -s QUIT "$pid" 2>/dev/null || true
		fi
	done < <(find "$1" -name postmaster.pid 2>/dev/null)
	while IFS= read -r file; do
		folder=$(dirname "$file")
		if pid_alive "$file"; then say "ending a broker that was left over in $folder"; fi
		end_process "$file" KILL
	done < <(find "$1" -path '*kafka*' -name pid 2>/dev/null)
}
