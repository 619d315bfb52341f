# What `make ui` and `make deploy` share: servers in the background that all end with the script, the last one first.
export DO_NOT_TRACK=1 MLFLOW_DISABLE_TELEMETRY=true PREFECT_SERVER_ANALYTICS_ENABLED=false
mlflow_port=${MLFLOW_PORT:-5000}
prefect_port=${PREFECT_PORT:-4200}
store=$PWD/.tidemill/mlflow
password=.tidemill/prefect-password # made by flows/server.py
address=$PWD/.tidemill/prefect-address

# MLflow's runners of jobs, which nothing here submits, are eight processes and 0.8 GB.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=${MLFLOW_SERVER_ENABLE_JOB_EXECUTION:-false}
# Prefect keeps everything for ever, and forgets at its restart which runs hold the one place of a deployment.
export PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED=${PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED:-events,flow_runs}
export PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD=${PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD:-2592000}
export PREFECT_SERVER_EVENTS_RETENTION_PERIOD=${PREFECT_SERVER_EVENTS_RETENTION_PERIOD:-P1D}
export PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem

start_servers() { # MLflow and Prefect, on loopback only
    mkdir -p "$store"
    local tracking=${MLFLOW_TRACKING_URI:-sqlite:///$store/mlflow.db}
    serve mlflow "http://127.0.0.1:$mlflow_port/health" \
        .venv/bin/mlflow server --host 127.0.0.1 --port "$mlflow_port" --workers 1 \
        --backend-store-uri "$tracking" --default-artifact-root "$store/artifacts"
    serve prefect "http://127.0.0.1:$prefect_port/api/health" .venv/bin/python -m flows.server "$prefect_port"
    own_server=yes
    echo "http://127.0.0.1:$prefect_port/api" >"$address" # where `tidemill status` asks
    cat <<END
MLflow:  http://127.0.0.1:$mlflow_port   runs, models, their lineage
Prefect: http://127.0.0.1:$prefect_port   flows and their logs; the page asks for what $password has
Flows started elsewhere join this server with:
  export PREFECT_API_URL=http://127.0.0.1:$prefect_port/api PREFECT_API_AUTH_STRING=\$(cat $password)
END
}
serve() { # name, address that answers when it is up, command
    local name=$1 address=$2
    shift 2
    if answers "$address"; then
        echo "$name: something serves $address already; set ${name^^}_PORT to another port" >&2
        exit 1
    fi
    setsid "$@" >"$store/../$name.log" 2>&1 &
    servers+=($!)
    for _ in $(seq 120); do
        if answers "$address"; then return; fi
        kill -0 $! 2>/dev/null || break
        sleep 1
    done
    echo "$name did not start; see .tidemill/$name.log" >&2
    exit 1
}
answers() { .venv/bin/python -c "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)" "$1" 2>/dev/null; }
end() { # each leads its own process group; what reports to a server ends before it
    trap '' INT TERM
    [ -n "${own_server:-}" ] && rm -f "$address"
    for ((i = ${#servers[@]} - 1; i >= 0; i--)); do
        kill -- "-${servers[i]}" 2>/dev/null || true
        wait "${servers[i]}" || true
    done
}

servers=()
trap end EXIT
trap 'exit 0' INT TERM
