"""Packed shards → weights, in one MLflow run; a training that was killed resumes from its last checkpoint."""

import shutil
import time
from pathlib import Path

from pipelines import artifacts, stage
from tidemill.core.files import finished_folder, read_json, sha256_file, write_json
from tidemill.core.params import read_system
from tidemill.models.common import networks
from tidemill.models.common.params import read_model
from tidemill.tasks.common import learning
from tidemill.tracking.run import training_run
from tidemill.training import determinism, saving
from tidemill.training.fingerprint import fingerprint
from tidemill.training.fit import resumable
from tidemill.training.params import read_training, recorded
from tidemill.training.run import train_system
from tidemill.training.utilisation import costs

CHECKPOINTS, FEATURES = Path(".tidemill/checkpoints"), Path(".tidemill/features")
"""Outside of the stage's outputs, which DVC removes before the stage runs."""


@stage
def main(name: str) -> None:
    """Write `model/`, `metrics.json` and `curves.csv`; checkpoints are kept until these are finished."""
    system, tokens = read_system(name), artifacts(name, "tokenize")
    task, model = system["task"], read_model(system, name)
    solved = networks.is_solved(model.name)
    training = determinism.with_precision(read_training(system, name, learning.of(task), solved))
    spec = read_json(tokens / "tokens.json")
    params = {"tokenize": spec["tokenize"], "model": model.model_dump(), "training": recorded(training, solved)}
    identity = fingerprint(task, model.name, params, spec)
    checkpoints = CHECKPOINTS / name / identity
    with training_run(name, identity, params, resumed=resumable(checkpoints)) as run:
        started = time.monotonic()
        outcome = train_system(task, model, training, spec, tokens, checkpoints, run.log, FEATURES / name)
        seconds = time.monotonic() - started
        with finished_folder(artifacts(name, "train")) as folder:
            saving.save_model(folder / "model", outcome, task, model, training, spec, tokens / networks.TOKENIZER)
            saving.save_curves(folder / "curves.csv", outcome.points)
            write_json(folder / "metrics.json", saving.summary(outcome))
            run.tag_weights(sha256_file(folder / "model" / networks.WEIGHTS))
        run.log(costs(outcome, seconds))
    shutil.rmtree(checkpoints.parent)


if __name__ == "__main__":
    main()
