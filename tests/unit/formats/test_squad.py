"""SQuAD's JSON: what is read, what is told, and which part a limit takes."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tidemill.core.errors import TidemillError
from tidemill.formats import squad


def paragraph(context: str, *questions: tuple[str, list[tuple[str, int]]]) -> dict[str, Any]:
    qas = [
        {
            "id": f"q{n}",
            "question": asked,
            "answers": [{"text": text, "answer_start": start} for text, start in answers],
        }
        for n, (asked, answers) in enumerate(questions)
    ]
    return {"context": context, "qas": qas}


def content(*paragraphs: dict[str, Any]) -> dict[str, Any]:
    return {"version": "2.0", "data": [{"title": "t", "paragraphs": list(paragraphs)}]}


def read(path: Path, **options: Any) -> pd.DataFrame:
    return squad.read(path, squad.Options(**options))


def numbered(count: int) -> list[dict[str, Any]]:
    return [paragraph(f"context {n}", ("a?", [("context", 0)]), ("b?", [("context", 0)])) for n in range(count)]


def test_each_question_is_a_row_with_its_context_and_its_answers(tmp_path: Path) -> None:
    asked = paragraph("Ada lived in Rome.", ("Where?", [("Rome", 13), ("in Rome", 10)]), ("When?", []))
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps(content(asked)), encoding="utf-8")
    rows = read(tmp_path)
    assert rows["question"].tolist() == ["Where?", "When?"]
    assert set(rows["context"]) == {"Ada lived in Rome."}
    assert rows["answers"].tolist() == [[{"text": "Rome", "start": 13}, {"text": "in Rome", "start": 10}], []]
    assert rows["row"].tolist() == ["a.json:q0", "a.json:q1"]


def test_files_may_be_packed_and_stand_for_splits(tmp_path: Path) -> None:
    for name, context in (("train-v1", "one"), ("dev-v1", "two")):
        packed = gzip.compress(json.dumps(content(paragraph(context, ("?", [(context, 0)])))).encode())
        (tmp_path / f"{name}.json.gz").write_bytes(packed)
    rows = read(tmp_path, splits={"train": "train*", "test": "dev*"})
    assert rows.set_index("context")["split"].to_dict() == {"one": "train", "two": "test"}


def test_a_limit_takes_whole_paragraphs_the_same_ones_in_any_order(tmp_path: Path) -> None:
    paragraphs = numbered(20)
    (tmp_path / "a.json").write_text(json.dumps(content(*paragraphs)))
    limited = read(tmp_path, limit=11)
    assert len(limited) == 10 and set(limited["context"].value_counts()) == {2}
    (tmp_path / "a.json").write_text(json.dumps(content(*reversed(paragraphs))))
    assert set(read(tmp_path, limit=11)["context"]) == set(limited["context"])
    assert set(limited["context"]) < set(read(tmp_path, limit=20)["context"])
    assert len(read(tmp_path, limit=1000)) == 40


def test_half_a_surrogate_pair_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content(paragraph("fine", ("a \ud83d b", []), ("ok?", [])))))
    reasons = read(tmp_path)["reason"]
    assert reasons[0] == "holds half of a surrogate pair" and pd.isna(reasons[1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        (json.dumps([1, 2]), "is not in SQuAD's format"),
        (json.dumps({"version": "1"}), "is not in SQuAD's format: KeyError 'data'"),
        (json.dumps({"data": [{"paragraphs": [{"qas": [{"question": "?"}]}]}]}), "KeyError 'context'"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(TidemillError, match=message) as raised:
        read(tmp_path)
    assert "\n" not in str(raised.value)
