"""The train flow on DVC repositories, by its command, as a user runs it."""

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import running_prefect
from tests.dvc_repositories import DVC, DvcRepository
from tests.postgresql import PostgreSQL

NewRepository = Callable[[str], DvcRepository]


def diamonds(systems: str = "ab") -> dict[str, Any]:
    """Two stages on two branches for each system, joined at the end; made with `foreach` as real pipelines are."""
    return {
        "left": {
            "foreach": list(systems),
            "do": {"cmd": "cat seed > ${item}.left", "deps": ["seed"], "outs": ["${item}.left"]},
        },
        "right": {
            "foreach": list(systems),
            "do": {"cmd": "wc -c < seed > out/${item}.right", "deps": ["seed"], "outs": ["out/${item}.right"]},
        },
        "join": {
            "foreach": list(systems),
            "do": {
                "cmd": 'echo "{\\"accuracy\\": 0.5}" > ${item}.json',
                "deps": ["${item}.left", "out/${item}.right"],
                "params": ["scale"],
                "metrics": [{"${item}.json": {"cache": False}}],
            },
        },
    }


def make(repository: DvcRepository, **stages: dict[str, Any]) -> DvcRepository:
    repository.write("seed", "corn\n")
    repository.write("params.yaml", "scale: 1\n")
    repository.write("out/.gitignore", "# ours\n\n/other\n")
    repository.stages(**(stages or diamonds()))
    return repository


