"""The packaged model: takes what a user has, answers as the trained one, and holds nothing that runs when read."""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.unit.registry.candidates import PARAMS, TEXT_PARAMS, write_candidate
from tidemill.errors import TidemillError
from tidemill.registry import package
from tidemill.tasks._predictor import Predictor


def packaged(project: Path, name: str, params: str) -> tuple[Path, pd.DataFrame, Predictor]:
    """The MLflow model's folder, the test rows, and the trained model it must agree with."""
    system = write_candidate(project, name, params)
    folder = project / "artifacts" / name
    test = pd.read_parquet(folder / "ingest" / "test.parquet")
    package.package(folder / "train" / "model", system.task, test, project / "packaged")
    return project / "packaged", test, Predictor(folder / "train" / "model")


def same(found: Any, expected: pd.DataFrame) -> bool:
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected.reset_index(drop=True))
    return True


def test_pictures_as_a_user_has_them(project: Path) -> None:
    folder, test, predictor = packaged(project, "bars", PARAMS)
    expected = predictor.predict(test)
    model = mlflow.pyfunc.load_model(str(folder))
    pixels = np.stack([np.asarray(Image.open(BytesIO(image))) for image in test["image"]])
    assert same(model.predict(test), expected)
    assert same(model.predict({"image": pixels}), expected)
    assert same(model.predict(pd.DataFrame({"image": list(pixels)})), expected)
    assert same(model.predict([{"image": picture} for picture in pixels.tolist()]), expected)
    assert same(model.predict(model.input_example), expected.head(2))
    assert list(expected) == [column.name for column in model.metadata.get_output_schema()]
    with pytest.raises(TidemillError, match="'no picture' is not the base64 of a picture"):
        model.predict([{"image": "no picture"}])


def test_texts_as_a_user_has_them(project: Path) -> None:
    folder, test, predictor = packaged(project, "reviews", TEXT_PARAMS)
    model = mlflow.pyfunc.load_model(str(folder))
    assert same(model.predict(test), predictor.predict(test))
    assert same(model.predict({"text": list(test["text"][:3])}), predictor.predict(test[:3]))
    assert same(model.predict([{"text": "very nice"}]), predictor.predict(["very nice"]))
    assert same(model.predict(model.input_example), predictor.predict(test[:2]))


def test_another_process_runs_the_model_with_its_own_code(project: Path) -> None:
    folder, test, predictor = packaged(project, "bars", PARAMS)
    code = (
        "import mlflow, json, sys; model = mlflow.pyfunc.load_model('packaged'); import tidemill\n"
        "answers = model.predict(model.input_example)\n"
        "print(json.dumps([tidemill.__file__, list(answers['confidence'])]))"
    )
    settings = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run([sys.executable, "-c", code], cwd=project, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    source, confidence = json.loads(done.stdout.splitlines()[-1])
    assert Path(source).is_relative_to(folder)
    assert confidence == pytest.approx(list(predictor.predict(test)["confidence"][:2]))


def test_every_file_is_of_an_allowed_format_and_none_is_a_pickle(project: Path) -> None:
    folder, _, _ = packaged(project, "reviews", TEXT_PARAMS)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= package.SAFE_FORMATS
    assert {"model.safetensors", "config.json", "tokenizer.json", "MLmodel"} <= {path.name for path in files}
    # A pickle of protocol 2 or later starts with byte 0x80; PyTorch's archives are zip files.
    assert not [path for path in files if path.read_bytes()[:1] == b"\x80" or path.read_bytes()[:2] == b"PK"]


def test_a_pickle_beside_the_weights_is_refused(project: Path) -> None:
    folder = project / "model"
    folder.mkdir()
    (folder / "optimizer.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(TidemillError, match=r"not allowed: optimizer\.pkl"):
        package.check_formats(folder)


def test_requirements_are_those_of_the_lock(project: Path, tmp_path: Path) -> None:
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / "base.lock").write_text("numpy==2.4.6 \\\n    --hash=sha256:aa\nruamel-yaml==0.19.1 ; os_name == 'x' \\\n")
    assert package.pinned(("ruamel-yaml", "numpy"), locks) == ["ruamel-yaml==0.19.1", "numpy==2.4.6"]
    with pytest.raises(TidemillError, match="pins no torch"):
        package.pinned(("numpy", "torch"), locks)
    pinned = package.pinned(package.REQUIREMENTS, Path("requirements"))
    assert "torch==2.13.0" in pinned
    assert not [requirement for requirement in pinned if "+" in requirement]
