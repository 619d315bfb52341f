"""The train flow beside a serial `dvc repro` on the same repository: the same records, the same files, the same choice."""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.dvc_repositories import DVC, DvcRepository

NewRepository = Callable[[str], DvcRepository]
Pair = tuple[DvcRepository, DvcRepository]


@pytest.fixture
def pair(new_repository: NewRepository) -> Pair:
    """A repository for the flow and one for `dvc repro`."""
    made = new_repository("parallel"), new_repository("serial")
    for each in made:
        each.write("seed", "corn\n")
    return made


def on_both(pair: Pair, **stages: dict[str, Any]) -> None:
    for each in pair:
        each.stages(**stages)


def run_both(pair: Pair, *arguments: str, flow: tuple[str, ...] = ()) -> str:
    """Run both ways, hold their records against each other, and return what the flow printed."""
    parallel, serial = pair
    serial.repro(*arguments)
    run = parallel.flow(*arguments, "--jobs", "4", *flow)
    assert run.returncode == 0, run.stdout
    for name in ("dvc.lock", ".gitignore"):
        assert content(parallel, name) == content(serial, name)
    return run.stdout


def content(repository: DvcRepository, name: str) -> bytes:
    path = repository.folder / name
    return path.read_bytes() if path.exists() else b""


def copy(source: str, target: str, before: str = "", **more: Any) -> dict[str, Any]:
    return {"cmd": f"{before}cat {source} > {target}", "deps": [source], "outs": [target], **more}


def test_a_frozen_stage_comes_after_what_it_reads(pair: Pair) -> None:
    frozen = copy("middle", "end", frozen=True)
    on_both(pair, start=copy("seed", "begun", "sleep 2; "), first=copy("begun", "middle"), frozen=frozen)
    for each in pair:
        each.write("end", "kept\n")
    run_both(pair)
    for each in pair:
        each.write("seed", "oats\n")
    run_both(pair)
    assert pair[0].read("end") == "kept\n"


def test_a_frozen_stage_comes_before_what_it_reads_where_it_does_so_in_a_serial_run(pair: Pair) -> None:
    on_both(pair, frozen=copy("middle", "end", "sleep 1; ", frozen=True), first=copy("seed", "middle"))
    for each in pair:
        each.write("end", "kept\n")
        each.write("middle", "old\n")
    run_both(pair)


def test_names_with_braces(pair: Pair) -> None:
    each = {"foreach": ["{x}", "a b"], "do": copy("seed", "'${item}'", outs=["${item}"])}
    on_both(pair, one=each, two=copy("'{x}'", "'{0}'", deps=["{x}"], outs=["{0}"]))
    printed = run_both(pair)
    assert re.search(r"one@\{x\} +completed", printed)
    assert "Traceback" not in printed


@pytest.mark.parametrize("ignored", [b"# ours\r\n/other\r\n", b"# \xe4hren\n/other", b"*.tmp\n\n"])
def test_a_gitignore_of_any_kind_is_as_dvc_alone_leaves_it(pair: Pair, ignored: bytes) -> None:
    """The first stage ends last: its entry has to be moved, and nothing else."""
    for each in pair:
        (each.folder / ".gitignore").write_bytes(ignored)
    on_both(pair, first=copy("seed", "one", "sleep 1; "), second=copy("seed", "[two]", "", outs=["[two]"]))
    run_both(pair)
    assert content(pair[0], ".gitignore").startswith(ignored)


def test_entries_of_the_lock_file_are_those_that_dvc_writes(pair: Pair) -> None:
    """Long commands that are folded, several lines, quotes, names that YAML takes for numbers, params, metrics."""
    for each in pair:
        each.write("params.yaml", "rate: 0.1\nname: 'yes'\nlayers: [1, 2, {deep: null}]\n")
    long = "echo " + " ".join(["a rather long command that has to be folded by whoever writes it"] * 4)
    on_both(
        pair,
        **{
            "007": {"cmd": f"{long} > seven", "outs": ["seven"]},
            "lines": {"cmd": ["echo '# one: two' > x", 'echo "it\'s" >> x'], "deps": ["seed"], "outs": ["x"]},
            "block": {"cmd": "echo one > y\necho 'two: {three}' >> y\n", "deps": ["x"], "outs": ["y"]},
            "params": {"cmd": "echo 1 > z.json", "params": ["rate", "name", "layers"], "metrics": ["z.json"]},
            "folder": {"cmd": "mkdir d && cp seed d/a", "deps": ["seed"], "outs": [{"d": {"cache": False}}]},
        },
    )
    run_both(pair)
    for each in pair:
        each.write("seed", "oats\n")
        each.write("params.yaml", "rate: 0.2\nname: 'no'\nlayers: []\n")
    run_both(pair)


def test_a_dependency_that_changes_during_the_run_is_seen(pair: Pair) -> None:
    """The first stage, which always runs, edits what the second one reads, and does not say so."""
    edits = {"cmd": "[ ! -e on ] || echo new > other; echo x > end", "outs": ["end"], "always_changed": True}
    on_both(pair, edits=edits, reads=copy("other", "copied"))
    for each in pair:
        each.write("other", "old\n")
        each.repro()
        each.write("on", "")
    run_both(pair, flow=("--jobs", "1"))
    assert pair[0].read("copied") == "new\n"


