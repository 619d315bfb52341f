"""Models that predict a number from texts, pictures and tables, trained on few rows as the stages would."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tidemill.core.errors import TidemillError
from tidemill.onboarding.sampling import Split
from tidemill.onboarding.trial import Trial, tried
from tidemill.tasks.common import baselines, encoding, rows
from tidemill.tasks.common.probes import probe

ROWS = 240
DRAW = np.random.default_rng(0)
TRAINING = {"epochs": 25, "lr": 0.01, "optimizer": "adam", "batch": 16, "accelerator": "cpu"}


def texts() -> pd.DataFrame:
    counts = DRAW.integers(0, 5, (ROWS, 2))
    written = [" ".join(["good"] * up + ["bad"] * down + ["food", "room"]) for up, down in counts]
    return pd.DataFrame({"text": written, "target": counts[:, 0] - 1.0 * counts[:, 1]})


def pictures() -> pd.DataFrame:
    shades = DRAW.integers(20, 235, ROWS)
    pixels = [(shade + DRAW.integers(-20, 20, (8, 8))).astype(np.uint8) for shade in shades]
    return pd.DataFrame({"image": [_encoded(values) for values in pixels], "target": 100.0 + shades})


def table() -> pd.DataFrame:
    found = pd.DataFrame({"size": DRAW.normal(50, 20, ROWS), "place": DRAW.choice(["lake", "town", "hill"], ROWS)})
    worth = found["place"].map({"lake": 90.0, "town": 0.0, "hill": -90.0})
    return found.assign(target=worth + 2 * found["size"] + DRAW.normal(size=ROWS))


def _encoded(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def trial(task: str, data: pd.DataFrame, **blocks: Any) -> Trial:
    identified = data.assign(id=[f"{number:016x}" for number in range(len(data))])
    return tried("it", {"task": task, "training": {}, **blocks}, [Split(identified[:180], identified[180:])])


NGRAMS = {"unit": "ngrams", "words": [1, 1]}
GREY = {"size": [8, 8], "channels": 1}
BERT = {"model_type": "bert", "vocab_size": 90, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
RESNET = {"model_type": "resnet", "num_channels": 1, "embedding_size": 8, "hidden_sizes": [16], "depths": [1]}
LIBRARY: dict[str, Any] = {"name": "transformers"}


@pytest.mark.parametrize(
    ("task", "data", "blocks"),
    [
        ("text_regression", texts, {"tokenize": NGRAMS, "model": {"name": "linear"}}),
        ("text_regression", texts, {"tokenize": {"length": 12}, "model": {"name": "lstm"}, "training": TRAINING}),
        ("image_regression", pictures, {"tokenize": GREY, "model": {"name": "mlp"}, "training": TRAINING}),
        (
            "text_regression",
            texts,
            {"tokenize": {"length": 12}, "model": LIBRARY | {"config": BERT}, "training": TRAINING | {"lr": 0.002}},
        ),
        ("image_regression", pictures, {"tokenize": GREY, "model": LIBRARY | {"config": RESNET}, "training": TRAINING}),
        ("table_regression", table, {"tokenize": {}, "model": {"name": "linear"}}),
        ("table_regression", table, {"tokenize": {}, "model": {"name": "linear"}, "training": {"loss": "absolute"}}),
        ("table_regression", table, {"tokenize": {}, "model": {"name": "boosting"}, "training": {"loss": "huber"}}),
        ("table_regression", table, {"tokenize": {}, "model": {"name": "mlp"}, "training": TRAINING}),
    ],
    ids=["n-grams", "tokens", "pixels", "BERT", "ResNet", "ridge", "absolute", "trees", "perceptron"],
)
def test_a_number_is_learned(task: str, data: Any, blocks: dict[str, Any]) -> None:
    found = trial(task, data(), **blocks).metrics
    assert set(found) == {"r2", "rmse", "mae"}
    assert found["r2"]["value"] > 0.8, found


def test_a_linear_model_has_no_huber_loss() -> None:
    with pytest.raises(TidemillError, match="the model linear has no loss huber; it has: squared, absolute"):
        trial("table_regression", table(), tokenize={}, model={"name": "linear"}, training={"loss": "huber"})


@pytest.mark.parametrize(("task", "data"), [("text_regression", texts), ("image_regression", pictures)])
def test_baselines_and_probes(task: str, data: Any) -> None:
    known = data().assign(id=[f"{number:016x}" for number in range(ROWS)])
    spec = {"target": {"mean": 0.0, "deviation": 1.0}, "shape": [8, 8, 1], "outputs": 1}
    found = baselines.of(task).baselines(known[:180], known[180:], spec)  # type: ignore[arg-type]
    assert set(found) == {"mean", "median", "ridge"}
    assert found["mean"]["prediction"].unique().tolist() == [known["target"][:180].mean()]
    error = {name: (one["prediction"] - one["target"]).abs().mean() for name, one in found.items()}
    assert error["ridge"] < error["median"] / 2
    kinds = {one.kind for one in probe.of(task).probes(spec, []).probes}  # type: ignore[arg-type]
    assert kinds == {"invariance", "minimum function"}
    assert rows.inputs(task, spec) == rows.of(task).INPUTS  # type: ignore[arg-type]
    assert {output for _, output in encoding.of(task).KINDS} == {"number"}
