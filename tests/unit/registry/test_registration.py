"""A candidate becomes a version once, and a challenger only when its gates say so."""

import json
import shutil
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from tests.unit.registry import proposals
from tests.unit.registry.candidates import (
    PARAMS,
    Blocks,
    perfect,
    pictures,
    predict_and_evaluate,
    write_candidate,
    write_evaluation,
    write_model,
)
from tidemill.core.errors import TidemillError
from tidemill.core.files import sha256_file, write_json
from tidemill.registry import history, registration
from tidemill.sources.fetch import fetch
from tidemill.sources.params import Download
from tidemill.tracking import store
from tidemill.tracking.points import Point
from tidemill.tracking.run import training_run

LABELS = ["0", "1", "2"]


@pytest.fixture
def system(project: Path) -> Blocks:
    """A candidate of the system `bars` that passes its gates."""
    return write_candidate(project, "bars", PARAMS)


def register(system: Blocks) -> dict[str, object]:
    return registration.register("bars", system, Path("artifacts/bars"))


def with_gates(system: Blocks, **gates: object) -> Blocks:
    return system | {"gates": system["gates"] | gates}


def evaluate_as(system: Blocks, wrong: int) -> None:
    """Replace the evaluation by that of a model which gets the first rows of the test table wrong."""
    folder = Path("artifacts/bars")
    test = pd.read_parquet(folder / "ingest" / "test.parquet")
    write_evaluation(folder, system, test, perfect(test, LABELS, wrong))


def crown(version: object) -> None:
    proposals.crown("bars", str(version))


def test_registering_twice_makes_one_version(system: Blocks) -> None:
    first = register(system)
    assert register(system) == first
    client = store.connect()
    versions = client.search_model_versions("name = 'bars'")
    assert [(str(version.version), version.run_id) for version in versions] == [("1", first["run_id"])]
    assert first["passed"] is True
    assert first["alias"] == "challenger"
    assert first["champion"] is None
    run = client.get_run(str(first["run_id"]))
    assert [dataset.dataset.name for dataset in run.inputs.dataset_inputs] == ["bars/train", "bars/test"]
    assert len(client.get_metric_history(run.info.run_id, "test/accuracy")) == 1


def test_a_gate_can_ask_for_a_probe(system: Blocks) -> None:
    found = register(with_gates(system, thresholds={"probe.a_slight_shift": 0.95}))
    assert found["passed"] is False
    assert "probe.a_slight_shift is 0.9000, below the lowest allowed 0.95" in str(found["gates"])
    data = store.connect().get_run(str(found["run_id"])).data
    assert data.metrics["test/probe.a_slight_shift"] == 0.9
    with pytest.raises(TidemillError, match=r"no metric 'probe\.a_negation'.*did you mean 'probe\.a_slight_shift'"):
        register(with_gates(system, thresholds={"probe.a_negation": 0.5}))
    with pytest.raises(TidemillError, match=r"no metric 'probe\.a_slight_shift'"):
        register(with_gates(system, metric="probe.a_slight_shift"))


def test_the_run_that_the_training_is_part_of_is_in_the_lineage(system: Blocks) -> None:
    with training_run("bars", "a" * 64, {"lr": 1}) as run:
        run.tag_weights(sha256_file(Path("artifacts/bars/train/model/model.safetensors")))
        run.client.set_tag(run.id, "mlflow.parentRunId", "b" * 32)
    register(system)
    assert history.find("models:/bars/1").lineage["parent_run_id"] == "b" * 32


def test_the_run_of_the_training_gets_the_version(system: Blocks) -> None:
    weights = sha256_file(Path("artifacts/bars/train/model/model.safetensors"))
    with training_run("bars", "a" * 64, {"lr": 1}) as run:
        run.log([Point("train/loss", 0.5, 1, 1)])
        run.tag_weights(weights)
    assert register(system)["run_id"] == run.id
    data = store.connect().get_run(run.id).data
    assert data.metrics["test/accuracy"] == pytest.approx(1 / 3, abs=1e-5)
    assert data.params == {"lr": "1"}
    assert len(store.connect().get_metric_history(run.id, "train/loss")) == 1