def test_a_killed_run_leaves_no_other_order(pair: Pair) -> None:
    """The second stage has ended and stands in dvc.lock when the flow is killed; a serial run puts it second."""
    parallel, _ = pair
    wait = "while [ ! -e go ]; do sleep 0.1; done; "
    on_both(pair, first=copy("seed", "one", wait), second=copy("seed", "two"))
    flow = parallel.start_flow("--jobs", "2")
    while "second:" not in content(parallel, "dvc.lock").decode():
        assert flow.poll() is None, flow.communicate()[0]
        time.sleep(0.1)
    flow.kill()
    flow.communicate()
    for each in pair:
        each.write("go", "")
    run_both(pair)
    assert not list((parallel.folder / ".dvc" / "tmp").glob("flow-*"))


def test_single_items_and_what_depends_on_what_ran(pair: Pair) -> None:
    stages = {"one": copy("seed", "a"), "two": copy("a", "b"), "three": copy("b", "c", "echo >> count; ")}
    on_both(pair, **stages)
    run_both(pair)
    for each in pair:
        each.write("seed", "oats\n")
    run_both(pair, "--single-item", "two")
    assert pair[0].read("b") == "corn\n"
    for each in pair:  # another command with the same output: nothing after it changes by itself
        each.stages(**stages | {"one": copy("seed", "a", ": ; "), "two": copy("a", "b", cmd="echo same > b")})
        each.repro()
        each.write("seed", "rye\n")
    run_both(pair, "--force-downstream")
    assert pair[0].read("count") == pair[1].read("count")


def test_patterns_and_folders(pair: Pair) -> None:
    on_both(pair, one=copy("seed", "a"), two=copy("a", "b"), other=copy("seed", "c"))
    for each in pair:
        each.write("sub/dvc.yaml", "stages: {inner: {cmd: cat ../c > d, deps: [../c], outs: [d]}}\n")
    run_both(pair, "--glob", "t*")
    assert not (pair[0].folder / "c").exists()
    run_both(pair, "--recursive", "sub")
    assert pair[0].read("sub/d") == "corn\n"
    assert content(pair[0], "sub/dvc.lock") == content(pair[1], "sub/dvc.lock")


def test_what_is_only_missing(pair: Pair) -> None:
    on_both(pair, one=copy("seed", "a"), two=copy("a", "b"))
    run_both(pair)
    for each in pair:
        (each.folder / "a").unlink()
    run_both(pair, "--allow-missing")
    assert not (pair[0].folder / "a").exists()
    for each in pair:
        remote = each.folder.parent / f"{each.folder.name}-remote"
        each.command(str(DVC), "remote", "add", "--quiet", "--default", "there", str(remote))
        each.command(str(DVC), "checkout", "--quiet")
        each.command(str(DVC), "push", "--quiet", "--run-cache")
        each.command("rm", "-r", ".dvc/cache", "a", "b")
    printed = run_both(pair, "--pull")
    assert pair[0].read("b") == "corn\n"
    assert "> cat" not in printed  # nothing ran


def test_without_the_cache(pair: Pair) -> None:
    on_both(pair, one=copy("seed", "a", "echo >> count; "))
    run_both(pair, "--no-commit")
    assert not list((pair[0].folder / ".dvc").glob("cache/files/md5/??/*"))
    run_both(pair, "--force")
    for each in pair:
        (each.folder / "dvc.lock").unlink()
    run_both(pair, "--no-run-cache")
    assert pair[0].read("count") == pair[1].read("count") == "\n\n\n"


def test_much_output_does_not_slow_a_stage(repository: DvcRepository) -> None:
    """100,000 lines, and 40 MB without a newline: seconds, and all of it in the stage's own file."""
    lines = f"{sys.executable} -c 'for n in range(100_000): print(n)' && echo x > lines"
    wide = "head -c 40000000 /dev/zero | tr '\\0' x; echo; echo x > wide"
    repository.stages(lines={"cmd": lines, "outs": ["lines"]}, wide={"cmd": wide, "outs": ["wide"]})
    printed = repository.flow().stdout
    seconds = {name: float(took) for name, took in re.findall(r"^(\w+) +completed +([\d.]+)", printed, re.MULTILINE)}
    assert seconds.keys() == {"lines", "wide"}
    assert max(seconds.values()) < 20
    assert "99999" in printed
    logs = repository.folder / ".dvc" / "tmp" / "flow" / "logs"
    assert [int(line) for line in (logs / "lines.log").read_text().splitlines() if line.isdigit()] == list(
        range(100_000)
    )
    assert (logs / "wide.log").read_bytes().count(b"x") >= 40_000_000
    assert len(printed) < 3_000_000


