"""The very first flows on a machine, all at once and without a server: Prefect's database is made by one of them."""

from collections.abc import Callable

import pytest

from tests.dvc_repositories import DvcRepository


@pytest.mark.slow
def test_eight_first_runs_at_once(new_repository: Callable[[str], DvcRepository]) -> None:
    repositories = [new_repository(f"repository{number}") for number in range(8)]
    for repository in repositories:
        repository.stages(one={"cmd": "echo end > end", "outs": ["end"]})
    flows = [repository.start_flow_under_prefect() for repository in repositories]
    ends = [(flow.communicate()[0], flow.returncode) for flow in flows]
    assert [text for text, status in ends if status] == []
    assert {repository.read("end") for repository in repositories} == {"end\n"}
