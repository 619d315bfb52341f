"""The very first flows on a machine, all at once and without a server: Prefect's database is made by one of them."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.dvc_repositories import DvcRepository
from tests.projects import ROOT

FLOW = """
import os, sys
sys.path.insert(0, os.environ["ROOT"])
from flows import settings
settings.apply()
from flows.temporary_server import start_if_none_is_named
start_if_none_is_named()
from flows.pipeline import train
sys.exit(not train(return_state=True).is_completed())
"""
"""As the commands that search, retrain or monitor begin; `tidemill run` needs no Prefect where no server is named."""


@pytest.mark.slow
def test_eight_first_runs_at_once(new_repository: Callable[[str], DvcRepository]) -> None:
    repositories = [new_repository(f"repository{number}") for number in range(8)]
    for repository in repositories:
        repository.stages(one={"cmd": "echo end > end", "outs": ["end"]})
    flows = [
        subprocess.Popen(
            [sys.executable, "-c", FLOW],
            cwd=repository.folder,
            env=repository.environment | {"ROOT": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for repository in repositories
    ]
    ends = [(flow.communicate()[0], flow.returncode) for flow in flows]
    assert [text for text, status in ends if status] == []
    assert {repository.read("end") for repository in repositories} == {"end\n"}
