"""Every command that the README and the how-to pages show, on the project as it ships, shortened by params alone.

The commands run in the order of this file, one after the other on one project, as a user's would. They take half an hour,
so they are nightly tests; that no page shows a command that is missing here is tested each time, and `test_way.py` runs the
README's on a small project.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from tests.projects import BIN, ROOT, Project
from tests.shipped import read_params, shipped_project, write_params
from tidemill.core.tables import SPLITS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
TOOL = re.compile(r"(?:[A-Z_]+=\S+ )?(?:tidemill|dvc|make|mlflow|prefect|curl|git) \S.*")
MAKE = "make --old-file .venv/.stamp"
"""The environment is the one that runs the tests."""


@dataclass(frozen=True)
class Shown:
    """A command as a page shows it.

    Args:
        prints: what must be in its output.
        typed: what is run, where the page leaves something to the reader or a version has been decided on by then.
        then: what a user does next, without a page's word.
    """

    command: str
    prints: str = ""
    typed: str = ""
    then: str = ""

    def __str__(self) -> str:
        return self.command


FILES = ["news.csv", "new-reviews.csv", "reviews.csv", "recorded.parquet", "scans", "three.png", "prompts.jsonl"]
FILES += ["*predictions.csv", "*predictions.parquet", "traffic.jsonl"]
"""What the commands read and write, in the place of a user's own files."""
SAVE = "git add --all && git -c user.name=Ada -c user.email=ada@localhost commit --quiet -m Save"
FORGET = "git checkout --quiet -- params.yaml"
REVIEWER = "GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=Grace"
REVIEWER += " GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=grace@localhost"

