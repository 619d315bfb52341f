"""What leaves training: a model folder that needs nothing else, its metrics, its curves."""

import csv
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from tidemill.core.files import write_json
from tidemill.core.params import Params
from tidemill.core.spec import Spec
from tidemill.models.common.exported import Exported
from tidemill.models.common.networks import CONFIG, TOKENIZER, WEIGHTS
from tidemill.tracking.points import Point
from tidemill.training.outcome import Outcome
from tidemill.training.params import Training, recorded

NOT_SUMMARISED = ("train/lr",)
"""Curves whose last value says nothing of the model."""


def save_model(
    folder: Path, outcome: Outcome, task: str, model: Params, training: Training, spec: Spec, tokenizer: Path
) -> None:
    """Write weights, `config.json` and, where there is one, the tokenizer."""
    folder.mkdir(parents=True)
    if tokenizer.exists():
        shutil.copyfile(tokenizer, folder / TOKENIZER)
    params = {"task": task, "model": model.model_dump(), "training": recorded(training, bool(outcome.solution))}
    solution = {"solution": outcome.solution} if outcome.solution else {}
    privacy = {"privacy": outcome.privacy} if outcome.privacy else {}
    config = params | {"spec": {**spec, **outcome.added}, "device": outcome.device} | solution | privacy
    network = outcome.network
    if isinstance(network, Exported):
        network.save(folder, config)
    else:
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / WEIGHTS)
        write_json(folder / CONFIG, config)


def save_curves(path: Path, points: list[Point]) -> None:
    """Write the curves as a table that DVC plots: step, name, value. Times are left out: they differ in every run."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["step", "name", "value"])
        writer.writerows((point.step, point.name, repr(point.value)) for point in points)


def summary(outcome: Outcome) -> dict[str, Any]:
    """Return the number of epochs, and the last value of every curve or, of a solver's, that of the setting kept."""
    last = {point.name: point.value for point in outcome.points if point.name not in NOT_SUMMARISED}
    epochs: dict[str, Any] = {"epochs": outcome.epochs, "kept_epoch": outcome.kept_epoch}
    if outcome.privacy is not None:
        epochs["epsilon"] = outcome.privacy["epsilon"]
    return epochs | {name: (last | outcome.solution)[name] for name in sorted(last)}