@pytest.mark.parametrize(
    ("cmd", "note"),
    [
        (f"{sys.executable} fails.py", "exited with 1: ValueError: the corn is wet"),
        ("echo made nothing", "output 'end' does not exist"),
        ("echo stopped here; exit 7", "exited with 7: stopped here"),
    ],
)
def test_the_note_tells_the_error(new_repository: NewRepository, cmd: str, note: str) -> None:
    repository = new_repository("repository")
    script = "import atexit\natexit.register(print, 'closing the barn')\nraise ValueError('the corn is wet')\n"
    repository.write("fails.py", script)
    repository.stages(bad={"cmd": cmd, "outs": ["end"]})
    run = repository.flow()
    assert re.search(rf"^bad +failed +[\d.]+ +{re.escape(note)}", run.stdout, re.MULTILINE), run.stdout


def test_python_is_that_of_the_active_environment(new_repository: NewRepository) -> None:
    repository = new_repository("repository")
    own = repository.folder / "venv" / "bin"
    repository.write("venv/bin/python", "#!/bin/sh\necho own\n")
    (own / "python").chmod(0o755)
    repository.stages(which={"cmd": 'python > which; echo "threads:$OMP_NUM_THREADS:" >> which', "outs": ["which"]})
    environment = {"VIRTUAL_ENV": str(own.parent), "PATH": f"{own}:/usr/bin:/bin"}
    repository.environment.pop("OMP_NUM_THREADS", None)
    run = repository.flow(**environment)
    assert run.returncode == 0, run.stdout
    assert repository.read("which") == "own\nthreads::\n"


HOLD = "mkdir {gpu} && sleep 1 && rmdir {gpu} && echo done > end"
"""Fails where another stage holds the folder."""


@pytest.mark.parametrize("limits", ["gpu", ["gpu"]])
def test_a_limit_holds_across_runs(repository: DvcRepository, new_repository: NewRepository, limits: Any) -> None:
    other = new_repository("other")
    other.environment["PREFECT_API_URL"] = repository.environment["PREFECT_API_URL"]
    both = (repository, other)
    gpu = repository.folder.parent / "gpu"
    for each in both:
        each.stages(fit={"cmd": HOLD.format(gpu=gpu), "outs": ["end"], "meta": {"limits": limits}})
    folder = str(repository.folder.parent / "limits")
    flows = [
        repository.start_flow("--limit", "gpu=1", TIDEMILL_LIMITS_FOLDER=folder),
        other.start_flow(TIDEMILL_LIMITS="gpu=1,database=3", TIDEMILL_LIMITS_FOLDER=folder),
    ]
    for flow in flows:
        text, _ = flow.communicate()
        assert flow.returncode == 0, text


@pytest.mark.parametrize(
    ("limits", "arguments", "error"),
    [
        (["gpu"], ["--limit", "gup=1"], "no stage has a limit named gup; did you mean gpu?"),
        (3, [], "dvc.yaml: fit: meta.limits is a name or a list of names, not 3"),
        ({"gpu": 1}, [], "dvc.yaml: fit: meta.limits is a name or a list of names, not {'gpu': 1}"),
        (["gpu", None], [], "dvc.yaml: fit: meta.limits is a name or a list of names, not ['gpu', None]"),
    ],
)
def test_limits_that_are_none(new_repository: NewRepository, limits: Any, arguments: list[str], error: str) -> None:
    repository = new_repository("repository")
    repository.stages(fit={"cmd": "echo x > end", "outs": ["end"], "meta": {"limits": limits}})
    run = repository.flow(*arguments)
    assert run.returncode == 1
    assert run.stdout == f"error: {error}\n"


@pytest.mark.parametrize("limits", [None, [], "gpu"])
def test_limits_that_stand_for_themselves(new_repository: NewRepository, limits: Any) -> None:
    repository = new_repository("repository")
    repository.stages(fit={"cmd": "echo x > end", "outs": ["end"], "meta": {"limits": limits}})
    run = repository.flow("--dry-run")
    assert re.search(r"^fit +run +never run", run.stdout, re.MULTILINE), run.stdout


def test_limits_of_the_machine_that_cannot_be_read(new_repository: NewRepository) -> None:
    repository = new_repository("repository")
    repository.stages(fit={"cmd": "echo x > end", "outs": ["end"]})
    run = repository.flow(TIDEMILL_LIMITS="gpu")
    assert (run.returncode, run.stdout) == (1, "error: 'gpu' is not NAME=N with N at least 1, as in gpu=1\n")


def test_nothing_is_left_beside_the_work(new_repository: NewRepository) -> None:
    repository = new_repository("repository")
    repository.stages(one={"cmd": "echo x > end", "outs": ["end"]})
    assert repository.flow().returncode == 0
    repository.write(".dvc/tmp/flow-killed.lock", "")  # of a flow that was killed when all was done
    assert repository.flow().returncode == 0
    left = {path.name for path in Path(repository.folder, ".dvc", "tmp").rglob("*") if path.is_file()}
    assert {"durations.json", "one.log"} <= left
    assert not {name for name in left if name.endswith((".partial", "dvc.lock")) or name.startswith("flow-")}
