# Sourced by ./dev: packages of a Debian 12 machine, the build and its installation.

PACKAGES=(
	postgresql-15 postgresql-server-dev-15 postgresql-15-pgtap	# the server, its headers and test programs
	gcc make pkg-config libc6-dev libyaml-dev librdkafka-dev	# to build
	zlib1g-dev libzstd-dev liblz4-dev zstd lz4					# compression of payloads, and its independent programs
	libipc-run-perl perl procps util-linux binutils libc-bin	# to test
	kcat maven openjdk-17-jre-headless python3 python3-pip		# the broker, its independent client, the proxy, other majors
)
# Of these the program is asked for: a machine may have a newer one from elsewhere.
PROGRAMS=(go:golang-go node:nodejs npm:npm)					# client libraries

# The packages that are missing, one a line.
missing_packages() {
	local package program
	for program in "${PROGRAMS[@]}"; do
		command -v "${program%%:*}" >/dev/null || echo "${program##*:}"
	done
	for package in "${PACKAGES[@]}"; do
		dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
	done
}

install_packages() {
	local missing
	[ "${PRISM_PACKAGES:-install}" = install ] || return 0
	command -v dpkg-query >/dev/null || die "this is no Debian: install the packages of test/lib/machine.sh by hand, then set PRISM_PACKAGES=there"
	mapfile -t missing < <(missing_packages)
	[ ${#missing[@]} -gt 0 ] || return 0
	is_root || die "missing packages; as root: apt-get install ${missing[*]}"
	step "installing packages: ${missing[*]}"
	# Prism makes clusters of its own; the package would make and start one more.
	if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
		mkdir -p /etc/postgresql-common
		echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q >"$PRISM_STATE/apt.log" 2>&1 &&
		apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "${missing[@]}" >>"$PRISM_STATE/apt.log" 2>&1 ||
		{ tail -n 40 "$PRISM_STATE/apt.log" >&2; die "apt-get failed"; }
}

# Which PostgreSQL, and who runs it.
find_postgres() {
	if [ -z "${PG_CONFIG:-}" ]; then
		PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config
		[ -x "$PG_CONFIG" ] || PG_CONFIG=$(command -v pg_config) || die "no pg_config: set PG_CONFIG"
	fi
	PG_CONFIG=$(realpath "$(command -v "$PG_CONFIG")") || die "there is no $PG_CONFIG"
	export PG_CONFIG
	PG_BIN=$("$PG_CONFIG" --bindir)
	PG_MAJOR=$("$PG_CONFIG" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
	if is_root && ! id "$PRISM_USER" >/dev/null 2>&1; then
		step "creating the user $PRISM_USER: PostgreSQL does not run as root"
		useradd --system --shell /bin/sh --home-dir /nonexistent "$PRISM_USER"
	fi
}

# stage FOLDER: copies the checkout there, readable by $PRISM_USER whoever may read the original.
# Times are kept, so that make compiles only what changed; what is gone from the checkout goes there as well.
stage() {
	local folder=$1 list=$1/.staged
	user_folder "$folder"
	list_sources
	if [ -e "$list" ] && ! LC_ALL=C comm -23 "$list" "$PRISM_STATE/staging" | cmp -s - /dev/null; then
		rm -rf "${folder:?}"
		user_folder "$folder"
	fi
	pack_sources | as_user tar -C "$folder" -xf -
	as_user tee "$list" <"$PRISM_STATE/staging" >/dev/null
}

list_sources() {
	(cd "$PROJECT" && find . \( -name .git -o -name results -o -name tmp_check \) -prune -o \
		-type f ! -name '*.o' ! -name '*.so' ! -name '*.bc' ! -name 'prism--*.sql' ! -name 'regression.*' -print |
		LC_ALL=C sort) >"$PRISM_STATE/staging"
}
pack_sources() { tar -C "$PROJECT" --owner=0 --group=0 --mode=u+rw,go+r -cf - -T "$PRISM_STATE/staging"; }

# compile FOLDER PG_CONFIG [ARGUMENT...]: as the unprivileged user; warnings are errors here, not for who installs prism.
compile() {
	as_user make -s -j"$(nproc)" -C "$1" all PG_CONFIG="$2" PRISM_CFLAGS=-Werror "${@:3}"
}

build_and_install() {
	BUILD=$PRISM_STATE/build/$PG_MAJOR
	step "building for PostgreSQL $PG_MAJOR in $BUILD"
	user_folder "$PRISM_STATE/build"
	stage "$BUILD"
	if [ "$(cat "$BUILD/.pg_config" 2>/dev/null)" != "$PG_CONFIG" ]; then
		as_user make -s -C "$BUILD" clean PG_CONFIG="$PG_CONFIG" >/dev/null
		as_user tee "$BUILD/.pg_config" <<<"$PG_CONFIG" >/dev/null
	fi
	compile "$BUILD" "$PG_CONFIG" || die "the build failed"
	step "installing into $("$PG_CONFIG" --pkglibdir)"
	install_built "$BUILD" "$PG_CONFIG" || die "the installation failed (are you root?)"
}

# install_built FOLDER PG_CONFIG: by make, for who is not root. Root takes from the user what files have in them, no rule
# of a makefile, no link, and no name but those of prism in its two folders.
install_built() {
	local stage=$1.install made=$PRISM_STATE/made library extension file name
	if ! is_root; then
		make -s -C "$1" install PG_CONFIG="$2" >/dev/null
		return
	fi
	library=$("$2" --pkglibdir) extension=$("$2" --sharedir)/extension
	as_user rm -rf "$stage"
	as_user make -s -C "$1" install PG_CONFIG="$2" DESTDIR="$stage" >/dev/null || return 1
	while IFS= read -r file; do
		name=${file##*/}
		if ! [[ ${file%/*} == "$library" || ${file%/*} == "$extension" ]] || ! [[ $name =~ ^prism[A-Za-z0-9_.-]*$ ]]; then
			say "not installed, as it is none of prism's: $file"
			return 1
		fi
		as_user cat "$stage$file" >"$made" || return 1
		case $name in
			*.so) install -m 755 "$made" "$file" ;;
			*) install -m 644 "$made" "$file" ;;
		esac || return 1
	done < <(as_user find "$stage" -type f -printf '/%P\n')
	rm -f "$made"
}
