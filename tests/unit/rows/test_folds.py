"""Folds: by content, each row in one, what belongs together in the same."""

import numpy as np
import pandas as pd
import pytest

from tidemill.rows import folds
from tidemill.rows.params import CrossValidation, Ingest
from tidemill.rows.splitting import identified
from tidemill.tasks.common import rows as task_rows

TEXTS, QUESTIONS = task_rows.of("text_classification"), task_rows.of("question_answering")
WITHOUT_COPIES, WITH_NEAR_COPIES = Ingest(), Ingest(near_duplicates=None)


def params(count: int, near_copies: float = 1.0) -> CrossValidation:
    return CrossValidation(folds=[*range(1, count + 1)], near_copies=near_copies)


def rows_of(texts: list[str]) -> pd.DataFrame:
    return identified(pd.DataFrame({"text": texts, "label": "a"}), pd.Series(texts))


def sentences(count: int) -> list[str]:
    generator = np.random.default_rng(0)
    words = [f"word{number}" for number in range(500)]
    return [" ".join(generator.choice(words, 12)) for _ in range(count)]


def test_a_row_is_in_one_of_folds_of_about_the_same_size() -> None:
    found = folds.numbered(rows_of(sentences(2000)), TEXTS, WITHOUT_COPIES, params(5))
    assert found.value_counts().sort_index().index.tolist() == [1, 2, 3, 4, 5]
    assert found.value_counts().between(330, 470).all()


def test_a_row_stays_in_its_fold_when_others_come_and_whatever_split_it_came_from() -> None:
    few = rows_of(sentences(100))
    position = few["id"].map(lambda digits: int(digits, 16) / 16**16)
    assert folds.numbered(few[position > 0.8], TEXTS, WITHOUT_COPIES, params(3)).nunique() == 3, (
        "not by the hash of the split"
    )
    more = pd.concat([rows_of(sentences(300)[200:]), few.iloc[::-1]], ignore_index=True)
    before, after = (folds.numbered(rows, TEXTS, WITHOUT_COPIES, params(3)) for rows in (few, more))
    moved = pd.Series(after.to_numpy(), more["id"]).loc[few["id"]].to_numpy() != before.to_numpy()
    assert not moved.any()


@pytest.mark.parametrize(("ending", "similarity"), [("!", 1.0), (" x", 0.8)])
def test_near_copies_that_were_kept_share_a_fold(ending: str, similarity: float) -> None:
    rows = rows_of([copy for text in sentences(60) for copy in (text, text + ending)])
    found = folds.numbered(rows, TEXTS, WITH_NEAR_COPIES, params(5, similarity)).to_numpy().reshape(60, 2)
    assert (found[:, 0] == found[:, 1]).all() and len(np.unique(found)) == 5
    apart = folds.numbered(rows, TEXTS, WITHOUT_COPIES, params(5)).to_numpy().reshape(60, 2)
    assert (apart[:, 0] != apart[:, 1]).any(), "only their similarity holds them together"


def test_questions_about_one_text_share_a_fold() -> None:
    contexts = [text for text in sentences(40) for _ in range(3)]
    questions = pd.DataFrame({"question": [f"What is {n}?" for n in range(120)], "context": contexts})
    rows = identified(questions, QUESTIONS.content(questions))
    found = folds.numbered(rows, QUESTIONS, WITHOUT_COPIES, params(4))
    assert (found.groupby(rows["context"]).nunique() == 1).all() and found.nunique() == 4
