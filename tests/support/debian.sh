#!/usr/bin/env bash
# Makes sure that what is needed from Debian is there: debian.sh [PACKAGE…]; without any, all that the tests need.
# Root and CI install it; everybody else is told what to type.
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"

wanted=("$@")
# A browser without a font draws nothing: one as wide as those of phones, and one with the rocket of a title.
# Playwright's driver wants libatomic1, LightGBM libgomp1.
# PostgreSQL, since the one of the Python wheel is built without TLS. iproute2 for a network of one's own.
[ ${#wanted[@]} -gt 0 ] ||
    wanted=(curl mosquitto mosquitto-clients chromium fonts-liberation fonts-noto-color-emoji libatomic1 libgomp1
        redis-server prometheus nodejs clang-14 lld-14 wasi-libc libclang-rt-14-dev-wasm32 postgresql pgbouncer
        iproute2)

is_there() {
    case "$1" in
        curl | mosquitto | chromium | redis-server | prometheus | clang-14 | ffmpeg | pgbouncer) command -v "$1" ;;
        nodejs) command -v node ;;
        iproute2) command -v ip ;;
        postgresql) compgen -G '/usr/lib/postgresql/*/bin/initdb' ;;
        lld-14) command -v wasm-ld-14 ;;
        mosquitto-clients) command -v mosquitto_pub ;;
        python3-venv) python3 -c 'import ensurepip, venv' ;;
        # Elsewhere than on Debian these have other names, and are there.
        fonts-* | lib* | wasi-libc) ! command -v dpkg-query || dpkg-query -s "$1" ;;
    esac &>/dev/null
}

missing=()
for package in "${wanted[@]}"; do
    is_there "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)
if ! command -v apt-get >/dev/null; then
    echo "Missing: ${missing[*]}. Install them with your system's package tool." >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ] && [ "${CI:-}" != true ]; then
    echo "Missing: ${missing[*]}. Type: sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# RUNLEVEL=1: the packages would start their servers on their usual ports, of which 1883 is Ronda's.
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}"
