"""What leaves training: a model folder that needs nothing else, its figures, its curves."""

import csv
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from tidemill.config import System
from tidemill.files import write_json
from tidemill.models import CONFIG, TOKENIZER, WEIGHTS
from tidemill.training.callbacks import Point
from tidemill.training.fit import Outcome


def save_model(folder: Path, outcome: Outcome, system: System, spec: dict[str, Any], tokenizer: Path) -> None:
    """Write weights, `config.json` and, where there is one, the tokenizer."""
    folder.mkdir(parents=True)
    save_file({name: value.contiguous() for name, value in outcome.network.state_dict().items()}, folder / WEIGHTS)
    params = {"task": system.task, "model": system.model.model_dump(), "tokenize": system.tokenize.model_dump()}
    write_json(folder / CONFIG, params | {"spec": spec, "device": outcome.device})
    if tokenizer.exists():
        shutil.copyfile(tokenizer, folder / TOKENIZER)


def save_curves(path: Path, points: list[Point]) -> None:
    """Write the curves as a table that DVC plots: step, name, value. Times are left out: they differ run by run."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["step", "name", "value"])
        writer.writerows((point.step, point.name, repr(point.value)) for point in points)


def summary(outcome: Outcome) -> dict[str, Any]:
    """The last value of every curve, and how long it took in epochs."""
    last = {point.name: point.value for point in outcome.points}
    facts = {"epochs": outcome.epochs, "kept_epoch": outcome.kept_epoch}
    return facts | {name: last[name] for name in sorted(last)}
