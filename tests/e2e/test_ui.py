"""The servers of `make ui`: what they hold of the machine, what they forget, and that nothing of them is left."""

import base64
import json
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import psutil

from tests.dvc_repositories import quiet_environment
from tests.projects import ROOT


def free_ports(number: int) -> list[str]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def test_both_servers_stay_small_and_end_together(tmp_path: Path) -> None:
    for name in ("scripts", "flows"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    mlflow, prefect = free_ports(2)
    environment = quiet_environment(tmp_path) | {"MLFLOW_PORT": mlflow, "PREFECT_PORT": prefect}
    address = tmp_path / ".tidemill/prefect-address"
    ui = subprocess.Popen([tmp_path / "scripts/ui.sh"], env=environment, stdout=subprocess.DEVNULL)
    try:
        while not address.exists():
            assert ui.poll() is None
            time.sleep(0.5)
        url = address.read_text(encoding="utf-8").strip()
        assert url == f"http://127.0.0.1:{prefect}/api"
        password = (tmp_path / ".tidemill/prefect-password").read_bytes()
        header = {"Authorization": f"Basic {base64.b64encode(password.strip()).decode()}"}
        with urllib.request.urlopen(urllib.request.Request(f"{url}/admin/settings", headers=header)) as response:
            server = json.load(response)["server"]
        processes = psutil.Process(ui.pid).children(recursive=True)
        servers = [process for process in processes if "mlflow" in " ".join(process.cmdline())]
    finally:
        ui.send_signal(signal.SIGTERM)
        ui.wait()
    assert len(servers) == 2
    assert set(server["services"]["db_vacuum"]["enabled"]) == {"events", "flow_runs"}
    assert server["concurrency"]["lease_storage"].endswith(".filesystem")
    assert not address.exists()
    assert [process for process in processes if process.is_running() and process.status() != "zombie"] == []
