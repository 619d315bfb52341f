"""What differential privacy costs and gives: accuracy, time, and how well an attack tells training rows from test rows.

`python benchmarks/privacy.py digits` or `sentiment`, from a folder whose `artifacts/` hold the ingested tables of both.
Networks are smaller and epochs fewer than those of the shipped systems, so that it takes minutes.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tidemill.core.intervals import Bootstrap
from tidemill.core.spec import Spec
from tidemill.core.tables import SPLITS, read_table
from tidemill.evaluation import membership
from tidemill.inference.predictor import Predictor
from tidemill.models.common.networks import TOKENIZER
from tidemill.models.common.params import check_model
from tidemill.tasks.common import encoding, scoring
from tidemill.tokens.shards import Shards
from tidemill.training import saving
from tidemill.training.params import Privacy, Training
from tidemill.training.run import train_system

SYSTEMS: dict[str, dict[str, Any]] = {
    "digits": {
        "task": "image_classification",
        "tokenize": {"size": [28, 28], "channels": 1},
        "model": {"name": "mlp", "hidden": [32]},
        "training": {"epochs": 4, "batch": 512, "lr": 2e-3},
    },
    "sentiment": {
        "task": "text_classification",
        "tokenize": {"unit": "characters", "vocabulary": 3000, "length": 30},
        "model": {"name": "lstm", "embedding": 32, "hidden": 32, "pooling": "max"},
        "training": {"epochs": 3, "batch": 256, "lr": 5e-3},
    },
}
EPSILONS = (None, 8.0, 3.0, 1.0)
MEMBERS = 2000


def main(name: str) -> None:
    """Train one system without and with privacy, on the same shards."""
    chosen = SYSTEMS[name]
    task: str = chosen["task"]
    tables = {split: Path("artifacts") / name / "ingest" / f"{split}.parquet" for split in SPLITS}
    with TemporaryDirectory() as scratch:
        tokens = Path(scratch) / "tokens"
        spec = encoding.write_tokens(task, encoding.of(task).Tokenize(**chosen["tokenize"]), tables, tokens)
        for epsilon in EPSILONS:
            privacy = None if epsilon is None else Privacy(epsilon=epsilon)
            training = Training(**chosen["training"], privacy=privacy)
            print(name, *_measured(task, chosen["model"], training, spec, tokens, tables, Path(scratch) / str(epsilon)))


def _measured(
    task: str,
    block: dict[str, Any],
    training: Training,
    spec: Spec,
    tokens: Path,
    tables: dict[str, Path],
    folder: Path,
) -> list[str]:
    model, started = check_model(block, "systems.it"), time.process_time()
    outcome = train_system(task, model, training, spec, tokens, folder / "run", lambda _: None, folder / "features")
    seconds = time.process_time() - started
    saving.save_model(folder / "model", outcome, task, model, training, spec, tokens / TOKENIZER)
    predictor = Predictor(folder / "model")
    scored = []
    for rows, predicted in (
        (test := read_table(tables["test"]), predictor.predict_encoded(Shards(tokens / "test"))),
        (known := membership.sample(read_table(tables["train"]), MEMBERS, 0), predictor.predict_normalised(known)),
    ):
        targets = rows[["id", *predictor.rows.TARGETS]]
        scored.append(scoring.of(task).score(targets.join(predicted), spec))
    found = membership.membership(task, spec, scored[1], scored[0], Bootstrap(resamples=200))
    spent = "none" if outcome.privacy is None else f"{outcome.privacy['epsilon']:.2f}"
    attack = found["loss_threshold"]
    return [
        f"epsilon {spent}, noise {outcome.privacy['noise'] if outcome.privacy else 0:.2f}:",
        f"accuracy {scored[0]['correct'].mean():.4f} of {len(test)}, gap {_span(found['gap'])},",
        f"AUC {_span(attack['auc'])}, true positives at 1 % {_span(attack['tpr_at_0.01'])}, {seconds:.1f} s of CPU",
    ]


def _span(found: dict[str, float]) -> str:
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


if __name__ == "__main__":
    main(sys.argv[1])
