"""Drift against a registered version: no alarm on resamples of the same data, one on each real shift."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.projects import write_reviews
from tests.unit.registry.candidates import Blocks, predict_and_evaluate, write_model, write_validation
from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json
from tidemill.core.params import read_system
from tidemill.core.pictures import decoded
from tidemill.inference.predictor import Predictor
from tidemill.registry.registration import register
from tidemill.serving.monitoring import Finding, compare
from tidemill.serving.params import Monitor
from tidemill.tasks.common import learning
from tidemill.tasks.common import rows as task_rows
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards

REPOSITORY = Path(__file__).parents[3]
PARAMS = """
systems:
  digits:
    task: image_classification
    source: {path: raw, format: idx, options: {splits: {train: train, test: t10k}}}
    ingest: {}
    validate: {}
    tokenize: {size: [8, 8], channels: 1}
    model: {name: mlp, hidden: [8]}
    training: {}
    evaluate: {resamples: 100}
    gates: {}
  reviews:
    task: text_classification
    source: {path: raw, format: csv, columns: {text: review, label: stars}}
    ingest: {}
    validate: {}
    tokenize: {unit: characters, vocabulary: 200, length: 20}
    model: {name: lstm, embedding: 4, hidden: 4}
    training: {}
    evaluate: {resamples: 100}
    gates: {}
"""


def digits() -> pd.DataFrame:
    """scikit-learn's real handwritten digits as PNG."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = [_png((image * 15.9).astype(np.uint8)) for image in data.images]
    return _identified(pd.DataFrame({"image": images, "label": data.target.astype(str)}))


def reviews(folder: Path) -> pd.DataFrame:
    write_reviews(folder, 400)
    rows = [(line, name) for name in ("pos", "neg") for line in (folder / f"{name}.txt").read_text().splitlines()]
    table = pd.DataFrame(rows, columns=["text", "label"])
    rows = task_rows.of("text_classification").normalise(table)
    return _identified(rows.assign(shop=["east", "west"] * 400, price=np.arange(800) % 37))