NEW = [
    Shown("make run", "Look next: artifacts/<system>/evaluate/report.html", f"{MAKE} run", SAVE),
    Shown("tidemill status", "cached"),
    Shown("tidemill run --help", "--jobs"),
    Shown("tidemill check", "no mistake"),
    Shown("tidemill doctor", "Python"),
    Shown("tidemill fetch"),
    Shown("dvc status data.dvc", "up to date"),
    Shown("dvc metrics show", "artifacts/digits/evaluate/metrics.json"),
    Shown("dvc plots show", "file://"),
    Shown('tidemill ask models:/sentiment@challenger "房间干净，服务也好"', "sure"),
    Shown('tidemill ask models:/assistant@challenger "Who wrote it?" "The novel was written by Jane Austen."'),
    Shown('tidemill ask models:/stories@challenger "It was a truth"'),
    Shown('tidemill ask models:/stories@challenger "It was a truth" --option temperature=0.5 --option new_tokens=60'),
    Shown("tidemill predict models:/stories/1 prompts.jsonl --option temperature=0.5 --option 'stop=[\".\"]'"),
]
"""From the first run on, in their order."""
COMPARED = [
    Shown(
        'tidemill review approve digits 3 --why "fewer confused sevens"',
        "champion",
        f"{REVIEWER} tidemill review approve digits 1 --why first",
        f"for one in sentiment stories; do {REVIEWER} tidemill review approve $one 1 --why first; done && {SAVE}",
    ),
    Shown("dvc exp run -S systems.digits.training.lr=3e-4 evaluate@digits", "evaluate@digits"),
    Shown("dvc exp show --csv", "systems.digits.training.lr"),
    Shown("dvc metrics diff", "accuracy"),
    Shown("dvc diff", "artifacts/digits"),
    Shown("dvc repro train@digits", "didn't change"),
    Shown("dvc repro", "digits: version 2 is the challenger", then=SAVE),
    Shown("tidemill sweep digits", "sweep-digits.patch"),
    Shown("tidemill sweep digits --jobs 2", "sweep-digits.patch"),
    Shown("git apply sweep-digits.patch", then=f"rm sweep-digits.patch && {SAVE}"),
    Shown("tidemill run train@digits", "train@digits"),
    Shown("tidemill run digits", "digits: version 3 is the challenger", then=SAVE),
    Shown("tidemill ask models:/digits/3 three.png --json", '"prediction"'),
    Shown("tidemill review list", "digits"),
    Shown("tidemill review show digits 3", "tidemill review approve digits 3"),
    Shown("tidemill shadow digits --inputs FILE", "agree", "tidemill shadow digits --inputs recorded.parquet"),
    Shown("tidemill shadow digits --inputs recorded.parquet --labels label", "accuracy"),
    Shown("tidemill compare models:/digits/2 models:/digits/3", "training.lr"),
    Shown("tidemill compare", "training.lr", "tidemill compare models:/digits/1 models:/digits/2"),
    Shown("tidemill lineage", "params", "tidemill lineage models:/digits/3"),
    Shown("tidemill lineage --from-data d0193be1", "digits/3"),
    Shown("tidemill lineage --from-commit fa33578", "digits", "tidemill lineage --from-commit $(git rev-parse HEAD~1)"),
]
"""Until the first system has a champion and a challenger."""
DECIDED = [
    Shown(
        'tidemill review reject digits 3 --why "slower"',
        "2",
        f'{REVIEWER} tidemill review reject digits 2 --why "slower"',
    ),
    Shown("tidemill predict models:/digits/3 scans/ --output predictions.csv", "predictions.csv"),
    Shown("tidemill predict models:/sentiment@champion reviews.csv", "reviews.predictions.csv"),
    Shown("tidemill predict models:/sentiment@champion reviews.csv --flow"),
    Shown(
        "tidemill predict models:/digits@champion FILE",
        typed="tidemill predict models:/digits@champion recorded.parquet",
    ),
    Shown("tidemill monitor sentiment new-reviews.csv"),
    Shown("tidemill monitor digits FILE", typed="tidemill monitor digits recorded.parquet"),
    Shown("tidemill lineage models:/digits@champion", "digits"),
    Shown(
        'tidemill rollback digits --why "errors in service"',
        "digits",
        typed=(
            f"{REVIEWER} tidemill review approve digits 3 --why better"
            f' && {REVIEWER} tidemill rollback digits --why "errors in service"'
        ),
    ),
    Shown("dvc repro --single-item --force register@digits", "digits: version"),
    Shown("tidemill review sync"),
    Shown("tidemill audit", "digits"),
    Shown("tidemill audit --repair", "digits", then=SAVE),
    Shown("tidemill verify models:/digits/3", "provenance"),
    Shown("tidemill reproduce models:/digits/3", "bit"),
    Shown("tidemill retrain", "no"),
    Shown("dvc repro validate@sentiment", "didn't change"),
    Shown("dvc exp run -S systems.stories.training.precision=bf16 evaluate@stories", "evaluate@stories", then=FORGET),
    Shown("dvc exp run --queue -S systems.digits.training.lr=1e-4", "Queued", then="dvc exp remove --queue"),
    Shown(
        "tidemill new news --source news.csv --task text_classification",
        "news",
        "tidemill new news --source news.csv --task text_classification --budget 10s",
        FORGET,
    ),
    Shown("tidemill new news --source news.csv", "news", "tidemill new news --source news.csv --budget 10s"),
    Shown("tidemill run news", "news", then=FORGET),
    Shown("tidemill new tall --preset stories_124m", "tall", then=FORGET),
    Shown("tidemill new NAME --preset PRESET", "small", "tidemill new small --preset digits_small", FORGET),
    Shown("tidemill run", "cached"),
    Shown("tidemill run --jobs N", "cached", "tidemill run --jobs 2"),
    Shown("dvc push"),
    Shown("dvc pull", "up to date", "dvc pull && dvc pull"),  # the first removes what no system of params.yaml has made
    Shown("dvc pull data.dvc", "up to date"),
    Shown("dvc add data"),
    Shown("tidemill gc", typed="tidemill gc --yes"),
    Shown("dvc remote add --default shared s3://bucket/dvc"),
    Shown(
        "dvc remote modify shared endpointurl https://…",
        typed="dvc remote modify shared endpointurl https://s3.example.org",
        then="git checkout --quiet -- .dvc/config",
    ),
]
"""From the next decision on."""
COMMANDS = [*NEW, *COMPARED, *DECIDED]

