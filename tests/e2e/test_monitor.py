"""The monitor flow by its command: quiet on the same data, an alarm and an event on others, one retraining for each."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.dvc_repositories import quiet_environment
from tests.projects import ROOT
from tests.unit.registry.candidates import TEXT_PARAMS, texts, write_candidate
from tests.unit.registry.proposals import crown
from tidemill.registry.registration import register

ADA = ("-c", "user.name=Ada", "-c", "user.email=ada@localhost")
TIDEMILL = str(Path(sys.executable).with_name("tidemill"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose champion is a version of `reviews`."""
    (tmp_path / "requirements").symlink_to(ROOT / "requirements")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    system = write_candidate(tmp_path, "reviews", TEXT_PARAMS + "    monitor: {retrain: true}\n", test_rows=200)
    register("reviews", system, tmp_path / "artifacts" / "reviews")
    crown("reviews", "1")
    return tmp_path


def ask(url: str, path: str, **body: Any) -> Any:
    request = urllib.request.Request(f"{url}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def test_an_alarm_starts_one_retraining(project: Path, prefect_url: str) -> None:
    texts(150, 9000).drop(columns="label").to_csv(project / "same.csv", index=False)
    pd.DataFrame({"text": ["nothing of this was ever seen before"] * 50}).to_csv(project / "other.csv", index=False)
    settings = {**quiet_environment(project), "PREFECT_API_URL": prefect_url}

    def monitor(file: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [TIDEMILL, "monitor", "reviews", file, "--deployment", "drill/drill", *options]
        return subprocess.run(command, cwd=project, env=settings, capture_output=True, text=True)

    params = project / "params.yaml"
    committed = params.read_text(encoding="utf-8")
    for command in (["init"], ["add", "params.yaml"], [*ADA, "commit", "-m", "Start"]):
        subprocess.run(["git", *command], cwd=project, env=settings, check=True, stdout=subprocess.DEVNULL)
    params.write_text("systems: [half a thought", encoding="utf-8")
    quiet = monitor("same.csv", "--commit", "HEAD")
    params.write_text(committed, encoding="utf-8")
    assert quiet.returncode == 0, quiet.stderr
    assert "150 rows are like those reviews/1 was tested on" in quiet.stdout

    missing = monitor("other.csv")
    assert missing.returncode == 1
    assert missing.stderr.splitlines()[-1].startswith("error: there is no deployment drill/drill")

    flow = ask(prefect_url, "flows/", name="drill")["id"]
    deployment = ask(prefect_url, "deployments/", name="drill", flow_id=flow)["id"]
    first, second = monitor("other.csv"), monitor("other.csv")
    assert (first.returncode, second.returncode) == (3, 3), first.stderr + second.stderr
    assert "text.length has drifted" in first.stdout and "drill/drill was started" in first.stdout
    assert "nothing was started" in second.stdout
    runs = ask(prefect_url, "flow_runs/filter", deployments={"id": {"any_": [deployment]}})
    assert len(runs) == 1
    assert drift_events(prefect_url, 2) == ["text.length has drifted"] * 2


def drift_events(url: str, number: int) -> list[str]:
    """The beginning of the reasons of each event about `reviews`, once the server has so many."""
    wanted = {"event": {"name": ["tidemill.drift"]}, "resource": {"id": ["tidemill.system.reviews"]}}
    end = time.monotonic() + 60
    while len(found := ask(url, "events/filter", filter=wanted)["events"]) < number and time.monotonic() < end:
        time.sleep(0.5)
    assert {event["payload"]["version"] for event in found} == {"reviews/1"}
    return [event["payload"]["reasons"].partition(":")[0] for event in found]
