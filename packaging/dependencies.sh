#!/usr/bin/env bash
# Installs the Debian and Ubuntu packages that Sallyport is built and tested with; what is there already is left alone.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: packaging/dependencies.sh [--check] [build|test|clients|browser|bench|tools|all]...

  build    compiler, build tools and libraries: enough for 'make run' (the default)
  test     build, the test library and the foreign DNS clients of 'make test'
  clients  stub resolvers that people have, and the servers of other makes that tests ask and compare with; none of them
           is started as a service, and systemd-resolved is only unpacked below build/clients
  browser  headless browsers and the tool that adds our development CA to their stores
  bench    build, the benchmark library and a load generator
  tools    clang 19 with its fuzzer, sanitizers, formatter and linter
  all      everything above

  --check  only say what is missing: exit code 0 when nothing is, 1 otherwise

Debian 12 (libraries for QUIC from bookworm-backports), Debian 13 and Ubuntu 24.04 are known.
SALLYPORT_SKIP_DEPENDENCIES=1 makes this script do nothing: for other systems, where the packages come by hand.
USAGE
}

fail() {
    printf 'sallyport: %s\n' "$*" >&2
    exit 1
}
say() { printf 'sallyport: %s\n' "$*"; }

# --- What is needed. 'name>=version' asks for a version that the plain release may lack.

build_set="g++ make cmake ninja-build ccache pkg-config libssl-dev libgnutls28-dev libnghttp2-dev libldns-dev
    libyaml-cpp-dev libspdlog-dev libfmt-dev libcli11-dev libsystemd-dev libxxhash-dev
    liblua5.4-dev zlib1g-dev libboost1.83-dev libboost-json1.83-dev"
quic_set="libngtcp2-dev>=1.11 libngtcp2-crypto-gnutls-dev>=1.11 libnghttp3-dev>=1.8"
test_set="libgtest-dev libgmock-dev python3 knot-dnsutils bind9-dnsutils ldnsutils curl nghttp2-client gnutls-bin openssl"
bench_set="libbenchmark-dev dnsperf nghttp2-client"
tools_set="clang-19 lld-19 llvm-19 libclang-rt-19-dev clang-tidy-19 clang-format-19 libgtest-dev libgmock-dev python3"
# systemd for systemd-analyze; its shared library and ip for systemd-resolved; jq and prometheus (promtool) for the
# commands of the operator's pages.
clients_set="stubby unbound knot nsd dnsdist bind9 systemd libsystemd-shared iproute2 jq prometheus python3"
# What would take over the machine when installed: the program is taken out of its package, and that is all.
unpacked_set="systemd-resolved"
browser_set="chromium firefox-esr libnss3-tools python3"
backports=""         # the suite that carries what the plain release has too old
backported_upfront="" # asked for in one line with the suite, as their dependencies come from there too
backported_single=""  # asked for one by one: the suite must not touch what else they need

know_system() {
    local ID="" VERSION_ID="" PRETTY_NAME="an unknown system"
    [ -r /etc/os-release ] && . /etc/os-release
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
        fail "$PRETTY_NAME has no apt-get: install the libraries by hand, then set SALLYPORT_SKIP_DEPENDENCIES=1"
    case "$ID:$VERSION_ID" in
    debian:12)
        build_set+=" $quic_set"
        test_set+=" ngtcp2-client>=1.11 libcurl3-gnutls>=8"
        backports=bookworm-backports
        backported_upfront="libngtcp2-dev libngtcp2-crypto-gnutls-dev libnghttp3-dev libboost1.83-dev libboost-json1.83-dev"
        backported_single="ngtcp2-client libcurl3-gnutls"
        ;;
    debian:13)
        build_set+=" $quic_set"
        test_set+=" ngtcp2-client libcurl3t64-gnutls"
        clients_set+=" dnscrypt-proxy" # Debian 12 has none, in no suite
        ;;
    ubuntu:24.04)
        # Its ngtcp2 0.12 has another interface, and its browsers are snaps that headless tests cannot use.
        without="DoQ and DoH/3 are left out on Ubuntu 24.04: its libngtcp2 is older than 1.11"
        browser_set="python3"
        ;;
    *) fail "do not know which packages $PRETTY_NAME needs (known: Debian 12 and 13, Ubuntu 24.04): install them by hand, then set SALLYPORT_SKIP_DEPENDENCIES=1" ;;
    esac
}

# --- What is missing.