def _identified(rows: pd.DataFrame) -> pd.DataFrame:
    shuffled = rows.sample(frac=1, random_state=0, ignore_index=True)
    return shuffled.assign(id=[f"{number:016x}" for number in shuffled.index])


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, pd.DataFrame]]:
    """Two registered systems; the rows that are new to each, by its name."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "requirements").symlink_to(REPOSITORY / "requirements")
    (folder / "params.yaml").write_text(PARAMS)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        tables = {"digits": digits(), "reviews": reviews(folder / "raw")}
        for name, table in tables.items():
            _register(folder, name, read_system(name), table)
        yield {name: table.iloc[2 * len(table) // 3 :] for name, table in tables.items()}


def _register(root: Path, name: str, system: Blocks, table: pd.DataFrame) -> None:
    """A version trained on a third of the rows and measured on another; the last is new to it."""
    folder, third = root / "artifacts" / name, len(table) // 3
    (folder / "ingest").mkdir(parents=True)
    splits = {"train": table.iloc[:third], "valid": table.iloc[:10], "test": table.iloc[third : 2 * third]}
    for split, rows in splits.items():
        rows.to_parquet(folder / "ingest" / f"{split}.parquet", index=False)
    write_validation(folder)
    write_model(folder / "train", system, splits["train"], 0)
    train(folder / "train" / "model", splits["train"])
    predict_and_evaluate(folder, system)
    register(name, system, folder)


def train(folder: Path, rows: pd.DataFrame) -> None:
    import torch
    from safetensors.torch import save_file

    model = Predictor(folder)
    batches = Batches(MemoryShards(model.encoding.encode(rows, model.tokenizer, model.spec)), 32, shuffle=True)
    optimizer = torch.optim.Adam(model.network.parameters(), 0.01)
    for _ in range(15):
        for batch in batches:
            optimizer.zero_grad()
            learning.of(model.task).step(model.network, batch, 0.0)[0].backward()
            optimizer.step()
    save_file(model.network.state_dict(), folder / "model.safetensors")


def found(name: str, rows: pd.DataFrame, path: Path, limits: Monitor | None = None) -> Finding:
    renamed = rows.rename(columns={"text": "review", "label": "stars"}) if name == "reviews" else rows
    if path.suffix == ".csv":
        renamed.to_csv(path, index=False)
    else:
        renamed.to_parquet(path, index=False)
    return compare(f"models:/{name}/1", path, limits or Monitor())


def drifted(finding: Finding) -> set[str]:
    return {column.name for column in finding.columns if column.drifted}


@pytest.mark.parametrize("name", ["digits", "reviews"])
def test_no_false_alarm(project: dict[str, pd.DataFrame], tmp_path: Path, name: str) -> None:
    """Ten samples of rows that the version has not seen, of each of two systems, of sizes from few to many."""
    for seed, size in enumerate([20, 40, 60, 80, 100, 120, 150, 180, 220, 260]):
        rows = project[name].sample(size, random_state=seed)
        finding = found(name, rows, tmp_path / f"{seed}.parquet", Monitor(distance=0.1))
        assert finding.reasons == [], (seed, size)
        assert finding.rows == size
        assert finding.performance is not None


def test_darker_pictures(project: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    dark = [_png(np.asarray(decoded(image)) // 2) for image in project["digits"]["image"].head(100)]
    finding = found("digits", pd.DataFrame({"image": dark}), tmp_path / "new.parquet")
    assert drifted(finding) >= {"image.brightness", "image.contrast"}
    assert "image.width" not in drifted(finding)
    assert finding.performance is None
    written = read_json(finding.folder / "drift.json")
    assert written["reasons"] == finding.reasons and written["version"] == "digits/1"
    assert (finding.folder / "drift.html").stat().st_size > 100_000


def test_other_classes(project: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    rows = project["digits"][project["digits"]["label"].isin(["0", "1"])]
    assert "label" in drifted(found("digits", rows, tmp_path / "new.parquet"))


def test_longer_texts_of_other_words(project: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    rows = project["reviews"].head(100)
    longer = found("reviews", rows.assign(text=rows["text"] * 2), tmp_path / "longer.csv")
    assert drifted(longer) >= {"text.length", "text.tokens"}
    foreign = found("reviews", rows.assign(text="an entirely other language"), tmp_path / "foreign.csv")
    assert drifted(foreign) >= {"text.unknown", "text.length"}


def test_other_columns(project: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    rows = project["reviews"].head(200).assign(shop="east", price=lambda table: table["price"] + 30)
    assert drifted(found("reviews", rows, tmp_path / "new.csv")) == {"shop", "price"}


def test_worse_predictions(project: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """Half of the labels turned round: nothing has drifted but the metric."""
    rows = project["reviews"].head(200)
    turned = rows["label"].map({"pos": "neg", "neg": "pos"})
    worse = rows.assign(label=rows["label"].where(np.arange(200) % 2 == 0, turned))
    same, other = (found("reviews", table, tmp_path / f"{n}.csv") for n, table in enumerate((rows, worse)))
    assert same.performance is not None and other.performance is not None
    assert (same.performance.fallen, other.performance.fallen) == (False, True)
    assert same.performance.value > 0.9 > 0.7 > other.performance.value
    assert drifted(other) == set()
    assert len(other.reasons) == 1 and other.reasons[0].startswith("accuracy is 0.")


def test_the_same_data_is_the_same_question(project: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    first, again, other = (
        found("reviews", project["reviews"].head(size), tmp_path / f"{n}.csv").data
        for n, size in enumerate((60, 60, 61))
    )
    assert first == again != other


def test_a_missing_column_is_named(project: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("said\nfine\n")
    with pytest.raises(TidemillError, match="has no column 'text'; it has: said"):
        compare("models:/reviews/1", tmp_path / "new.csv", Monitor())