def test_a_fresh_store_gets_it_again(
    system: Blocks, project: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = project / "registration.json"
    first = register(system)
    write_json(document, first)
    assert registration.is_registered("bars", document)
    shutil.copyfile(empty_store, project / "fresh.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/fresh.db")
    assert not registration.is_registered("bars", document)
    second = register(system)
    write_json(document, second)
    assert registration.is_registered("bars", document)
    assert {**second, "run_id": first["run_id"]} == first
    run = store.connect().get_run(str(second["run_id"]))
    assert run.info.status == "FINISHED"
    assert run.data.params["model.hidden"] == "[4]"
    curve = store.connect().get_metric_history(run.info.run_id, "train/loss")
    assert [(metric.step, metric.value) for metric in curve][:2] == [(0, 1.0), (1, 0.5)]
    assert len(curve) == 1200
    assert register(system) == second
    assert len(store.connect().get_metric_history(run.info.run_id, "train/loss")) == 1200


def test_a_registration_that_is_not_there_is_not_registered(project: Path) -> None:
    assert not registration.is_registered("bars", project / "registration.json")


def test_a_version_carries_all_that_explains_it(system: Blocks) -> None:
    found = register(system)
    client = store.connect()
    version = client.get_model_version_by_alias("bars", "challenger")
    folder = Path(client.download_artifacts(str(found["run_id"]), version.tags["tidemill.folder"]))
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "model",
        "bom.cdx.json",
        "provenance.json",
        "evaluation.json",
        "predictions.parquet",
        "reference.parquet",
        "report.html",
        "model-card.md",
        "lineage.json",
        "model.sig",
        "proposal.json",
        "version.sig",
    }
    lineage = json.loads((folder / "lineage.json").read_text())
    assert lineage["run_id"] == found["run_id"]
    assert lineage["device"] == "cpu"
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert version.tags["tidemill.weights_sha256"] == lineage["weights_sha256"] == evaluation["weights_sha256"]
    assert version.tags["tidemill.test_sha256"] == evaluation["test_set"]["sha256"]
    assert version.tags["tidemill.passed"] == "true"
    model = mlflow.models.get_model_info(str(folder / "model"))
    assert model.signature.inputs.input_names() == ["image"]
    assert model.saved_input_example_info is not None


def test_it_loads_by_its_alias(system: Blocks, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(system)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.store_uri())
    model = mlflow.pyfunc.load_model("models:/bars@challenger")
    test = pd.read_parquet("artifacts/bars/ingest/test.parquet")
    expected = pd.read_parquet("artifacts/bars/evaluate/predictions.parquet")
    assert list(model.predict(test)["prediction"]) == list(expected["prediction"])


def test_a_failed_gate_says_why_in_numbers(system: Blocks) -> None:
    found = register(with_gates(system, thresholds={"accuracy": 0.98}))
    assert (found["passed"], found["alias"], found["version"]) == (False, None, "1")
    version = store.connect().get_model_version("bars", "1")
    assert version.aliases == []
    assert version.tags["tidemill.passed"] == "false"
    assert version.tags["tidemill.reason"] == "accuracy is 0.3333, below the lowest allowed 0.98"
    assert "**not passed**: accuracy is 0.3333" in str(version.description)


def test_new_gates_are_asked_of_the_same_version(system: Blocks) -> None:
    register(system)
    found = register(with_gates(system, thresholds={"accuracy": 0.98}))
    assert (found["version"], found["alias"]) == ("1", None)
    assert store.connect().get_registered_model("bars").aliases == {}
    assert register(system)["alias"] == "challenger"


