"""`tidemill run` that is ended leaves what the flow leaves that is ended: no process, no lock, no half-made output."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dvc_repositories import DvcRepository, quiet_environment
from tests.fault.stubborn import assert_ended_with_its_flow, stubborn

TIDEMILL = str(Path(sys.executable).with_name("tidemill"))


class Commanded(DvcRepository):
    """A repository whose flow is started as a user does."""

    def start_flow(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [TIDEMILL, "run", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_ending_the_command_ends_its_stages(tmp_path: Path, prefect_url: str, number: signal.Signals) -> None:
    environment = quiet_environment(tmp_path) | {"PREFECT_API_URL": prefect_url}
    assert_ended_with_its_flow(stubborn(Commanded(tmp_path / "repository", environment)), number)
