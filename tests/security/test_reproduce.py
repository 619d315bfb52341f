"""Attacks by what a version's lineage has `tidemill reproduce` run: nothing runs before it was verified, shown and agreed to."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.registry.proposals import as_before, changed, propose, start, stored
from tidemill.core.errors import TidemillError
from tidemill.provenance.reproduce import reproduce
from tidemill.registry import history

DIFF = """diff --git a/pipelines/__init__.py b/pipelines/__init__.py
new file mode 100644
index 0000000..1234567
--- /dev/null
+++ b/pipelines/__init__.py
@@ -0,0 +1 @@
+open("/tmp/owned", "w")
"""


def falsify(folder: Path) -> None:
    """Put code into the lineage of a version."""
    document = folder / "lineage.json"
    lineage = json.loads(document.read_text())
    document.write_text(json.dumps(lineage | {"code": lineage["code"] | {"diff": DIFF, "dirty": True}}))


def command(*options: str) -> subprocess.CompletedProcess[str]:
    program = [str(Path(sys.executable).with_name("tidemill")), "reproduce", "models:/bars/1", *options]
    return subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_code_in_a_falsified_lineage_does_not_run(proposed: Path) -> None:
    with changed(stored(proposed, "bars", "1")) as folder:
        falsify(folder)
        done = command("--trust")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["error: models:/bars/1: lineage.json is not what was signed"]


def test_code_in_an_unsigned_lineage_is_shown_and_does_not_run_unasked(proposed: Path) -> None:
    with as_before(proposed, "bars", "1") as folder:
        falsify(folder)
        done = command()
    assert done.returncode == 1
    *shown, told = done.stderr.splitlines()
    assert "by Ada <ada@localhost>" in shown[0] and shown[0].endswith(": Start")
    assert '+open("/tmp/owned", "w")' in shown
    assert told == (
        "error: models:/bars/1 was not reproduced: its lineage is not signed: only the model is; files differ from its "
        "commit: read what is shown above, and add --trust to run it"
    )


def test_the_difference_of_a_dirty_version_is_shown_and_agreed_to(project: Path) -> None:
    start(project)
    (project / "params.yaml").write_text((project / "params.yaml").read_text() + "# changed\n")
    subprocess.run(["git", "add", "params.yaml"], check=True)
    (project / ".gitignore").write_text((project / ".gitignore").read_text() + "/other/\n")
    propose(project, seed=0, wrong=9)
    version, shown, asked = history.find("models:/bars/1"), [], []
    with pytest.raises(TidemillError, match="not reproduced: files differ from its commit: read what is shown"):
        reproduce(version, False, None, shown.append, lambda reasons: asked.append(reasons) is not None)
    assert asked == [["files differ from its commit"]] and "+/other/" in shown
    with pytest.raises(TidemillError) as told:
        reproduce(version, False, None, shown.append, lambda _: True)
    assert "not reproduced:" not in str(told.value)  # it went on, to a project that has no stages


def test_a_commit_of_another_branch_is_agreed_to(project: Path) -> None:
    start(project)
    for arguments in (
        ["checkout", "--quiet", "-b", "other"],
        ["commit", "--quiet", "--allow-empty", "-m", "Elsewhere"],
    ):
        subprocess.run(["git", *arguments], check=True)
    propose(project, seed=0, wrong=9)
    subprocess.run(["git", "checkout", "--quiet", "-"], check=True)
    with pytest.raises(TidemillError, match="not reproduced: its commit is not in the history of this branch"):
        reproduce(history.find("models:/bars/1"), False, None, print)


CONTENTS = ("[" * 10_000, "[]", "no JSON", '{"code": "x"}', '{"dvc": {"stages": {"train@bars": 1}}}', '{"data": 1}')


def test_a_lineage_that_cannot_be_read_is_one_line(proposed: Path) -> None:
    with as_before(proposed, "bars", "1") as folder:
        for content in CONTENTS:
            (folder / "lineage.json").write_text(content)
            with pytest.raises(TidemillError, match=r"^models:/bars/1: lineage\.json [^\n]*$"):
                reproduce(history.find("models:/bars/1"), False, None, print)