# Prints the wanted packages that are not installed, or are older than asked for. One dpkg-query for all.
find_missing() {
    local -A version=()
    local want name least installed
    local names=("${@%%>=*}")
    while read -r name installed; do version["$name"]=$installed; done < <(
        dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' "${names[@]}" 2>/dev/null |
            sed -n 's/^installed //p'
    )
    for want in "$@"; do
        name=${want%%>=*}
        installed=${version[$name]:-}
        if [ -n "$installed" ]; then
            [ "$name" = "$want" ] && continue
            least=${want#*>=}
            dpkg --compare-versions "$installed" ge "$least" && continue
        fi
        printf '%s\n' "$name"
    done
}

is_in() { case " $2 " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# --- How it is installed.

as_root=()
log=""

become_root() {
    [ "$(id -u)" -eq 0 ] && return
    command -v sudo >/dev/null ||
        fail "packages are missing, and this is neither root nor is sudo here; as root: apt-get install $*"
    as_root=(sudo)
    [ -t 0 ] || as_root=(sudo -n)
    "${as_root[@]}" true || fail "packages are missing and sudo is refused; as root: apt-get install $*"
}

apt_get() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -q \
        -o Acquire::Retries=3 -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "$@"
}

# Runs apt-get with its words in the log; on a terminal one line shows where it is.
quietly() {
    local line status=0
    {
        apt_get "$@" 2>&1 || printf 'apt-get ended with exit code %s\n' "$?"
    } </dev/null | while IFS= read -r line; do
        printf '%s\n' "$line" >>"$log"
        [ -t 1 ] && printf '\r\033[K  %.100s' "$line"
        case "$line" in "apt-get ended with exit code "*) exit 1 ;; esac
    done || status=1
    [ -t 1 ] && printf '\r\033[K'
    return "$status"
}

first_complaint() {
    local line
    line=$(grep -m1 '^E: ' "$log" || grep -m1 '^W: ' "$log" || tail -n1 "$log")
    if grep -qE 'Temporary failure resolving|Could not (connect|resolve)|Unable to connect' "$log"; then
        line="is there a network? $line"
    fi
    printf '%s' "$line"
}

update_lists() {
    quietly update "$@" || fail "apt-get update failed: $(first_complaint) (all of it in $log)"
}

# The suite of backports, on the mirror that the system's own packages come from.
enable_backports() {
    [ -n "$backports" ] || return 0
    local codename=${backports%-backports} parts uri key=""
    [ -z "$(apt-get indextargets --format '$(REPO_URI)' "Codename: $backports" 'Created-By: Packages')" ] || return 0
    uri=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $codename" 'Origin: Debian' 'Component: main' \
        'Created-By: Packages' | head -n1)
    [ -n "$uri" ] || fail "no mirror of $codename among apt's sources (no network?): cannot tell where $backports is"
    eval "$(apt-config shell PARTS Dir::Etc::sourceparts/d)"
    parts=${PARTS%/}
    [ -r /usr/share/keyrings/debian-archive-keyring.gpg ] && key="[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
    say "adds $backports from $uri in $parts/sallyport-backports.list"
    printf 'deb %s%s %s main\n' "$key" "$uri" "$backports" |
        "${as_root[@]}" tee "$parts/sallyport-backports.list" >/dev/null
    update_lists -o "Dir::Etc::sourcelist=$parts/sallyport-backports.list" -o Dir::Etc::sourceparts=- \
        -o APT::Get::List-Cleanup=0
}

# Servers that are installed to be started by tests, not by the system: not now, and not when it boots.
held=""

hold_services() {
    [ ! -e /usr/sbin/policy-rc.d ] || return 0
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee /usr/sbin/policy-rc.d >/dev/null
    "${as_root[@]}" chmod 755 /usr/sbin/policy-rc.d
    held=yes
}

release_services() {
    [ -z "$held" ] || "${as_root[@]}" rm -f /usr/sbin/policy-rc.d
    held=""
}