def test_a_gate_on_what_was_not_measured_registers_nothing(system: Blocks) -> None:
    for gates in ({"thresholds": {"acuracy": 0.9}}, {"metric": "acuracy"}):
        with pytest.raises(TidemillError, match="did you mean 'accuracy'"):
            register(with_gates(system, **gates))
    assert store.connect().search_model_versions("name = 'bars'") == []


def test_an_evaluation_of_other_weights_is_refused(system: Blocks, project: Path) -> None:
    (project / "artifacts/bars/train/model/model.safetensors").write_bytes(b"others")
    with pytest.raises(TidemillError, match="run the evaluate stage again"):
        register(system)


def test_the_same_weights_on_another_test_set_are_another_version(system: Blocks) -> None:
    register(system)
    pictures(60, 3000).to_parquet("artifacts/bars/ingest/test.parquet", index=False)
    predict_and_evaluate(Path("artifacts/bars"), system)
    assert register(system)["version"] == "2"


def test_the_champion_is_compared_on_its_stored_predictions(system: Blocks) -> None:
    evaluate_as(system, wrong=3)
    crown(register(system)["version"])
    evaluate_as(system, wrong=9)
    worse = register(system)
    gate = comparison(worse)
    assert (worse["champion"], worse["passed"], worse["version"]) == ("1", False, "2")
    assert gate["value"] == pytest.approx(-0.2)
    assert gate["sentence"].startswith("accuracy differs by -0.2000 [")
    assert store.connect().get_registered_model("bars").aliases == {"champion": 1, "challenger": 1}
    assert register(with_gates(system, margin=0.5))["passed"] is True
    evaluate_as(system, wrong=0)
    better = register(system)
    assert (better["passed"], better["version"]) == (True, "3")
    assert comparison(better)["value"] == pytest.approx(0.1)


def test_the_champion_is_scored_again_when_the_test_rows_changed(system: Blocks) -> None:
    champion = register(system)
    crown(champion["version"])
    pictures(60, 9000).to_parquet("artifacts/bars/ingest/test.parquet", index=False)
    predict_and_evaluate(Path("artifacts/bars"), system)
    found = register(system)
    assert comparison(found)["value"] == 0
    assert (found["champion"], found["version"], found["passed"]) == ("1", "2", True)


def test_a_champion_of_other_labels_cannot_be_compared_with(system: Blocks) -> None:
    crown(register(system)["version"])
    folder = Path("artifacts/bars")
    test = pictures(30, 3000)
    test.loc[test["label"] == "2", "label"] = "7"
    train = pictures(30, 1000)
    train.loc[train["label"] == "2", "label"] = "7"
    test.to_parquet(folder / "ingest" / "test.parquet", index=False)
    write_model(folder / "train", system, train, seed=1)
    predict_and_evaluate(folder, system)
    gate = comparison(register(system))
    assert gate["passed"] is False
    assert "the champion cannot be compared with: " in gate["sentence"]


def test_weights_of_a_version_are_a_source_for_the_next(
    system: Blocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_CACHE", str(tmp_path / "cache"))
    register(system)
    weights = Path("artifacts/bars/train/model/model.safetensors")
    pinned = {
        "from": ["models:/bars/1/artifacts/model/model.safetensors"],
        "sha256": sha256_file(weights),
        "licence": "MIT",
    }
    fetch({"base": [Download.model_validate(pinned)]}, Path("data"))
    assert Path("data/base/model.safetensors").read_bytes() == weights.read_bytes()
    with pytest.raises(TidemillError, match="base: no address provides its file"):
        fetch(
            {
                "base": [
                    Download.model_validate(pinned | {"from": ["models:/bars/2/model.safetensors"], "sha256": "0" * 64})
                ]
            },
            Path("data"),
        )


def comparison(registration: dict[str, Any]) -> dict[str, Any]:
    """What the gate says that compares with the champion."""
    [gate] = [gate for gate in registration["gates"] if gate["name"] == "not_worse_than_champion"]
    return dict(gate)
