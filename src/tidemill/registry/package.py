"""Packaging a trained model for MLflow: its own code, weights and JSON, a signature, and pinned requirements."""

import base64
import re
from pathlib import Path
from typing import Any

import pandas as pd

import tidemill
from tidemill import tasks
from tidemill.config import Params
from tidemill.errors import TidemillError

REQUIREMENTS = (
    "mlflow",
    "numpy",
    "pandas",
    "pillow",
    "pyarrow",
    "pydantic",
    "ruamel-yaml",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
)
"""What answering needs; the versions are those of the lock."""

SAFE_FORMATS = {".safetensors", ".json", ".py", ".typed", ".txt", ".yaml", ".yml", ".j2", ".html", ".css", ".js", ""}
"""Suffixes a packaged model may hold; `MLmodel` has none. Pickles and compiled code are not among them."""


def package(model: Path, task: str, examples: pd.DataFrame, folder: Path) -> None:
    """Write the MLflow model of a trained one.

    Args:
        model: folder with `model.safetensors`, `config.json` and what else the task needs.
        task: name of the task, whose `INPUTS` are the columns of the signature, and whose `Options` its params.
        examples: some rows as a user has them; the first two become the input example.
        folder: where to write; it must not exist.

    Raises:
        TidemillError: the lock lacks a package, or the model holds a file of a format that is not safe.
    """
    import mlflow

    loaded = tasks.load(task)
    columns = list(loaded.INPUTS)
    rows = examples[columns].head(2).reset_index(drop=True)
    encoded = [column for column in columns if isinstance(rows[column].iloc[0], bytes)]
    mlflow.pyfunc.save_model(
        folder,
        python_model=Path(__file__).with_name("pyfunc_model.py"),
        artifacts={"model": str(model)},
        code_paths=list(tidemill.__path__),
        model_config={"bytes": encoded},
        signature=signature(columns, encoded, getattr(loaded, "Options", None)),
        input_example=rows.assign(**{column: rows[column].map(_base64) for column in encoded}),
        pip_requirements=pinned(REQUIREMENTS, Path("requirements")),
    )
    check_formats(folder)


def signature(inputs: list[str], encoded: list[str], options: type[Params] | None = None) -> Any:
    """Text in a string column; a picture in one that takes bytes, base64 text, and pixels as array or nested list."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, Array, ColSpec, DataType, Schema

    picture: Any = AnyType()
    params: Any = None if options is None else _params(options)
    answers = [ColSpec(DataType.string, "prediction"), ColSpec(DataType.double, "confidence")]
    return ModelSignature(
        inputs=Schema([ColSpec(picture if name in encoded else DataType.string, name) for name in inputs]),
        outputs=Schema([*answers, ColSpec(Array(DataType.double), "probabilities")]),
        params=params,
    )


def _params(options: type[Params]) -> Any:
    """What MLflow lets a request choose: each option with its type and default."""
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
    """Each package with the version the lock files of a folder pin."""
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
