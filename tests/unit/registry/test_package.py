"""The packaged model: it takes what a user has, predicts as the trained one, and holds nothing that runs when read."""

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

import tidemill
from tests.unit.registry.candidates import PARAMS, TEXT_PARAMS, write_candidate
from tidemill.core.errors import TidemillError
from tidemill.inference.predictor import Predictor
from tidemill.registry import package


def packaged(project: Path, name: str, params: str) -> tuple[Path, pd.DataFrame, Predictor]:
    """The MLflow model's folder, the test rows, and the trained model it must agree with."""
    system = write_candidate(project, name, params)
    folder = project / "artifacts" / name
    test = pd.read_parquet(folder / "ingest" / "test.parquet")
    package.package(folder / "train" / "model", system["task"], test, project / f"packaged-{name}")
    return project / f"packaged-{name}", test, Predictor(folder / "train" / "model")


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


LOAD_BOTH = """
import json, mlflow
found = []
for folder in ("packaged-bars", "packaged-reviews"):
    model = mlflow.pyfunc.load_model(folder)
    found.append(list(model.predict(model.input_example)["confidence"]))
import tidemill
print(json.dumps([tidemill.__file__, found]))
"""


def test_another_process_loads_versions_with_their_own_code(project: Path) -> None:
    """By plain MLflow, where no path holds the project's code; the second finds its own model and task as well."""
    folder, pictures, of_pictures = packaged(project, "bars", PARAMS)
    _, texts, of_texts = packaged(project, "reviews", TEXT_PARAMS)
    settings = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run([sys.executable, "-c", LOAD_BOTH], cwd=project, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    source, found = json.loads(done.stdout.splitlines()[-1])
    assert Path(source).is_relative_to(folder)
    for confidence, predictor, test in zip(found, (of_pictures, of_texts), (pictures, texts), strict=True):
        assert confidence == pytest.approx(list(predictor.predict(test)["confidence"][:2]))


def test_a_version_of_older_code_loads_where_the_new_code_is_imported(project: Path) -> None:
    """Its `pyfunc_model.py` imports the predictor from where it was then."""
    folder, test, predictor = packaged(project, "reviews", TEXT_PARAMS)
    loader = folder / "pyfunc_model.py"
    older = loader.read_text().replace("tidemill.inference.predictor import", "tidemill.tasks._predictor import")
    assert "_predictor import" in older
    loader.write_text(older)
    assert same(mlflow.pyfunc.load_model(str(folder)).predict(test), predictor.predict(test))


def test_a_version_carries_the_code_that_it_needs_and_no_other(project: Path) -> None:
    folder, _, _ = packaged(project, "bars", PARAMS)
    code = folder / "code" / "tidemill"
    found = {path.relative_to(code).as_posix() for path in code.rglob("*") if path.is_file()}
    rooms = {"core", "tokens", "inference", "models/common", "models/mlp"}
    house = Path(tidemill.__file__).parent
    expected = {path.relative_to(house).as_posix() for room in rooms for path in (house / room).rglob("*.py")}
    parts = {f"tasks/{part}/{name}.py" for part in ("common", "image_classification") for name in package.PARTS}
    packages = ("", "models/", "tasks/", "tasks/common/", "tasks/image_classification/")
    assert found == expected | parts | {f"{name}__init__.py" for name in packages}


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
