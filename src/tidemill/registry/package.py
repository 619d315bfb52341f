"""Packaging a trained model for MLflow: the code that loads it, weights and JSON, a signature, and pinned requirements."""

import base64
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

import tidemill
from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json
from tidemill.core.params import Params
from tidemill.core.spec import Spec
from tidemill.models.common.networks import CONFIG
from tidemill.tasks.common import prediction, rows

REQUIREMENTS = (
    "lightgbm",
    "mlflow",
    "numpy",
    "pandas",
    "pillow",
    "pyarrow",
    "pydantic",
    "ruamel-yaml",
    "safetensors",
    "scikit-learn",
    "tokenizers",
    "torch",
    "transformers",
)
"""What a prediction needs; the versions are those of the lock files."""

CODE = ("core", "tokens", "inference", "models/common")
"""Rooms that every version needs to load and predict, beside its own model's."""
PARTS = ("rows", "encoding", "prediction")
"""What it needs of its own task, and of what tasks share."""

SAFE_FORMATS = {".safetensors", ".json", ".py", ".typed", ".txt", ".yaml", ".yml", ".j2", ".html", ".css", ".js", ""}
"""Suffixes that a packaged model may hold; `MLmodel` has none. Pickles and compiled code are not among them."""


def package(model: Path, task: str, examples: pd.DataFrame, folder: Path) -> None:
    """Write the MLflow model of a trained one.

    Args:
        model: folder with `model.safetensors`, `config.json` and what else the task needs.
        task: name of the task, whose `INPUTS` are the columns of the signature, and whose `Options` its params.
        examples: some rows as a user has them; the first two become the input example.
        folder: where to write; it must not exist.

    Raises:
        TidemillError: the lock files lack a package, or the model holds a file of a format that is not safe.
    """
    import mlflow

    config = read_json(model / CONFIG)
    columns = list(rows.inputs(task, config["spec"]))
    example = examples[columns].head(2).reset_index(drop=True)
    encoded = [column for column in columns if isinstance(example[column].iloc[0], bytes)]
    with TemporaryDirectory() as scratch:
        mlflow.pyfunc.save_model(
            folder,
            python_model=Path(__file__).with_name("pyfunc_model.py"),
            artifacts={"model": str(model)},
            code_paths=[str(copied_code(config["model"]["name"], task, Path(scratch)))],
            model_config={"bytes": encoded},
            signature=signature(columns, encoded, prediction.of(task).Options, config["spec"]),
            input_example=example.assign(**{column: example[column].map(_base64) for column in encoded}),
            pip_requirements=pinned(REQUIREMENTS, Path("requirements")),
        )
    check_formats(folder)


def copied_code(model: str, task: str, folder: Path) -> Path:
    """Copy the code that a version needs to load and predict, and nothing else, as a package `tidemill` in a folder."""
    source, package = Path(tidemill.__file__).parent, folder / "tidemill"
    for room in (*CODE, f"models/{model}"):
        shutil.copytree(source / room, package / room, ignore=shutil.ignore_patterns("__pycache__"))
    parts = [f"tasks/{part}/{name}" for part in ("common", task) for name in ("__init__", *PARTS)]
    for module in ("__init__", "models/__init__", "tasks/__init__", *parts):
        target = package / f"{module}.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / f"{module}.py", target)
    return package


def signature(inputs: list[str], encoded: list[str], options: type[Params] | None, spec: Spec) -> Any:
    """Return the signature: a text is a string column; a picture one of bytes, base64 text, or pixels in (nested) lists; a
    column of a table is one of anything, since its cells are read whatever they are written as."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, Array, ColSpec, DataType, Schema

    anything: Any = AnyType()
    params: Any = None if options is None else _params(options)
    any_of = inputs if "columns" in spec else encoded
    kind = DataType.double if "target" in spec else DataType.string
    predictions = [ColSpec(kind, "prediction"), ColSpec(DataType.double, "confidence")]
    probabilities = [] if "target" in spec else [ColSpec(Array(DataType.double), "probabilities")]
    return ModelSignature(
        inputs=Schema([ColSpec(anything if name in any_of else DataType.string, name) for name in inputs]),
        outputs=Schema([*predictions, *probabilities]),
        params=params,
    )


def _params(options: type[Params]) -> Any:
    """Return the params that MLflow accepts with a request: each option with its type and default."""
    from mlflow.types.schema import DataType, ParamSchema, ParamSpec

    kinds = {
        "integer": DataType.long,
        "number": DataType.double,
        "boolean": DataType.boolean,
        "string": DataType.string,
    }

    def spec(name: str, described: dict[str, Any]) -> ParamSpec:
        kind = next(one for one in described.get("anyOf", [described]) if one["type"] != "null")
        listed = kind["type"] == "array"
        single = kind["items"] if listed else kind
        return ParamSpec(name, kinds[single["type"]], described["default"], shape=(-1,) if listed else None)

    described = options.model_json_schema()["properties"]
    return ParamSchema([spec(name, one) for name, one in described.items()])


def pinned(packages: tuple[str, ...], locks: Path) -> list[str]:
    """Return each package with the version that the lock files of a folder pin."""
    lines = "\n".join(path.read_text(encoding="utf-8") for path in sorted(locks.glob("*.lock")))
    versions = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", lines, flags=re.MULTILINE))
    missing = [package for package in packages if package not in versions]
    if missing:
        raise TidemillError(f"{locks}/*.lock pins no {', '.join(missing)}: lock the environment again")
    return [f"{package}=={versions[package]}" for package in packages]


def check_formats(folder: Path) -> None:
    """Refuse a model that holds anything but formats known to run no code when read, and Python source."""
    unsafe = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in SAFE_FORMATS]
    if unsafe:
        raise TidemillError(f"the model holds a file of a format that is not allowed: {unsafe[0].relative_to(folder)}")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
