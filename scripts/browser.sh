#!/usr/bin/env bash
# A headless browser for the tests that look at pages; without one they are skipped and say so.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "browser: none here; tests of pages will be skipped (install chromium to run them)"
    exit 0
fi
echo "browser: installing chromium"
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk; } >/dev/null 2>&1 ||
    echo "browser: chromium could not be installed; tests of pages will be skipped"
