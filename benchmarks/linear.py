"""The linear model on n-grams, beside the same features and loss in a pipeline of scikit-learn.

    python benchmarks/linear.py --rounds 3        # in a project in which `dvc repro ingest@sentiment` has run

From texts in memory to predictions for the test rows: n-grams fitted to the training texts, one model for each of five
strengths, the best by the validation rows, and its predictions. Ours also writes and reads packed shards, fits
probabilities, and measures every setting on training and validation rows. The ways take turns in one process; CPU time is
what is compared, since it says the same on a busy machine. Three sets of texts that the project downloads anyway:

- reviews: is a Chinese review of a good praise or blame? The rows of the system `sentiment`;
- novels: which novel of Jane Austen is a paragraph from? English, six labels;
- poets: who wrote a poem, of the ten poets with the most of them? Chinese, ten labels.

Scores have 95 % intervals over the test rows; the difference is paired, ours minus theirs.
"""

import argparse
import io
import json
import re
import statistics
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from timing import ROOT, Cost, take_turns

from tidemill.core.intervals import Bootstrap, intervals, paired_difference
from tidemill.formats.common.source import read_rows
from tidemill.models.linear import Params
from tidemill.project.params import load_system
from tidemill.tasks.text_classification import encoding, prediction
from tidemill.tokens.batches import Batches
from tidemill.tokens.ngrams import WORD
from tidemill.tokens.shards import Shards, ShardWriter
from tidemill.training.params import Training
from tidemill.training.run import train_system

SPLITS = ("train", "valid", "test")
STRENGTHS = [0.1, 0.3, 1.0, 3.0, 10.0]
BLOCK = 1024
Tables = dict[str, pd.DataFrame]
RANGES: dict[str, dict[str, Any]] = {
    "reviews": {"characters": [1, 4]},
    "novels": {"words": [1, 2], "characters": [2, 5]},
    "poets": {"characters": [1, 4]},
}
"""N-grams of each set, for both ways."""


