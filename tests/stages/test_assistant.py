"""A small assistant through its stages: what it learns, what it answers to odd input, and what its report shows."""

import json
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.stages.in_process import run_stages, write_system
from tidemill.core.files import read_json, sha256_file
from tidemill.inference.predictor import Predictor
from tidemill.tokens.tokenizers import fit_vocabulary

THINGS = {
    "colour": ["red", "green", "blue", "white", "black", "brown", "violet"],
    "town": ["Rome", "Paris", "Oslo", "Cairo", "Lima", "Tokyo", "Quito"],
    "animal": ["cat", "dog", "horse", "otter", "crow", "trout", "moth"],
}
SAYS = {"colour": "The roof is {}.", "town": "The house stands in {}.", "animal": "A {} lives in it."}
FILLERS = ["It rains a lot.", "Nobody knows why.", "We went there once.", "That was long ago.", "The door is open."]
ASKS = {
    "colour": "Which colour is the roof?",
    "town": "In which town is the house?",
    "animal": "Which animal lives there?",
}
SYSTEM: dict[str, Any] = {
    "task": "question_answering",
    "source": {"path": "raw", "format": "squad"},
    "ingest": {"valid": 0.1, "test": 0.15},
    "validate": {},
    "tokenize": {"tokenizer": {"path": "words"}, "length": 48, "overlap": 12, "question": 16, "answer": 4},
    "model": {
        "name": "bert",
        "layers": 2,
        "width": 32,
        "heads": 2,
        "feed_forward": 64,
        "positions": 48,
        "dropout": 0.0,
    },
    "training": {"epochs": 15, "batch": 32, "lr": 0.003, "threads": 1},
    "evaluate": {
        "resamples": 100,
        "probes": [
            {"name": "a town swapped", "replace": {"Oslo": "Rome", "Rome": "Oslo", "Lima": "Quito", "Quito": "Lima"}},
            {"name": "another animal asked for", "column": "question", "replace": {"animal": "plant"}},
            {
                "name": "no facts",
                "column": "context",
                "replace": {"roof": "sky", "house": "sea", "lives": "sits"},
                "lowers": "confidence",
            },
        ],
    },
    "gates": {"thresholds": {"f1": 0.9}},
}


