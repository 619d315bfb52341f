"""The parts of the tasks: each has all names of its protocol, and one definition of right and of the same prediction."""

from typing import Any

import pandas as pd
import pytest

from tidemill.core import plugins
from tidemill.models.common import networks
from tidemill.tasks.common import baselines, checks, encoding, learning, prediction, rows, scoring
from tidemill.tasks.common.probes import probe

TASKS = plugins.names("tasks")
MODELS = plugins.names("models")
PARTS: list[tuple[Any, type]] = [
    (rows, rows.RowsPart),
    (checks, checks.ChecksPart),
    (encoding, encoding.EncodingPart),
    (learning, learning.LearningPart),
    (prediction, prediction.PredictionPart),
    (scoring, scoring.ScoringPart),
    (baselines, baselines.BaselinesPart),
    (probe, probe.ProbesPart),
]


def names_of(protocol: type) -> set[str]:
    names = {*vars(protocol), *protocol.__annotations__}
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("part", "protocol"), PARTS, ids=[protocol.__name__ for _, protocol in PARTS])
def test_a_part_has_every_name_of_its_protocol(task: str, part: Any, protocol: type) -> None:
    names = names_of(protocol)
    assert names and names <= vars(part.of(task)).keys()


@pytest.mark.parametrize("model", MODELS)
def test_a_network_module_has_every_name_of_its_protocol(model: str) -> None:
    names = names_of(networks.NetworkModule)
    assert names and names <= vars(plugins.load("models", model, "network")).keys()


def test_each_kind_of_task_has_a_model_and_each_model_a_task() -> None:
    kinds = {kind for task in TASKS for kind in encoding.of(task).KINDS}
    accepted = [plugins.load("models", model).ACCEPTS for model in MODELS]
    assert kinds == {kind for kinds_ in accepted for kind in kinds_}


@pytest.mark.parametrize("task", TASKS)
def test_the_kinds_of_a_task_have_one_output(task: str) -> None:
    assert len({output for _, output in encoding.of(task).KINDS}) == 1


@pytest.mark.parametrize("model", MODELS)
def test_a_model_says_whether_it_is_solved(model: str) -> None:
    assert networks.is_solved(model) == (networks.module(model).solve is not None)


@pytest.mark.parametrize("task", TASKS)
def test_options_and_responses_go_together(task: str) -> None:
    part = prediction.of(task)
    assert (part.Options is None) == (part.respond is None)
    assert part.stream is None or part.respond is not None
    assert (learning.of(task).Augment is None) == (learning.of(task).augment is None)


@pytest.mark.parametrize(
    ("task", "one", "other", "same"),
    [
        ("text_classification", ["a", "b"], ["a", "c"], [True, False]),
        ("image_classification", ["7", "7"], ["7", "1"], [True, False]),
        ("multilabel_classification", ["a; b", "a", ""], ["b; a", "a; b", ""], [True, False, True]),
        ("question_answering", ["The  Thames.", "London", ""], ["thames", "Paris", ""], [True, False, True]),
        ("text_generation", ["and so on", "so"], ["and so on", "So"], [True, False]),
    ],
)
def test_the_same_prediction(task: str, one: list[str], other: list[str], same: list[bool]) -> None:
    index = pd.Index([f"row{number}" for number in range(len(one))])
    found = scoring.of(task).is_same(pd.Series(one, index), pd.Series(other, index[::-1]))
    assert found.tolist() == same and found.index.equals(index) and found.dtype == bool


def test_the_same_number() -> None:
    one, other = pd.Series([100.0, 100.0, 0.0]), pd.Series([100.9, 102.0, 0.0])
    for task in ("table_regression", "text_regression", "image_regression"):
        assert scoring.of(task).is_same(one, other).tolist() == [True, False, True]


def test_a_right_prediction() -> None:
    spec = {"labels": ["a", "b"]}
    table = pd.DataFrame({"label": ["a", "a"], "prediction": ["a", "b"], "probabilities": [[0.9, 0.1], [0.2, 0.8]]})
    for task in ("text_classification", "image_classification"):
        assert scoring.of(task).score(table, spec)["correct"].tolist() == [True, False]
    sets = pd.DataFrame({"labels": [["a"], ["a", "b"]], "predicted": [["a"], ["a"]], "prediction": ["a", "a"]})
    sets = sets.assign(probabilities=[[0.9, 0.1], [0.9, 0.1]])
    assert scoring.of("multilabel_classification").score(sets, spec)["correct"].tolist() == [True, False]
    answers = pd.DataFrame({"answers": [[{"text": "Thames", "start": 0}], []], "prediction": ["the Thames", "Thames"]})
    scored = scoring.of("question_answering").score(answers.assign(confidence=0.5), {})
    assert scored["correct"].tolist() == [True, False] and scored["correct"].dtype == bool


def test_a_continuation_is_neither_right_nor_wrong() -> None:
    table = pd.DataFrame({"nll": [1.0], "bytes": [3], "tokens": [1]})
    assert "correct" not in scoring.of("text_generation").score(table, {})
