#!/usr/bin/env bash
# The deployments of prefect.yaml and a worker that runs them, until Ctrl-C: on the server that PREFECT_API_URL names,
# or on one of this machine, brought up as by `make ui`.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/servers.sh
prefect() { .venv/bin/prefect --no-prompt "$@"; }

if [ -z "${PREFECT_API_URL:-}" ]; then
    start_servers
    PREFECT_API_AUTH_STRING=$(cat "$password")
    export PREFECT_API_URL=http://127.0.0.1:$prefect_port/api PREFECT_API_AUTH_STRING
fi
pool=$(prefect work-pool inspect tidemill --output json 2>/dev/null) || pool=
if [ -z "$pool" ] || grep -q '"type": "process"' <<<"$pool"; then # one of containers is left alone
    prefect work-pool create tidemill --type process --base-job-template flows/work_pool.json --overwrite >/dev/null
fi
prefect automation inspect "Runs that fell silent" >/dev/null 2>&1 ||
    prefect automation create --from-file flows/automations.yaml >/dev/null
prefect deploy --all >/dev/null
prefect deployment ls
echo "A worker waits for runs. Ctrl-C ends it$([ ${#servers[@]} = 0 ] || echo ", and both servers")."
setsid .venv/bin/python scripts/supervise_worker.py &
servers+=($!)
wait