ELSEWHERE = {
    "make test": "runs this very test",
    "make setup": "makes the environment that runs this very test: `make test` begins with it",
    "make lock": "asks the package registries for every pin: minutes, and other pins each day",
    "make lock UPGRADE=1": "as `make lock`",
    "dvc checkout": "after a merge that this project has none of: tests/e2e/test_way.py",
    "dvc gc": "the page says to use another",
    "dvc remote modify --local": "takes credentials; it needs the name of one",
    "git clone …; cd tidemill; make deploy": "needs a second machine; tests/e2e/test_deploy.py starts a worker for another's server",
    "mlflow server --app-name tidemill-guarded": "tests/security/test_guard.py",
    "mlflow server --app-name tidemill-guarded --workers 1 --backend-store-uri sqlite:///mlflow.db": "tests/security/test_guard.py",
    "tidemill notify sendgrid-email/team": "tests/e2e/test_notify.py: a message would leave this machine",
    "prefect work-pool create --type docker tidemill": "needs a Docker engine",
    "make deploy": "on a small project: tests/e2e/test_deploy.py",
    "prefect deployment run retrain/retrain": "tests/e2e/test_deploy.py runs deployments, test_retrain.py the flow",
    "prefect deployment run train/train --param 'stages=[\"digits\"]' --param jobs=2": "tests/e2e/test_deploy.py",
    "prefect deployment run train/train --param 'stages=[\"digits\"]'": "tests/e2e/test_deploy.py",
    "prefect deployment run review/review --param system=digits": "tests/e2e/test_review.py",
    "prefect deployment schedule ls retrain/retrain": "Prefect's own command, on a running server",
    "tidemill notify https://hooks.slack.com/services/…": "tests/e2e/test_notify.py",
    'prefect automation pause "Tell people"': "Prefect's own command, on a running server",
    "tidemill new talks --source talks.jsonl": "on other conversations: tests/unit/onboarding/test_new.py",
    'tidemill ask models:/talks@challenger "Where is the sea?"': "on other conversations: tests/stages/test_conversations.py",
    (
        """tidemill ask models:/talks@challenger '[{"role": "system", "content": "Be brief."}, """
        """{"role": "user", "content": "Where is the sea?"}]'"""
    ): "on other conversations: tests/stages/test_conversations.py",
    "tidemill clear": "removes the systems that all else runs: tests/unit/onboarding/test_clear.py",
    "tidemill run folds/dvc.yaml": "tests/stages/test_cross_validation.py plans it, and runs its stages by DVC",
    "tidemill run --jobs 4": "on a Dask cluster: tests/e2e/test_task_runners.py",
    "tidemill forget sentiment --rows asked.csv --dry-run": "on a small project: tests/e2e/test_forget.py",
    "tidemill forget sentiment --rows asked.csv": "on a small project: tests/e2e/test_forget.py",
}
"""What does not run here, and why, or which test runs it."""

SERVED = {
    "tidemill serve models:/sentiment@champion": (
        "curl -s http://127.0.0.1:8000/predict -H 'Content-Type: application/json'"
        ' -d \'{"rows": [{"text": "房间干净，服务也好"}]}\''
    ),
    "tidemill serve models:/digits@champion --shadow models:/digits@challenger --record traffic.jsonl": (
        "curl -s http://127.0.0.1:8000/comparison"
    ),
    "OMP_NUM_THREADS=2 tidemill serve …": "",
    "tidemill serve models:/stories@champion --limit seconds=30 --limit new_tokens=2000": "",
    "tidemill serve models:/sentiment@champion --host 0.0.0.0": "",
    "tidemill serve models:/digits@champion": "",
    "tidemill serve models:/digits@champion --log-requests": "",
    "tidemill serve … --shadow models:/digits@challenger": "",
    "MLFLOW_TRACKING_URI=sqlite:///.tidemill/mlflow/mlflow.db mlflow models serve --model-uri models:/digits@challenger --env-manager local --host 127.0.0.1": "",
}
"""Services, each with the request that the page shows for it."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The shipped project before its first run."""
    if shutil.which("apt-get") is None:
        pytest.skip("the novels come as a Debian package, and there is no apt-get here")
    made = shipped_project(tmp_path_factory.mktemp("shown") / "tidemill")
    params = read_params(made.folder)
    params["systems"]["digits"]["sweep"]["trials"] = 2
    for name in ("digits", "sentiment"):
        params["systems"][name]["gates"]["margin"] = (
            1.0  # so that later versions can be decided on, whatever they reach
        )
    write_params(made.folder / "params.yaml", params)
    made.run("git", "config", "user.name", "Ada")
    made.run("git", "config", "user.email", "ada@localhost")
    made.run("git", "commit", "--quiet", "--all", "-m", "Fewer trials")
    (made.folder / ".venv").symlink_to(BIN.parent, target_is_directory=True)
    with (made.folder / ".git/info/exclude").open(
        "a"
    ) as excluded:  # a version made from a dirty tree cannot be approved
        excluded.write("\n".join([".venv", *FILES]) + "\n")
    return made


def test_every_command_of_the_pages_is_run() -> None:
    run = {shown.command for shown in COMMANDS} | SERVED.keys() | {*SERVED.values()} | {"make ui"}
    shown = shown_commands()
    assert len(shown) > 60
    assert {one for one in shown if not _is_run(one, run)} == ELSEWHERE.keys()
    assert {one for one in run if one and one not in shown} == set()


@pytest.mark.nightly
@pytest.mark.timeout(1800)  # the first command is the whole pipeline
@pytest.mark.parametrize("shown", NEW, ids=str)
def test_a_command_of_a_new_project_works(project: Project, shown: Shown) -> None:
    _run(project, shown)
    if shown.command == "make run":
        write_files(project)


