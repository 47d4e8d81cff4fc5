#!/usr/bin/env bash
# Builds the vibrating machine for Wokwi: build.sh [FILE], by default vibration.chip.wasm beside this script.
# As Wokwi itself builds a chip, but with Debian's clang: the simulator lends its memory, and calls through the table.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here"

# No name of a folder gets into the file, so that the same sources give the same bytes everywhere.
exec clang-14 --target=wasm32-wasi -std=c11 -O2 -Wall -Wextra -Werror -ffp-contract=off \
    -nostartfiles -Wl,--no-entry -Wl,--import-memory -Wl,--export-table -Wl,--strip-all \
    -o "${1:-vibration.chip.wasm}" vibration.chip.c machine.c -lm
