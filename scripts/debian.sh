# shellcheck shell=bash
# Sourced by what takes programs from Debian's packages. apt does the fetching, by its own settings of proxies and
# mirrors, and checks Debian's signatures; it keeps lists and packages where it is told, and nothing on this machine is
# changed. Who sources it says what it is, for messages, in `debian_for`.

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
    echo "$debian_for: $1" >&2
    exit 1
}

# The mirror that this machine's apt reads Debian from.
mirror() {
    local found
    # shellcheck disable=SC2016 # apt's words
    found=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m 1 '/debian/\?$') || true
    echo "${found:-http://deb.debian.org/debian}"
}

# debian_name ARCH: what Debian calls it.
debian_name() {
    case $1 in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        riscv64) echo riscv64 ;;
        *) fail "no such architecture: $1 (x86_64, aarch64 or riscv64)" ;;
    esac
}

# debian_alias SUITE: the other name that it has on mirrors, which bring the two up to date one after the other.
debian_alias() {
    case $1 in
        trixie) echo stable ;;
        bookworm) echo oldstable ;;
    esac
}

# debian_open SUITE ARCH DIRECTORY: reads a suite's lists into the directory; `debian_options` are apt's for it then.
# While a mirror is brought up to date its lists do not fit together: then it is tried by its other name, and again.
debian_open() {
    local name own=$3 tool suite attempt
    name=$(debian_name "$2")
    for tool in apt-get dpkg-deb; do
        command -v "$tool" >/dev/null || fail "fetching Debian's packages takes $tool, which this system has not"
    done
    [ -e "$KEYRING" ] || fail "missing: $KEYRING (Debian's package debian-archive-keyring)"
    mkdir -p "$own/archives/partial"
    # No package is installed as far as this apt knows, so that it fetches all.
    : >"$own/status"
    debian_options=(-qq -o "APT::Architecture=$name" -o "APT::Architectures=$name" -o APT::Install-Recommends=false
        -o "Dir::State=$own" -o "Dir::State::status=$own/status" -o "Dir::State::Lists=$own/lists" -o "Dir::Cache=$own"
        -o "Dir::Etc::SourceList=$own/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null -o Dir::Etc::TrustedParts=/dev/null
        -o APT::Sandbox::User= -o Debug::NoLocking=true -o Acquire::Languages=none -o Acquire::Retries=3
        -o APT::Get::AllowUnauthenticated=false -o APT::Update::Error-Mode=any)
    rm -f "$own"/archives/*.deb
    for attempt in 1 2 3; do
        [ "$attempt" = 1 ] || sleep 20
        for suite in "$1" $(debian_alias "$1"); do
            rm -rf "$own/lists"
            mkdir -p "$own/lists/partial"
            echo "deb [arch=$name signed-by=$KEYRING] $(mirror) $suite main" >"$own/sources.list"
            if apt-get "${debian_options[@]}" update && grep -qx "Codename: $1" "$own"/lists/*Release; then
                return 0
            fi
        done
    done
    return 1
}

# debian_fetch DIRECTORY PACKAGE...: the packages and all that they depend on, as files in DIRECTORY/archives.
debian_fetch() {
    shift
    apt-get "${debian_options[@]}" -y --download-only install "$@"
}

# debian_fetch_alone DIRECTORY PACKAGE...: the packages without what they depend on.
debian_fetch_alone() {
    local own=$1
    shift
    (cd "$own/archives" && apt-get "${debian_options[@]}" download "$@")
}

# debian_unpack TREE DEB...: the files of packages; no package's scripts are run.
debian_unpack() {
    local tree=$1 deb
    shift
    for deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tree" --no-same-owner --keep-directory-symlink
    done
}