disable_services() {
    [ -d /run/systemd/system ] || return 0
    local name units=()
    for name in "$@"; do
        case "$name" in
        stubby | unbound | knot | nsd | dnsdist | prometheus) units+=("$name.service") ;;
        bind9) units+=(named.service) ;;
        dnscrypt-proxy) units+=(dnscrypt-proxy.service dnscrypt-proxy.socket) ;;
        esac
    done
    [ ${#units[@]} -eq 0 ] || "${as_root[@]}" systemctl disable --quiet "${units[@]}" 2>>"$log" || true
}

# The version of what is unpacked goes with that of the library it shares with systemd.
unpacked_mark() { printf '%s/.%s-%s' "$unpacked_place" "$1" "$(dpkg-query -W -f '${Version}' libsystemd-shared 2>/dev/null)"; }
is_there() { [ -e "$(unpacked_mark "$1")" ] || dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

download_into() { (cd "$1" && apt-get -q download "$2" >>"$log" 2>&1); }

unpack_packages() {
    local name folder
    for name in "$@"; do
        is_there "$name" && continue
        folder=$(mktemp -d "${TMPDIR:-/tmp}/sallyport-unpack.XXXXXX")
        download_into "$folder" "$name" || { become_root "$name" && update_lists && download_into "$folder" "$name"; } ||
            fail "apt-get could not download $name: $(first_complaint) (all of it in $log)"
        rm -rf "$unpacked_place"
        mkdir -p "$unpacked_place"
        dpkg -x "$folder"/*.deb "$unpacked_place" && touch "$(unpacked_mark "$name")"
        rm -rf "$folder"
    done
}

install_packages() {
    local removed
    removed=$(apt_get install -s --no-install-recommends "$@" 2>/dev/null </dev/null | awk '/^Remv /{printf " %s", $2}')
    if [ -n "$removed" ] && [ -z "${SALLYPORT_ALLOW_REMOVAL:-}" ]; then
        fail "installing would remove:$removed; remove them yourself, or set SALLYPORT_ALLOW_REMOVAL=1"
    fi
    quietly install -y --no-install-recommends "$@" ||
        fail "apt-get could not install the packages: $(first_complaint) (all of it in $log)"
}

install_missing() {
    local name plain=() upfront=() single=()
    for name in "$@"; do
        if is_in "$name" "$backported_upfront"; then
            upfront+=("$name")
        elif is_in "$name" "$backported_single"; then
            single+=("$name/$backports")
        else
            plain+=("$name")
        fi
    done
    [ ${#plain[@]} -eq 0 ] || install_packages "${plain[@]}"
    [ ${#upfront[@]} -eq 0 ] || install_packages -t "$backports" "${upfront[@]}"
    [ ${#single[@]} -eq 0 ] || install_packages "${single[@]}"
}

# --- The front.

only_check=no
sets=()
for argument in "$@"; do
    case "$argument" in
    --check) only_check=yes ;;
    -h | --help) usage && exit 0 ;;
    build | test | clients | browser | bench | tools | all) sets+=("$argument") ;;
    *) usage >&2 && exit 2 ;;
    esac
done
[ ${#sets[@]} -gt 0 ] || sets=(build)
[ -z "${SALLYPORT_SKIP_DEPENDENCIES:-}" ] || exit 0

without=""
unpacked_place=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/clients
know_system
wanted=()
unpacked=()
for set in "${sets[@]}"; do
    case "$set" in
    build) wanted+=($build_set) ;;
    test) wanted+=($build_set $test_set) ;;
    bench) wanted+=($build_set $bench_set) ;;
    tools) wanted+=($build_set $tools_set) ;;
    clients) wanted+=($clients_set) && unpacked+=($unpacked_set) ;;
    browser) wanted+=($browser_set) ;;
    all)
        wanted+=($build_set $test_set $clients_set $browser_set $bench_set $tools_set)
        unpacked+=($unpacked_set)
        ;;
    esac
done
mapfile -t missing < <(find_missing "${wanted[@]}" | sort -u)
to_unpack=()
for name in "${unpacked[@]}"; do is_there "$name" || to_unpack+=("$name"); done

[ ${#missing[@]} -gt 0 ] || [ ${#to_unpack[@]} -gt 0 ] || exit 0
if [ "$only_check" = yes ]; then
    say "missing: ${missing[*]} ${to_unpack[*]}"
    exit 1
fi

[ ${#missing[@]} -eq 0 ] || say "will install: ${missing[*]}"
[ ${#to_unpack[@]} -eq 0 ] || say "will unpack below build/clients: ${to_unpack[*]}"
[ -z "$without" ] || say "$without"
log=$(mktemp "${TMPDIR:-/tmp}/sallyport-packages.XXXXXX")
started=$SECONDS
if [ ${#missing[@]} -gt 0 ]; then
    become_root "${missing[*]}"
    trap release_services EXIT
    update_lists
    enable_backports
    hold_services
    install_missing "${missing[@]}"
    release_services
    disable_services "${missing[@]}"
    mapfile -t missing < <(find_missing "${wanted[@]}" | sort -u)
    [ ${#missing[@]} -eq 0 ] || fail "still missing after the installation: ${missing[*]} (see $log)"
fi
unpack_packages "${to_unpack[@]}"
rm -f "$log"
say "installed in $((SECONDS - started)) s"
