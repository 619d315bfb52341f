#!/usr/bin/env bash
# Programs that tests use and pip does not bring: a headless browser, PostgreSQL's server, and another clock.
# Without one of them the tests that need it are skipped and say so.
set -euo pipefail

has() { command -v "$1" >/dev/null; }

wanted=()
has chromium || has chromium-browser || has google-chrome || wanted+=(chromium fonts-noto-cjk)
has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || wanted+=(postgresql)
compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || wanted+=(libfaketime)
if [ ${#wanted[@]} = 0 ]; then exit 0; fi

if [ "$(id -u)" != 0 ] || ! has apt-get; then
    echo "test programs: not here: ${wanted[*]}; tests that need them will be skipped"
    exit 0
fi
echo "test programs: installing ${wanted[*]}"
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends "${wanted[@]}"; } >/dev/null 2>&1 ||
    echo "test programs: they could not be installed; tests that need them will be skipped"
