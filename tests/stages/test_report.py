"""The evaluate stage on a small project of its own, and its report as a browser shows it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipelines import evaluate, ingest, tokenize
from tidemill.core.files import read_json
from tidemill.models.common import networks
from tidemill.project.params import load_system
from tidemill.training.outcome import Outcome
from tidemill.training.saving import save_model

PARAMS = """
systems:
  reviews:
    task: text_classification
    source: {path: reviews, format: text, options: {label: name}}
    ingest: {valid: 0.1, test: 0.3, near_duplicates: null}
    validate: {}
    tokenize: {unit: words, vocabulary: 200, length: 20}
    model: {name: lstm, embedding: 4, hidden: 4}
    training: {}
    evaluate: {resamples: 100}
    gates: {}
"""
HOSTILE = "<script>window.pwned = true</script><img src=x onerror='window.pwned = true'>"
ARABIC, EMOJI = "كتاب جيد جدا", "👍🏽🎉"
RESULTS = Path("artifacts/reviews/evaluate")
DETERMINISTIC = ("evaluation.json", "metrics.json", "predictions.parquet", "model-card.md", "plots/confusion.svg")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project of two hundred hostile reviews and a model with fresh weights, evaluated once."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["stage", "reviews"])
        _write_source(folder)
        ingest.main()
        tokenize.main()
        _write_model(folder)
        evaluate.main()
        yield folder


def _write_source(folder: Path) -> None:
    (folder / "params.yaml").write_text(PARAMS, encoding="utf-8")
    (folder / "reviews").mkdir()
    rng = np.random.default_rng(0)
    for label, words in (("bad", ["poor", "dull"]), ("good & fine", ["rich", "warm"])):
        texts = [f"{HOSTILE} {ARABIC} {EMOJI} {number} {' '.join(rng.choice(words, size=5))}" for number in range(100)]
        (folder / "reviews" / f"{label}.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")


def _write_model(folder: Path) -> None:
    """What the train stage writes, with weights as they are before the first step."""
    system, spec = load_system("reviews"), read_json(folder / "artifacts/reviews/tokenize/tokens.json")
    torch.manual_seed(0)
    tokenizer = folder / "artifacts/reviews/tokenize/tokenizer.json"
    untrained = Outcome(
        networks.build(system.model, spec),
        [],
        epochs=0,
        kept_epoch=0,
        rows_per_second=0.0,
        tokens_per_second=0.0,
        mfu=None,
        device="cpu",
    )
    model = folder / "artifacts/reviews/train/model"
    save_model(model, untrained, system.task, system.model, system.training, spec, tokenizer)
    curves = "step,name,value\n1,train/loss,0.7\n2,train/loss,0.6\n2,val/loss,0.7\n"
    (folder / "artifacts/reviews/train/curves.csv").write_text(curves)


def test_results_are_complete_and_agree(project: Path) -> None:
    found = read_json(project / RESULTS / "evaluation.json")
    predictions = pd.read_parquet(project / RESULTS / "predictions.parquet")
    rows = pd.read_parquet(project / "artifacts/reviews/ingest/test.parquet")
    assert predictions["id"].to_list() == rows["id"].to_list()
    assert list(predictions) == ["id", "label", "prediction", "confidence", "probabilities", "correct", "loss"]
    assert found["test_set"]["rows"] == len(rows)
    accuracy = (predictions["prediction"] == predictions["label"]).mean()
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(accuracy, abs=1e-6)
    assert read_json(project / RESULTS / "metrics.json")["accuracy"] == found["metrics"]["accuracy"]["value"]
    assert set(found["baselines"]) == {"majority", "linear"}
    assert found["difference_to_linear"]["high"] < 0, "fresh weights are worse than a linear model"
    assert {probe["kind"] for probe in found["probes"]} == {"invariance", "direction", "minimum function"}
    assert set(read_json(project / RESULTS / "latency.json")) == {"examples", "p50_ms", "p95_ms", "slowest"}


def test_a_second_run_writes_the_same_bytes(project: Path) -> None:
    first = {name: (project / RESULTS / name).read_bytes() for name in DETERMINISTIC}
    evaluate.main()
    assert {name: (project / RESULTS / name).read_bytes() for name in DETERMINISTIC} == first


def test_without_a_model_it_says_so_and_leaves_the_results_alone(project: Path, monkeypatch: Any) -> None:
    before = (project / RESULTS / "evaluation.json").read_bytes()
    weights = project / "artifacts/reviews/train/model/model.safetensors"
    hidden = weights.rename(weights.with_suffix(".hidden"))
    try:
        with pytest.raises(SystemExit, match=r"^reviews: .*model\.safetensors is missing"):
            evaluate.main()
    finally:
        hidden.rename(weights)
    assert (project / RESULTS / "evaluation.json").read_bytes() == before


def test_test_rows_ingested_anew_but_not_packed_are_noticed(project: Path) -> None:
    table = project / "artifacts/reviews/ingest/test.parquet"
    rows = pd.read_parquet(table)
    try:
        rows[1:].to_parquet(table)
        with pytest.raises(SystemExit, match="run the tokenize stage again"):
            evaluate.main()
    finally:
        rows.to_parquet(table)


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_report_in_a_browser(project: Path, browser: Any, width: int, colours: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=colours)
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto((project / RESULTS / "report.html").as_uri())
    shown = page.inner_text("body")
    for text in (HOSTILE, ARABIC, EMOJI, "good & fine", "falls short of the linear baseline"):
        assert text in shown
    assert page.evaluate("window.pwned") is None
    assert [address for address in requested if not address.startswith(("file:", "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling of the page"
    ink, paper = (page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor"))
    assert _contrast(ink, paper) >= 7, "readable text: WCAG 2.2, level AAA"
    page.close()


def _contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours as a browser gives them, `rgb(1, 2, 3)`: WCAG 2.2, from 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