@pytest.mark.nightly
def test_the_python_of_the_pages_works(project: Project) -> None:
    """That of the page on the guarded server needs one: tests/security/test_guard.py."""
    for page in (one for one in PAGES if one.stem != "guard-the-registry"):
        blocks = [code for language, code in BLOCK.findall(page.read_text(encoding="utf-8")) if language == "python"]
        if blocks:
            project.run("python", "-c", "\n".join(blocks))


@pytest.mark.nightly
@pytest.mark.parametrize("shown", COMPARED, ids=str)
def test_a_command_about_two_versions_works(project: Project, shown: Shown) -> None:
    _run(project, shown)


@pytest.mark.nightly
@pytest.mark.parametrize("command", SERVED)
def test_a_service_works(project: Project, command: str) -> None:
    typed = command.replace("serve … --shadow", "serve models:/digits@champion --shadow").replace(
        "…", "models:/assistant@challenger"
    )
    address = "http://127.0.0.1:5000/ping" if "mlflow models" in command else "http://127.0.0.1:8000/"
    token = {"TIDEMILL_SERVE_TOKEN": "of at least twenty-four characters"} if "0.0.0.0" in command else {}
    with _service(project, typed, address, token):
        if request := SERVED[command]:
            assert '"version"' in (response := project.run("bash", "-c", request)) or '"agreement"' in response


@pytest.mark.nightly
@pytest.mark.parametrize("shown", DECIDED, ids=str)
def test_a_command_after_a_decision_works(project: Project, shown: Shown) -> None:
    _run(project, shown)


@pytest.mark.nightly
def test_the_pages_come_up(project: Project) -> None:
    ports = {name: str(_free_port()) for name in ("MLFLOW_PORT", "PREFECT_PORT")}
    with _service(project, f"{MAKE} ui", f"http://127.0.0.1:{ports['PREFECT_PORT']}/api/health", ports):
        assert urllib.request.urlopen(f"http://127.0.0.1:{ports['MLFLOW_PORT']}/").status == 200


def write_files(project: Project) -> None:
    """The files that the pages' commands name, made of the rows of the shipped systems."""
    splits = [pd.read_parquet(project.artifact("sentiment", f"ingest/{name}.parquet")) for name in SPLITS]
    reviews = pd.concat(splits, ignore_index=True)[["text", "label"]]
    for name in ("news.csv", "new-reviews.csv", "reviews.csv"):
        reviews.sample(400, random_state=0).to_csv(project.folder / name, index=False)
    digits = pd.read_parquet(project.artifact("digits", "ingest/test.parquet"))[["image", "label"]].head(200)
    digits.to_parquet(project.folder / "recorded.parquet")
    (project.folder / "scans").mkdir()
    for number, image in enumerate(digits["image"].head(3)):
        (project.folder / f"scans/{number}.png").write_bytes(image)
    (project.folder / "three.png").write_bytes(digits["image"].iloc[0])
    (project.folder / "prompts.jsonl").write_text('{"text": "It was a truth"}\n', encoding="utf-8")


def shown_commands() -> set[str]:
    """Return the commands of the pages, each line of a block and each piece of prose that starts with a tool's name."""
    found = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for language, block in BLOCK.findall(text):
            if language in ("", "sh"):
                lines = [re.split(r"\s+# ", line)[0].strip() for line in block.splitlines()]
                found.update(line for line in lines if TOOL.fullmatch(line))
        found.update(code for code in re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)) if TOOL.fullmatch(code))
    return found


def _is_run(shown: str, run: set[str]) -> bool:
    """Whether a command is run, or it is the beginning of one that is: prose names `dvc exp run -S` alone."""
    beginning = shown.removesuffix("…").strip()
    return shown in run or any(f"{one} ".startswith(f"{beginning} ") for one in run)


def _run(project: Project, shown: Shown) -> None:
    command = re.sub(r"^make ", f"{MAKE} ", shown.typed or shown.command)
    assert shown.prints in project.run("bash", "-c", command)
    if shown.then:
        project.run("bash", "-c", shown.then)


@contextmanager
def _service(
    project: Project, command: str, address: str, settings: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service until the block ends: Ctrl-C, after which all its processes must be gone."""
    environment = project.environment | (settings or {})
    process = subprocess.Popen(["bash", "-c", command], cwd=project.folder, env=environment, start_new_session=True)
    try:
        _until(lambda: _responds(address), process)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)


def _until(happens: Any, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.5)


def _responds(address: str) -> bool:
    try:
        return bool(urllib.request.urlopen(address, timeout=5).status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
