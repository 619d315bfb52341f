#!/usr/bin/env bash
# The deployments of prefect.yaml and a worker that runs them, until Ctrl-C: on the server that PREFECT_API_URL names,
# or on one of this machine, brought up as by `make ui`.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/servers.sh

if [ -z "${PREFECT_API_URL:-}" ]; then
    start_servers
    PREFECT_API_AUTH_STRING=$(cat "$password")
    export PREFECT_API_URL=http://127.0.0.1:$prefect_port/api PREFECT_API_AUTH_STRING
fi
.venv/bin/python -m flows.deployments
echo "A worker waits for runs. Ctrl-C ends it$([ ${#servers[@]} = 0 ] || echo ", and both servers")."
setsid .venv/bin/python scripts/supervise_worker.py &
servers+=($!)
wait