def ask(url: str, path: str, **body: Any) -> Any:
    request = urllib.request.Request(f"{url}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def last_run(url: str) -> dict[str, Any]:
    run: dict[str, Any] = ask(url, "flow_runs/filter", sort="START_TIME_DESC", limit=1)[0]
    return run


def test_records_are_those_of_a_serial_repro(repository: DvcRepository, new_repository: NewRepository) -> None:
    make(repository)
    serial = make(new_repository("serial"))
    serial.repro()
    assert repository.flow("--jobs", "4").returncode == 0
    for name in ("dvc.lock", ".gitignore", "out/.gitignore"):
        assert repository.read(name) == serial.read(name)
    before = repository.read("dvc.lock")
    assert "up to date" in repository.repro()
    assert repository.read("dvc.lock") == before


SCRIPT = """
import json, pathlib, sys
*sources, target = map(pathlib.Path, sys.argv[1:])
found = "".join(part.read_text() for one in sources for part in ([one] if one.is_file() else sorted(one.iterdir())))
if target.suffix == ".json":
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"avg_prec": len(found) / 1000, "points": [{"x": 0, "y": 1}, {"x": 1, "y": 0}]}))
else:
    target.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        (target / f"{split}.tsv").write_text(f"{found}{split}\\n")
"""
EXAMPLE = """
vars: [{data: data}]
stages:
  prepare:
    cmd: python src/stage.py parts/clean ${data}/prepared
    deps: [parts/clean, src/stage.py]
    params: [prepare.seed, prepare.split]
    outs: [data/prepared]
  featurize:
    cmd: python src/stage.py data/prepared data/features
    deps: [data/prepared, src/stage.py]
    params: [featurize]
    outs: [data/features]
  train:
    matrix: {trees: [10, 20]}
    cmd: python src/stage.py data/features models/${item.trees}
    deps: [data/features, src/stage.py]
    outs: [{"models/${item.trees}": {persist: true, desc: a forest}}]
  evaluate:
    cmd: python src/stage.py models/10 models/20 eval/metrics.json
    deps: [models/10, models/20, src/stage.py]
    metrics: [{eval/metrics.json: {cache: false}}]
params: [params.yaml]
metrics: [eval/metrics.json]
plots: [{ROC: {x: x, y: {eval/metrics.json: y}}}]
artifacts: {forest: {path: models/10, type: model}}
"""
NESTED = """
stages:
  clean:
    wdir: ..
    cmd: python src/stage.py data/data.xml parts/clean
    deps: [data/data.xml]
    outs: [parts/clean]
"""


def test_a_repository_in_the_shape_of_dvcs_own_examples(
    repository: DvcRepository, new_repository: NewRepository
) -> None:
    """Data under `dvc add`, folders, nested params, `matrix`, top-level metrics, plots and artifacts, a second dvc.yaml."""
    serial = new_repository("serial")
    for each in (repository, serial):
        each.write("src/stage.py", SCRIPT)
        each.write("data/data.xml", "<row/>\n")
        each.write("params.yaml", "prepare: {split: 0.2, seed: 20170428}\nfeaturize: {max_features: 200}\n")
        each.write("dvc.yaml", EXAMPLE)
        each.write("parts/dvc.yaml", NESTED)
        each.command(str(DVC), "add", "--quiet", "data/data.xml")
    serial.repro()
    run = repository.flow()
    assert run.returncode == 0, run.stdout
    assert "avg_prec" in repository.command(str(DVC), "metrics", "show")
    assert repository.read("dvc.lock") == serial.read("dvc.lock")
    assert repository.read("parts/dvc.lock") == serial.read("parts/dvc.lock")
    assert "up to date" in repository.repro("--all-pipelines")


def test_a_change_runs_what_it_touches_and_no_more(repository: DvcRepository, prefect_url: str) -> None:
    make(repository)
    repository.repro()
    repository.write("params.yaml", "scale: 2\n")
    dry = repository.flow("--dry-run").stdout
    assert re.search(r"join@a +run +params.yaml: scale modified", dry)
    assert re.search(r"left@a +cached", dry)

    assert repository.flow().returncode == 0
    run = last_run(prefect_url)
    assert run["state"]["message"] == "stages: 2 ran, 4 cached"
    tasks = ask(prefect_url, "task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
    assert {task["name"]: task["state"]["name"] for task in tasks} == {
        **dict.fromkeys(["left@a", "left@b", "right@a", "right@b"], "Cached"),
        **dict.fromkeys(["join@a", "join@b"], "Completed"),
    }
    artifacts = ask(prefect_url, "artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}})
    assert "| join@a | accuracy | 0.5 |" in artifacts[0]["data"]
    assert re.search(r"\| join@a \| completed \| [\d.]+ \| params.yaml: scale modified \|", artifacts[0]["data"])


def test_the_same_output_stops_the_change(repository: DvcRepository, prefect_url: str) -> None:
    make(
        repository, first={"cmd": "wc -c < seed > size", "deps": ["seed"], "outs": ["size"]}, second=copy("size", "end")
    )
    repository.repro()
    repository.write("seed", "oats\n")
    assert re.search(r"second +may run +if first gives another output", repository.flow("--dry-run").stdout)
    assert repository.flow().returncode == 0
    assert last_run(prefect_url)["state"]["message"] == "stages: 1 ran, 1 cached"


def test_outputs_come_back_from_the_run_cache(repository: DvcRepository, prefect_url: str) -> None:
    make(repository, only=copy("seed", "end"))
    repository.repro()
    repository.write("seed", "oats\n")
    repository.repro()
    repository.write("seed", "corn\n")
    assert repository.flow().returncode == 0
    assert repository.read("end") == "corn\n"
    assert last_run(prefect_url)["state"]["message"] == "stages: 0 ran, 1 cached"


def copy(source: str, target: str, **more: Any) -> dict[str, Any]:
    return {"cmd": f"cat {source} > {target}", "deps": [source], "outs": [target], **more}


def test_independent_stages_run_at_the_same_time(repository: DvcRepository) -> None:
    """Each of two stages waits for a file that the other makes: one after the other they would never end."""
    meet = "touch here.{0}; while [ ! -e here.{1} ]; do sleep 0.05; done; echo met > met.{0}"
    stages = {one: {"cmd": meet.format(one, two), "outs": [f"met.{one}"]} for one, two in ("ab", "ba")}
    make(repository, **stages)
    assert repository.flow("--jobs", "2").returncode == 0


def test_a_limit_keeps_stages_apart(repository: DvcRepository) -> None:
    """`mkdir` fails where another stage holds the folder; three jobs, but one with the GPU at a time."""
    hold = "mkdir gpu && sleep 0.3 && rmdir gpu && echo done > {0}"
    make(
        repository, **{name: {"cmd": hold.format(name), "outs": [name], "meta": {"limits": ["gpu"]}} for name in "abc"}
    )
    assert repository.flow("--jobs", "3", "--limit", "gpu=1").returncode == 0


def test_sixteen_stages_at_once_all_succeed(repository: DvcRepository) -> None:
    make(repository, **{f"stage{number}": copy("seed", f"end{number}") for number in range(16)})
    run = repository.flow("--jobs", "16")
    assert run.returncode == 0, run.stdout
    assert "up to date" in repository.repro()


def test_failure_keeps_what_does_not_depend_on_it(repository: DvcRepository, prefect_url: str) -> None:
    fails = copy("seed", "broken", cmd="echo the corn is wet >&2; exit 1")
    make(repository, bad=fails, after=copy("broken", "never"), one=copy("seed", "two"), two=copy("two", "three"))
    run = repository.flow("--keep-going", "--jobs", "2")
    assert run.returncode == 1
    assert repository.read("three") == "corn\n"
    assert not (repository.folder / "never").exists()
    tasks = ask(prefect_url, "task_runs/filter", flow_runs={"id": {"any_": [last_run(prefect_url)["id"]]}})
    [state] = [task["state"] for task in tasks if task["name"] == "bad"]
    assert (state["name"], state["message"].splitlines()[-1]) == ("Failed", "the corn is wet")
    assert re.search(r"after +not run", run.stdout)


def test_failure_ends_the_run(repository: DvcRepository) -> None:
    make(repository, bad=copy("seed", "broken", cmd="exit 3"), one=copy("seed", "two"))
    assert repository.flow("--jobs", "1").returncode == 1
    assert not (repository.folder / "two").exists()


def test_a_stage_killed_from_outside_is_tried_again(repository: DvcRepository) -> None:
    once = "if [ ! -e tried ]; then touch tried; kill -9 $$; fi; echo yes > end"
    make(
        repository, killed={"cmd": once, "outs": ["end"]}, failed={"cmd": "echo x >> count; exit 1", "outs": ["never"]}
    )
    assert repository.flow("--keep-going").returncode == 1
    assert repository.read("end") == "yes\n"
    assert repository.read("count") == "x\n"


def test_frozen_and_always_changed_stages(repository: DvcRepository) -> None:
    count = {"cmd": "echo x >> count; cat count > end", "outs": ["end"], "always_changed": True}
    make(repository, frozen=copy("seed", "old", frozen=True), always=count)
    repository.write("old", "kept\n")
    repository.repro()
    repository.write("seed", "oats\n")
    run = repository.flow()
    assert run.returncode == 0, run.stdout
    assert (repository.read("old"), repository.read("end")) == ("kept\n", "x\nx\n")


def test_output_and_environment_of_a_stage(repository: DvcRepository) -> None:
    script = r"printf '\r 10%%\r 50%%\r100%%\n'; echo threads $OMP_NUM_THREADS; python -c 'import dvc'; echo end > end"
    repository.write("script", script)
    make(repository, shown={"cmd": "sh script", "outs": ["end"]})
    text = repository.flow("--jobs", "1", OMP_NUM_THREADS="3", PATH="/usr/bin:/bin").stdout
    assert re.search(r"\| shown \| 100%", text)
    assert "50%" not in text
    assert re.search(r"\| shown \| threads 3", text)
    assert repository.read("end") == "end\n"


def test_stages_are_forks_of_the_flow(new_repository: NewRepository) -> None:
    """The process above a stage's command was never started anew: its command line is that of `tidemill run`."""
    repository = new_repository("repository")
    repository.stages(who={"cmd": "tr '\\0' ' ' < /proc/$PPID/cmdline > above", "outs": ["above"]})
    run = repository.flow()
    assert run.returncode == 0, run.stdout
    assert repository.read("above").endswith("tidemill run ")


def test_the_task_of_a_stage_says_where_its_pages_are(repository: DvcRepository, prefect_url: str) -> None:
    registration = "artifacts/corn/register/registration.json"
    recorded = json.dumps({"name": "corn", "version": "3", "run_id": "0f"})
    repository.write("recorded", recorded)
    pages = {"cmd": f"cp recorded {registration}; echo page > report.html", "outs": [registration, "report.html"]}
    repository.write("artifacts/corn/register/.gitignore", "")
    make(repository, **{"Pages": pages})
    run = repository.flow(MLFLOW_TRACKING_URI="https://mlflow.example.org")
    assert run.returncode == 0, run.stdout
    artifacts = ask(prefect_url, "artifacts/filter", artifacts={"flow_run_id": {"any_": [last_run(prefect_url)["id"]]}})
    (page,) = [artifact["data"] for artifact in artifacts if artifact["key"] == "pages"]
    assert "`report.html`" in page
    assert "[version 3](https://mlflow.example.org/#/models/corn/versions/3)" in page
    (whole,) = [artifact["data"] for artifact in artifacts if artifact["key"] == "results"]
    assert page in whole


def test_a_cached_run_starts_neither_prefect_nor_torch(new_repository: NewRepository) -> None:
    repository = make(new_repository("repository"))
    repository.repro()
    run = repository.flow(PYTHONPROFILEIMPORTTIME="1")
    assert run.returncode == 0
    assert re.search(r"join@a +cached", run.stdout)
    imported = set(re.findall(r"\| +([\w.]+)$", run.stdout, re.MULTILINE))
    assert "dvc.repo" in imported
    assert not {"prefect", "torch", "mlflow"} & imported
    assert not (repository.folder.parent / "prefect").exists()


def test_with_a_server_on_postgresql(repository: DvcRepository, postgresql: PostgreSQL, tmp_path: Path) -> None:
    database = postgresql.new_database("prefect").replace("postgresql:", "postgresql+asyncpg:")
    (tmp_path / "server").mkdir()
    with running_prefect(tmp_path / "server", PREFECT_SERVER_DATABASE_CONNECTION_URL=database) as url:
        repository.environment["PREFECT_API_URL"] = url
        run = make(repository).flow()
        assert run.returncode == 0, run.stdout
        assert last_run(url)["state"]["type"] == "COMPLETED"
    assert not list((tmp_path / "server").rglob("prefect.db"))
    assert "up to date" in repository.repro()


def test_without_a_server_configured(new_repository: NewRepository) -> None:
    repository = make(new_repository("repository"))
    run = repository.flow("join@a", "--force")
    assert run.returncode == 0, run.stdout
    assert json.loads(repository.read("a.json")) == {"accuracy": 0.5}
    assert not (repository.folder / "b.left").exists()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["jion"], "no stage, group or system is named jion; did you mean join?"),
        (["--limit", "gpu"], "'gpu' is not NAME=N"),
        (["--jobs", "0"], "Input should be greater than or equal to 1"),
    ],
)
def test_mistakes_on_the_command_line(new_repository: NewRepository, arguments: list[str], error: str) -> None:
    run = make(new_repository("repository")).flow(*arguments)
    assert run.returncode != 0
    assert error in run.stdout


def test_outside_a_repository(new_repository: NewRepository) -> None:
    repository = new_repository("repository")
    repository.folder = repository.folder.parent
    run = repository.flow()
    assert run.returncode == 1
    assert len(run.stdout.splitlines()) == 1