def paragraph(chance: random.Random) -> dict[str, Any]:
    """Facts among other sentences, and three questions, of which the facts answer two or all."""
    facts = {kind: chance.choice(values) for kind, values in THINGS.items()}
    if chance.random() < 0.6:
        facts.pop(chance.choice(list(facts)))
    sentences = [SAYS[kind].format(value) for kind, value in facts.items()]
    sentences += chance.choices(FILLERS, k=chance.randint(0, 9))
    chance.shuffle(sentences)
    context = " ".join(sentences)
    answers = {kind: [{"text": value, "answer_start": context.index(value)}] for kind, value in facts.items()}
    qas = [{"id": kind, "question": asked, "answers": answers.get(kind, [])} for kind, asked in ASKS.items()]
    return {"context": context, "qas": qas}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose assistant went through all stages up to its evaluation."""
    folder = tmp_path_factory.mktemp("assistant")
    chance = random.Random(0)
    paragraphs = [paragraph(chance) for _ in range(400)]
    paragraphs[0]["qas"][0]["answers"] = [{"text": "Atlantis", "answer_start": 3}]
    for wrongly_labelled in paragraphs[10::20]:  # so that the report has mistakes to show
        first = wrongly_labelled["context"].partition(" ")[0]
        wrongly_labelled["qas"][0]["answers"] = [{"text": first, "answer_start": 0}]
    (folder / "raw").mkdir()
    (folder / "raw" / "facts.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    (folder / "words").mkdir()
    texts = [text for made in paragraphs for text in (made["context"], *ASKS.values())]
    fit_vocabulary(texts, "wordpiece", 300).save(str(folder / "words" / "tokenizer.json"))
    system = json.loads(json.dumps(SYSTEM))
    system["tokenize"]["tokenizer"]["sha256"] = sha256_file(folder / "words" / "tokenizer.json")
    write_system(folder, "assistant", system)
    return run_stages(folder, "assistant")


@pytest.fixture(scope="module")
def ask(made: Path) -> Any:
    """Answers of the trained model, a question at a time."""
    predictor = Predictor(made / "train" / "model")

    def asked(question: str, context: str) -> str:
        found = predictor.predict(pd.DataFrame({"question": [question], "context": [context]})).iloc[0]
        assert found["prediction"] == context[max(0, found["start"]) : max(0, found["end"])]
        assert 0 <= found["confidence"] <= 1
        return str(found["prediction"])

    return asked


FACTS = "The house stands in Oslo. A crow lives in it. The roof is blue."


def test_it_learned_to_answer(made: Path) -> None:
    evaluation = read_json(made / "evaluate" / "evaluation.json")
    assert evaluation["main_metric"] == "f1"
    assert evaluation["metrics"]["exact_match"]["value"] > 0.9
    assert evaluation["metrics"]["no_answer_accuracy"]["value"] > 0.9
    assert evaluation["difference_to_lexical"]["low"] > 0


def test_no_text_is_in_two_splits_and_no_row_is_lost(made: Path) -> None:
    tables = {split: pd.read_parquet(made / "ingest" / f"{split}.parquet") for split in ("train", "valid", "test")}
    rejected = pd.read_parquet(made / "ingest" / "rejected.parquet")
    contexts = pd.concat([table.assign(split=split) for split, table in tables.items()])
    assert contexts.groupby("context")["split"].nunique().max() == 1
    assert len(contexts) + len(rejected) == 1200
    assert rejected["reason"].str.startswith("the answer 'Atlantis' does not stand at 3").sum() == 1


def test_each_test_row_has_its_prediction(made: Path) -> None:
    rows, predictions = (
        pd.read_parquet(made / part) for part in ("ingest/test.parquet", "evaluate/predictions.parquet")
    )
    assert predictions["id"].tolist() == rows["id"].tolist()
    assert {"answers", "prediction", "confidence", "start", "end", "exact_match", "f1", "loss"} <= set(predictions)


def test_the_report_and_the_card_show_spans(made: Path) -> None:
    page = (made / "evaluate" / "report.html").read_text()
    assert all(word in page for word in ("exact match", "opening baseline", "lexical baseline", "is <span"))
    assert "<h2>Classes</h2>" not in page
    assert "question_answering" in (made / "evaluate" / "model-card.md").read_text().replace("-", "_")


def test_the_probes_pass(made: Path) -> None:
    found = {entry["name"]: entry for entry in read_json(made / "evaluate" / "evaluation.json")["probes"]}
    shares = {name: entry["passed"]["value"] for name, entry in found.items() if entry["passed"]}
    edge = {name: share for name, share in shares.items() if found[name]["kind"] == "minimum function"}
    assert edge == dict.fromkeys(
        ["no question", "a very long question", "empty text", "short text", "very long text", "text in another script"],
        1.0,
    )
    for name in ("capitals", "small letters", "white space", "Windows line ends", "full-width signs"):
        assert shares[f"question: {name}"] == 1, name
    assert shares["a line a sentence"] == 1
    assert shares["order of irrelevant sentences"] >= 0.7 and shares["a sentence of another text after it"] >= 0.5
    assert shares["a town swapped"] >= 0.9, "the answer is swapped with it"
    page = (made / "evaluate" / "report.html").read_text()
    assert all(word in page for word in ("Changes that must not matter", "a town swapped", "Input that it must handle"))


class TestInvariance:
    """What must not change an answer."""

    @pytest.mark.parametrize(
        "change",
        [
            str.upper,
            str.lower,
            lambda text: text.replace(" ", "  \n"),
            lambda text: f" {text}\r\n",
            lambda text: "\ufeff" + text,
        ],
        ids=["capitals", "small letters", "white space", "line ends", "byte-order mark"],
    )
    def test_the_form_of_the_text(self, ask: Any, change: Any) -> None:
        assert ask(change(ASKS["town"]), change(FACTS)) == change("Oslo").strip(" \r\n\ufeff")

    def test_the_order_of_the_sentences(self, ask: Any) -> None:
        turned = "The roof is blue. A crow lives in it. The house stands in Oslo."
        assert ask(ASKS["town"], turned) == "Oslo"


class TestDirection:
    """What must change an answer."""

    @pytest.mark.parametrize(("kind", "value"), [("town", "Quito"), ("colour", "white"), ("animal", "trout")])
    def test_another_fact(self, ask: Any, kind: str, value: str) -> None:
        was = {"town": "Oslo", "colour": "blue", "animal": "crow"}
        assert ask(ASKS[kind], FACTS) == was[kind]
        assert ask(ASKS[kind], FACTS.replace(was[kind], value)) == value


class TestMinimumFunction:
    """Odd input gets an answer out of the text, or none; never an error. `ask` itself holds it to that."""

    @pytest.mark.parametrize(
        ("question", "context"),
        [
            ("", FACTS),
            (ASKS["town"], "Oslo"),
            (ASKS["town"], "颜色是红色的。房子在罗马。"),
            (ASKS["town"], "بيت في روما 🏠🏠"),
            ("x" * 5000, FACTS),
            (ASKS["town"], "y" * 5000),
        ],
        ids=["no question", "one word", "Chinese", "right to left", "long question", "one long word"],
    )
    def test_it_answers(self, ask: Any, question: str, context: str) -> None:
        ask(question, context)

    @pytest.mark.parametrize("context", ["", " \n ", "\u200b"])
    def test_an_empty_text_has_no_answer(self, ask: Any, context: str) -> None:
        assert ask(ASKS["town"], context) == ""

    def test_no_answer_where_the_text_has_none(self, ask: Any) -> None:
        assert ask(ASKS["colour"], "The house stands in Oslo. A crow lives in it.") == ""

    def test_the_answer_is_found_far_into_a_long_text(self, ask: Any) -> None:
        filler = " ".join(FILLERS * 10)
        assert ask(ASKS["town"], f"{filler} The house stands in Lima. {filler}") == "Lima"
