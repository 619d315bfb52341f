"""Batch prediction with a real store: every layout, kills, versions that move, rows that cannot be read."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.dvc_repositories import quiet_environment
from tests.unit.registry.candidates import PARAMS, TEXT_PARAMS, picture, pictures, texts, write_candidate
from tidemill.cli import app
from tidemill.core.errors import TidemillError
from tidemill.registry.registration import register
from tidemill.registry.versions import MODEL as MODEL_FILES
from tidemill.serving.batch import Progress, predict
from tidemill.serving.loading import load
from tidemill.tracking.store import connect

REPOSITORY = Path(__file__).parents[3]
MODEL = "models:/reviews@challenger"
TIDEMILL = str(Path(sys.executable).with_name("tidemill"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with two registered systems: `bars` of pictures, `reviews` of texts."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "requirements").symlink_to(REPOSITORY / "requirements")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        for name, params in (("bars", PARAMS), ("reviews", TEXT_PARAMS)):
            register(name, write_candidate(folder, name, params), folder / "artifacts" / name)
        yield folder


@pytest.fixture
def reviews(project: Path, tmp_path: Path) -> pd.DataFrame:
    return texts(50, 0)[["id", "text"]].assign(stars="5")


def silent(progress: Progress) -> None:
    """Nobody looks."""


def expected(rows: pd.DataFrame) -> pd.DataFrame:
    return load(MODEL).predictor.predict(rows)


def test_csv(reviews: pd.DataFrame, tmp_path: Path) -> None:
    reviews.loc[3, "text"] = 'a "quoted", cell\nof two lines'
    reviews.to_csv(tmp_path / "new.csv", index=False)
    reports: list[Progress] = []
    done = predict(MODEL, tmp_path / "new.csv", reports.append, rows=7)
    assert (done.output.name, done.rows, done.unanswered) == ("new.predictions.csv", 50, 0)
    written = pd.read_csv(done.output, dtype={"id": str, "stars": str})
    pd.testing.assert_frame_equal(written[["id", "text", "stars"]], reviews)
    assert list(written["prediction"]) == list(expected(reviews)["prediction"])
    assert written["confidence"].to_numpy() == pytest.approx(expected(reviews)["confidence"].to_numpy())
    assert set(written["version"]) == {"reviews/1"}
    assert [report.rows for report in reports] == [7, 14, 21, 28, 35, 42, 49, 50]
    assert not list(tmp_path.glob(".*"))


def test_tsv_keeps_its_tabs_and_its_flawed_lines(reviews: pd.DataFrame, tmp_path: Path) -> None:
    lines = reviews.to_csv(sep="\t", index=False).splitlines()
    lines.insert(5, "one\ttwo")
    (tmp_path / "new.tsv").write_text("\n".join(lines) + "\n")
    done = predict(MODEL, tmp_path / "new.tsv", silent, rows=4)
    written = pd.read_csv(done.output, sep="\t", dtype=str)
    assert (done.rows, done.unanswered, len(written)) == (51, 1, 51)
    assert written.loc[4, ["id", "prediction", "reason"]].fillna("").tolist() == [
        "one",
        "",
        "2 fields where the header has 3",
    ]
    assert written.drop(index=4)["prediction"].notna().all()


def test_jsonl_keeps_what_a_line_held(reviews: pd.DataFrame, tmp_path: Path) -> None:
    records = [{"text": text, "nested": {"a": [1, 2.0]}, "n": number} for number, text in enumerate(reviews["text"])]
    records[1]["extra"] = None
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, records)) + "\nnot json\n")
    done = predict(MODEL, tmp_path / "new.jsonl", silent, rows=40)
    written = [json.loads(line) for line in done.output.read_text().splitlines()]
    made = {"prediction", "confidence", "version", "reason"}
    assert [{k: v for k, v in line.items() if k not in made} for line in written] == [*records, {}]
    assert written[-1]["prediction"] is None and written[-1]["reason"].startswith("not JSON")
    assert [line["prediction"] for line in written[:-1]] == list(expected(reviews)["prediction"])


def test_parquet_keeps_its_types_and_bad_pictures_are_named(project: Path, tmp_path: Path) -> None:
    rows = pictures(30, 0).assign(taken=pd.date_range("2026-01-01", periods=30), size=range(30))
    rows.at[11, "image"] = b"no picture"
    rows.to_parquet(tmp_path / "new.parquet", index=False)
    done = predict("models:/bars/1", tmp_path / "new.parquet", silent, rows=8)
    written = pd.read_parquet(done.output)
    pd.testing.assert_frame_equal(written[list(rows)], rows)
    assert written.index[written["prediction"].isna()].tolist() == [11]
    assert "not a readable picture" in written["reason"][11]
    assert done.unanswered == 1


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_a_folder_of_pictures(project: Path, tmp_path: Path, ending: str) -> None:
    for number in range(9):
        path = tmp_path / "new" / f"box{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number % 3, 200))
    done = predict("models:/bars/1", tmp_path / "new", silent, tmp_path / f"out{ending}", rows=4)
    written = pd.read_parquet(done.output) if ending == ".parquet" else pd.read_csv(done.output, dtype=str)
    assert written["file"].tolist() == sorted(f"box{n % 2}/{n}.png" for n in range(9))
    assert written["prediction"].notna().all()


def test_other_names_of_columns(reviews: pd.DataFrame, tmp_path: Path) -> None:
    reviews.rename(columns={"text": "said"}).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(TidemillError, match=r"no column 'text'; it has: id, said, stars: .*--column text=NAME"):
        predict(MODEL, tmp_path / "new.csv", silent)
    done = predict(MODEL, tmp_path / "new.csv", silent, columns={"text": "said"})
    assert list(pd.read_csv(done.output)) == ["id", "said", "stars", "prediction", "confidence", "version", "reason"]


def test_a_prediction_is_not_an_input(reviews: pd.DataFrame, tmp_path: Path) -> None:
    reviews.assign(prediction="x").to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(TidemillError, match="has a column 'prediction'"):
        predict(MODEL, tmp_path / "new.csv", silent)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("reviews@champion", "names no version"),
        ("models:/reviews@champion", "is not in the registry"),
        ("models:/reviews/9", "is not in the registry"),
    ],
)
def test_no_such_version(reviews: pd.DataFrame, tmp_path: Path, address: str, message: str) -> None:
    reviews.to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(TidemillError, match=message):
        predict(address, tmp_path / "new.csv", silent)


def flipped(file: Path) -> None:
    """Flip the last bit of a file."""
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda files: flipped(files / MODEL_FILES / "model.safetensors"), "artifacts/model/model.safetensors"),
        (lambda files: (files / MODEL_FILES / "added.json").write_text("{}"), "artifacts/model/added.json"),
        (lambda files: (files / MODEL_FILES / "config.json").write_text("{}"), "artifacts/model/config.json"),
        (lambda files: (files / "model.sig").unlink(), r"models:/reviews/1: .* is not what was signed: .*model\.sig"),
        (
            lambda files: shutil.copy(files / "report.html", files / "model.sig"),
            r"is not what was signed: .*model\.sig",
        ),
        (lambda files: shutil.copy(stored("bars") / "model.sig", files), "is not what was signed"),
    ],
    ids=["flipped byte", "added file", "swapped config", "no signature", "other file", "signature of another"],
)
def test_what_is_not_as_signed_is_refused(
    project: Path, reviews: pd.DataFrame, tmp_path: Path, change: Callable[[Path], object], named: str
) -> None:
    files = stored("reviews")
    shutil.copytree(files, tmp_path / "kept")
    reviews.to_csv(tmp_path / "new.csv", index=False)
    change(files)
    try:
        with pytest.raises(TidemillError, match=named) as refused:
            predict(MODEL, tmp_path / "new.csv", silent)
    finally:
        shutil.rmtree(files)
        shutil.copytree(tmp_path / "kept", files)
    assert len(str(refused.value).splitlines()) == 1
    assert not list(tmp_path.glob("*predictions*"))


def test_a_signed_model_in_the_place_of_another_is_refused(project: Path, tmp_path: Path) -> None:
    files = stored("bars")
    shutil.copytree(files, tmp_path / "kept")
    for name in ("model", "model.sig"):
        shutil.rmtree(files / name, ignore_errors=True)
    shutil.copytree(stored("reviews"), files, dirs_exist_ok=True)
    try:
        with pytest.raises(
            TidemillError, match="models:/bars/1 is not what was signed: its tags point to the files of another version"
        ):
            load("models:/bars/1")
    finally:
        shutil.rmtree(files)
        shutil.copytree(tmp_path / "kept", files)


def stored(system: str) -> Path:
    """What the artifact store holds of the first version of a system."""
    run = connect().get_model_version(system, "1").run_id
    [signature] = Path(f".tidemill/mlflow/artifacts/{system}/{run}").rglob("model.sig")
    return signature.parent


def test_one_row_asked_at_the_terminal(project: Path, tmp_path: Path) -> None:
    (tmp_path / "bar.png").write_bytes(picture(1, 200))
    [drawn] = load("models:/bars/1").predictor.predict([picture(1, 200)]).to_dict("records")
    shown = CliRunner().invoke(app, ["ask", "models:/bars/1", str(tmp_path / "bar.png")])
    assert shown.output == f"{drawn['prediction']}  ({drawn['confidence']:.0%} sure)\n"
    [said] = expected(pd.DataFrame({"text": ["very nice"]})).to_dict("records")
    answer = json.loads(CliRunner().invoke(app, ["ask", MODEL, "very nice", "--json"]).output)
    assert answer["prediction"] == said["prediction"]
    assert answer["probabilities"] == pytest.approx(said["probabilities"])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["models:/bars/1", "none.png"], "none.png is not a readable picture: No such file"),
        ([MODEL, "nice", "--option", "seed=1"], "text_classification takes no options; there is 'seed'"),
        (["models:/reviews/9", "nice"], "models:/reviews/9 is not in the registry"),
    ],
)
def test_a_wrong_question_is_told(project: Path, asked: list[str], told: str) -> None:
    error = str(CliRunner().invoke(app, ["ask", *asked]).exception)
    assert error.startswith("error: ") and told in error


def test_killed_at_any_time_it_goes_on(project: Path, tmp_path: Path) -> None:
    """Kill -9 four times at different depths; in the end the output is that of a run which never stopped."""
    rows = pd.concat([texts(500, n * 500)[["id", "text"]] for n in range(10)], ignore_index=True)
    rows.to_csv(tmp_path / "new.csv", index=False)
    whole = predict(MODEL, tmp_path / "new.csv", silent, tmp_path / "whole.csv", rows=100).output.read_bytes()
    command = [str(Path(sys.executable).with_name("tidemill")), "predict", MODEL, str(tmp_path / "new.csv")]
    command += ["--rows", "100"]
    first_rows: list[int] = []
    for kill_after in (1, 2, None):
        with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            reported = 0
            for line in process.stdout:
                fresh = line.split(" · ")[-1] != "0 rows/s\n"
                reported += fresh
                if fresh and reported == 1:
                    first_rows.append(int(re.sub(r"\D", "", line.split(" rows")[0])))
                if kill_after and reported == kill_after * 5:
                    process.kill()
                    break
    assert (tmp_path / "new.predictions.csv").read_bytes() == whole
    assert first_rows[0] < first_rows[1] < first_rows[2]
    assert not list(tmp_path.glob(".*"))


def test_the_flow(project: Path, reviews: pd.DataFrame, tmp_path: Path, prefect_url: str) -> None:
    reviews.to_parquet(tmp_path / "new.parquet", index=False)
    settings = {**quiet_environment(tmp_path), "PREFECT_API_URL": prefect_url}

    def flow(model: str) -> subprocess.CompletedProcess[str]:
        command = [TIDEMILL, "predict", "--flow", model, str(tmp_path / "new.parquet")]
        return subprocess.run(command, cwd=project, env=settings, capture_output=True, text=True)

    done = flow(MODEL)
    assert done.returncode == 0, done.stderr
    assert "50 of 50 rows" in done.stderr
    assert len(pd.read_parquet(tmp_path / "new.predictions.parquet")) == 50
    assert (
        flow("models:/reviews/9").stderr.splitlines()[-1].startswith("error: models:/reviews/9 is not in the registry")
    )
