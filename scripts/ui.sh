#!/usr/bin/env bash
# Prefect's and MLflow's pages, on loopback only, until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/servers.sh

start_servers
echo "Ctrl-C ends both."
wait
