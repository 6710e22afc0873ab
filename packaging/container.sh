#!/usr/bin/env bash
# Builds the container image with podman or docker, whichever is here.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: packaging/container.sh [--print] build|build-all|run [-- MORE ARGUMENTS]

  build      an image for this machine
  build-all  for amd64 and arm64, as one manifest list (podman) or one buildx build (docker); emulation of the other
             architecture must be set up (Debian: qemu-user-static)
  run        starts it: ports 53, 853 and 443 published, read-only, no capability, certificates from CERTS (certs/dev)

  --print    only print the commands

IMAGE (sallyport) and TAG (the version) name it, BASE (debian:12-slim) is what it is built on.
USAGE
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
print=no
[ "${1:-}" != --print ] || { print=yes && shift; }
action=${1:-}
[ $# -eq 0 ] || shift
[ "${1:-}" != -- ] || shift

version=$(sed -n 's/^project(sallyport VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
image=${IMAGE:-sallyport}:${TAG:-$version}
platforms=linux/amd64,linux/arm64
engine=${ENGINE:-$(command -v podman || command -v docker || true)}
if [ -z "$engine" ]; then
    [ "$print" = yes ] || { echo "sallyport: neither podman nor docker is here" >&2 && exit 1; }
    engine=podman
fi

run() {
    if [ "$print" = yes ]; then
        printf '%q ' "$@" && echo
    else
        "$@"
    fi
}

common=(--file packaging/Containerfile --build-arg "BASE=${BASE:-debian:12-slim}")
# Health checks are a field of Docker's format; podman's own would drop them.
[ "${engine##*/}" != podman ] || common+=(--format docker)
case "$action" in
build) run "$engine" build "${common[@]}" --tag "$image" "$@" . ;;
build-all)
    if [ "${engine##*/}" = podman ]; then
        run "$engine" build "${common[@]}" --platform "$platforms" --manifest "$image" "$@" .
    else
        run "$engine" buildx build "${common[@]}" --platform "$platforms" --tag "$image" "$@" .
    fi
    ;;
run)
    run "$engine" run --rm --name sallyport --read-only --cap-drop ALL --security-opt no-new-privileges \
        --sysctl net.ipv4.ip_unprivileged_port_start=0 --tmpfs /run/sallyport --volume sallyport:/var/lib/sallyport \
        --volume "$(realpath "${CERTS:-certs/dev}"):/etc/sallyport/certs:ro" \
        --publish 53:53/udp --publish 53:53/tcp --publish 853:853/tcp --publish 853:853/udp --publish 443:443/tcp \
        --publish 443:443/udp "$@" "$image"
    ;;
*) usage >&2 && exit 2 ;;
esac
