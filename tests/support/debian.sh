#!/usr/bin/env bash
# Makes sure that what the tests need from Debian is there: debian.sh [PACKAGE…]; without any, all of them.
# Root and CI install it; everybody else is told what to type.
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"

declare -A commands=([mosquitto]=mosquitto [mosquitto-clients]=mosquitto_pub [chromium]=chromium)
wanted=("$@")
[ ${#wanted[@]} -gt 0 ] || wanted=(mosquitto mosquitto-clients chromium)

missing=()
for package in "${wanted[@]}"; do
    command -v "${commands[$package]}" >/dev/null || missing+=("$package")
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
# RUNLEVEL=1: the package would start a broker on port 1883, which is Ronda's.
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}"