def main() -> None:
    """Print scores and times of each set and loss."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sets", nargs="*", default=list(RANGES))
    parser.add_argument("--losses", nargs="*", default=["squared_hinge", "logistic"])
    arguments = parser.parse_args()
    for name in arguments.sets:
        tables = {"reviews": reviews, "novels": novels, "poets": poets}[name]()
        print(
            f"{name}: { ({split: len(table) for split, table in tables.items()}) }, n-grams {RANGES[name]}", flush=True
        )
        for loss in arguments.losses:
            compare(name, tables, loss, arguments.rounds)


def compare(name: str, tables: Tables, loss: str, rounds: int) -> None:
    """Let the ways take turns; print the scores of both, and how long each took."""
    found: dict[str, np.ndarray] = {}
    actual = tables["test"]["label"].to_numpy()

    def way(key: str, predict: Callable[..., np.ndarray], **changes: Any) -> Callable[[], float]:
        def run() -> float:
            found[key] = predict(tables, RANGES[name], loss, **changes) == actual
            return 1 - float(found[key].mean())

        return run

    ways = {"tidemill": ours, "scikit-learn": theirs, "tidemill, naive_bayes": partial(ours, naive_bayes=True)}
    costs = take_turns({key: way(key, predict) for key, predict in ways.items()}, rounds, lambda error: error)
    for key, taken in costs.items():
        report(loss, key, found[key], found["scikit-learn"], taken, costs["scikit-learn"])


def report(loss: str, key: str, ours: np.ndarray, theirs: np.ndarray, taken: list[Cost], peer: list[Cost]) -> None:
    """Print one way: accuracy, difference to scikit-learn, CPU seconds, and their ratio."""
    score, other = ({"accuracy": accuracy(right)} for right in (ours, theirs))
    bootstrap, size = Bootstrap(), len(ours)
    own = intervals(lambda weights: {"accuracy": score["accuracy"](weights)}, size, bootstrap)["accuracy"]
    difference = paired_difference(
        lambda weights: {"accuracy": score["accuracy"](weights)},
        lambda weights: {"accuracy": other["accuracy"](weights)},
        "accuracy",
        size,
        bootstrap,
    )
    cpu = [cost.cpu for cost in taken]
    ratio = statistics.median(one.cpu / base.cpu for one, base in zip(taken, peer, strict=True))
    print(
        f"  {loss:14} {key:22} accuracy {shown(own)}, difference {shown(difference)}, CPU "
        f"{statistics.median(cpu):6.1f} s ({min(cpu):.1f} to {max(cpu):.1f}), {ratio:.2f} times scikit-learn's",
        flush=True,
    )


def accuracy(right: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda weights: float(weights @ right / weights.sum())


def shown(interval: dict[str, float]) -> str:
    return f"{interval['value']:.4f} [{interval['low']:.4f}, {interval['high']:.4f}]"


def ours(tables: Tables, ranges: dict[str, Any], loss: str, naive_bayes: bool = False) -> np.ndarray:
    """Predictions by the functions of the stages."""
    params = encoding.Tokenize(unit="ngrams", **ranges)
    model = Params(name="linear", loss=loss, strengths=STRENGTHS, naive_bayes=naive_bayes)
    train = tables["train"]
    with TemporaryDirectory() as name, redirect_stdout(io.StringIO()):
        folder = Path(name)
        tokenizer = encoding.fit(iter([train]), params)
        spec = encoding.specify(iter([train]), params, tokenizer)
        for split, table in tables.items():
            with ShardWriter(folder / split) as writer:
                for start in range(0, len(table), BLOCK):
                    writer.append(encoding.encode(table[start : start + BLOCK], tokenizer, spec))
        outcome = train_system(
            "text_classification", model, Training(), spec, folder, folder, lambda points: None, folder
        )
        with torch.inference_mode():
            batches = Batches(Shards(folder / "test"), 256)
            parts = [prediction.outputs(outcome.network, batch, spec)["prediction"] for batch in batches]
    return np.array([label for part in parts for label in part])


def theirs(tables: Tables, ranges: dict[str, Any], loss: str) -> np.ndarray:
    """Predictions by a union of TF-IDF vectorizers and the same solver."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import FeatureUnion
    from sklearn.svm import LinearSVC

    common = {"sublinear_tf": True, "min_df": 2, "dtype": np.float32}
    parts: dict[str, Any] = {"words": {"token_pattern": WORD}, "characters": {"analyzer": "char_wb"}}
    union = FeatureUnion(
        [(kind, TfidfVectorizer(ngram_range=tuple(given), **parts[kind], **common)) for kind, given in ranges.items()]
    )
    features = {"train": union.fit_transform(tables["train"]["text"])}
    features |= {split: union.transform(tables[split]["text"]) for split in ("valid", "test")}
    best, highest = None, -1.0
    for strength in STRENGTHS:
        model: Any = LinearSVC(C=strength, random_state=0)
        if loss == "logistic":  # like ours, and LinearSVC, one label against the rest by liblinear
            model = OneVsRestClassifier(LogisticRegression(C=strength, solver="liblinear", random_state=0))
        model.fit(features["train"], tables["train"]["label"])
        if (score := model.score(features["valid"], tables["valid"]["label"])) > highest:
            best, highest = model, score
    assert best is not None
    return best.predict(features["test"])


def reviews() -> Tables:
    folder = ROOT / "artifacts" / "sentiment" / "ingest"
    if not (folder / "train.parquet").exists():
        raise SystemExit(f"{folder} is not there: `tidemill fetch` and `dvc repro ingest@sentiment` make it")
    return {split: pd.read_parquet(folder / f"{split}.parquet") for split in SPLITS}


def novels() -> Tables:
    rows = read_rows(load_system("stories").source)
    novel = rows["row"].str.partition(":")[0]
    paragraphs = rows.assign(label=novel, text=rows["text"].str.split(r"\n\s*\n", regex=True)).explode("text")
    paragraphs = paragraphs.assign(text=paragraphs["text"].str.strip())
    return placed(paragraphs[paragraphs["text"].str.len() >= 100])


def poets() -> Tables:
    folder = ROOT / load_system("poems").source.path
    poems = [poem for path in sorted(folder.glob("*.json")) for poem in json.loads(path.read_text(encoding="utf-8"))]
    rows = pd.DataFrame(
        {"text": ["\n".join(poem["paragraphs"]) for poem in poems], "label": [poem["author"] for poem in poems]}
    )
    most = rows["label"].value_counts().index[:10]
    return placed(rows[rows["label"].isin(most) & rows["text"].map(lambda text: bool(re.search(r"\w", text)))])


def placed(rows: pd.DataFrame) -> Tables:
    """One row a text, eight of ten in training, by the hash of the text."""
    rows = rows[["text", "label"]].drop_duplicates("text")
    rows = rows.assign(id=rows["text"].map(lambda text: sha256(text.encode()).hexdigest()[:16]))
    place = rows["id"].map(lambda digest: int(digest, 16) % 10)
    chosen = {"train": place < 8, "valid": place == 8, "test": place == 9}
    return {split: rows[where].reset_index(drop=True) for split, where in chosen.items()}


if __name__ == "__main__":
    main()
