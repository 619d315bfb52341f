"""What is disturbed: a registration and a promotion, each a process of its own, and what must stand after the next try."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fault.kills import PATHS
from tests.unit.registry.proposals import GRACE
from tidemill.registry import champion, promotion, statement
from tidemill.registry.audit import audit
from tidemill.tracking import store, tags

REGISTER = """
import sys
from pipelines.register import main
sys.argv[1:] = ["bars"]
main()
"""
APPROVE = """
import sys
from tidemill.cli.errors import one_line
from tidemill.registry import promotion
from tidemill.registry.identity import Identity
from tidemill.tracking import store
with one_line():
    who = Identity(f"{sys.argv[2]} <{sys.argv[2]}@localhost>", "git")
    promotion.approve(store.connect(), "bars", sys.argv[1], who, "good")
"""


@dataclass(frozen=True)
class Act:
    """A process that writes to the store, and a check of what it leaves; both in the project's folder."""

    name: str
    script: str
    arguments: tuple[str, ...]
    check: Callable[[], None]

    def start(self, *before: str, **environment: str) -> subprocess.Popen[str]:
        """Start it, by a command that stands before its own where one is given."""
        return subprocess.Popen(
            [*before, sys.executable, "-c", self.script, *self.arguments],
            env={**os.environ, "PYTHONPATH": PATHS, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *before: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        with self.start(*before, **environment) as process:
            said, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, said, errors)

    def fail_in_one_line(self, *before: str, **environment: str) -> bool:
        """Run it; return whether it failed, which it must tell in one line."""
        done = self.run(*before, **environment)
        assert done.returncode in (0, 1), done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode == 1

    def succeed(self, **environment: str) -> None:
        """Run it, undisturbed, and check what stands then."""
        done = self.run(**environment)
        assert done.returncode == 0, done.stderr
        self.check()

    def __str__(self) -> str:
        return self.name


def assert_registered_once() -> None:
    """One version, all of it: its tags, its signed statement, its files, and the run that it belongs to."""
    client = store.connect()
    (version,) = client.search_model_versions("name = 'bars'")
    assert client.get_registered_model("bars").aliases == {"challenger": version.version}
    stated = statement.of(version)
    assert stated is not None and statement.rewritten(version, stated) == []
    assert version.tags["tidemill.passed"] == "true" and "accuracy" in version.description
    (run,) = client.search_runs([client.get_experiment_by_name("bars").experiment_id])
    assert version.run_id == run.info.run_id and run.info.status == "FINISHED"
    assert {made.dataset.name for made in run.inputs.dataset_inputs} == {"bars/train", "bars/test"}
    with TemporaryDirectory() as scratch:
        stored = Path(client.download_artifacts(run.info.run_id, version.tags[tags.FOLDER], scratch))
        assert {"lineage.json", "report.html", "model"} <= {path.name for path in stored.iterdir()}


def assert_promoted_once() -> None:
    """Version 1 is the champion by one decision, which log, file and alias agree on."""
    client = store.connect()
    found = champion.find(client, "bars")
    assert found is not None and str(found.version) == "1"
    entries, wrong = audit(client, "bars")
    assert wrong == []
    assert [item.state for item in entries] == ["begun", "done"]
    assert promotion.approve(client, "bars", "1", GRACE, "good") in entries


REGISTRATION = Act("registration", REGISTER, (), assert_registered_once)
PROMOTION = Act("promotion", APPROVE, ("1", "grace"), assert_promoted_once)
