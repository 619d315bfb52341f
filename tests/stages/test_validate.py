"""The validate stage as DVC runs it: sound tables give a summary and pages, broken ones stop it with the rows named."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tidemill.core.files import read_json

REPOSITORY = Path(__file__).parents[2]
PARAMS = """
systems:
  reviews:
    task: text_classification
    source: {path: data/reviews, format: text, options: {label: name}}
    ingest: {}
    validate: {}
    tokenize: {}
    model: {name: lstm}
    training: {}
    evaluate: {}
    gates: {}
"""
MARKUP = "<script>document.title = 'taken'</script>"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose ingested tables are sound."""
    (tmp_path / "params.yaml").write_text(PARAMS, encoding="utf-8")
    folder = tmp_path / "artifacts" / "reviews" / "ingest"
    folder.mkdir(parents=True)
    for split, start in (("train", 0), ("valid", 40), ("test", 80)):
        _table(start).to_parquet(folder / f"{split}.parquet", index=False)
    return tmp_path


def run_stage(project: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.validate", "reviews"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def outputs(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_sound_tables(project: Path) -> None:
    done = run_stage(project)
    assert (done.returncode, done.stderr) == (0, "")
    first = outputs(project / "artifacts" / "reviews" / "validate")
    pages = {f"docs/{name}.html" for name in ("index", "train", "valid", "test", "splits")}
    assert set(first) == {"validation.json", *pages}
    assert all(b"://" not in first[page] for page in pages), "a page needs nothing from elsewhere"
    assert str(project).encode() not in b"".join(first.values())

    run_stage(project)
    assert outputs(project / "artifacts" / "reviews" / "validate") == first
    assert {entry.name for entry in project.iterdir()} == {"params.yaml", "artifacts"}


def test_broken_tables_stop_it_and_name_the_rows(project: Path) -> None:
    test_file = project / "artifacts" / "reviews" / "ingest" / "test.parquet"
    broken = _table(80)
    broken.loc[4, "label"] = MARKUP
    broken.to_parquet(test_file, index=False)
    done = run_stage(project)
    assert done.returncode == 1
    named = f"1 of 40 rows: {84:016x} label={MARKUP!r}"
    assert named in done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert "test: expect_column_values_to_be_in_set(column='label'" in done.stderr
    assert named in done.stderr
    assert not (project / "artifacts" / "reviews" / "validate").exists()

    failed = project / "artifacts" / "reviews" / "validate.failed"
    assert str(failed.relative_to(project) / "docs" / "index.html") in done.stderr
    assert read_json(failed / "validation.json")["success"] is False
    page = (failed / "docs" / "index.html").read_text(encoding="utf-8")
    assert f"{84:016x}" in page
    assert MARKUP not in page, "a value of the data is shown, never run"

    _table(80).to_parquet(test_file, index=False)
    assert run_stage(project).returncode == 0
    assert not failed.exists()


def test_a_missing_table(project: Path) -> None:
    (project / "artifacts" / "reviews" / "ingest" / "valid.parquet").unlink()
    done = run_stage(project)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "valid.parquet" in done.stderr


def _table(start: int) -> pd.DataFrame:
    numbers = range(start, start + 40)
    return pd.DataFrame(
        {
            "id": [f"{number:016x}" for number in numbers],
            "text": [f"review {number}: 很好" for number in numbers],
            "label": ["good", "bad"] * 20,
            "row": [f"reviews.txt:{number + 1}" for number in numbers],
        }
    )
