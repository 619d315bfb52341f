"""Rows to forget: left out with their content, no other row moved, and the list pinned by its hash."""

from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest

from tidemill.core.errors import TidemillError
from tidemill.rows import forgotten
from tidemill.rows.cleaning import ingested
from tidemill.rows.params import Ingest
from tidemill.tasks.common import rows as task_rows

TASK = task_rows.of("text_classification")
TEXTS = [f"review number {number} of a {thing}" for number in range(40) for thing in ("room", "book")]


def table(texts: list[str]) -> pd.DataFrame:
    labels = ["good" if "room" in text else "bad" for text in texts]
    return pd.DataFrame({"text": texts, "label": labels, "row": range(len(texts)), "split": None, "reason": None})


def test_they_are_left_out_without_their_content_and_no_other_row_moves() -> None:
    whole = ingested(table(TEXTS), TASK, Ingest(near_duplicates=None))
    ids = frozenset(whole.kept["id"].iloc[[3, 7, 30]])
    found = ingested(table([*TEXTS, TEXTS[3]]), TASK, Ingest(near_duplicates=None), ids)
    pd.testing.assert_frame_equal(found.kept, whole.kept[~whole.kept["id"].isin(ids)])
    gone = found.rejected[found.rejected["id"].isin(ids)]
    assert len(gone) == 4 and set(gone["reason"]) == {"forgotten"}, "a copy goes as well"
    assert gone["text"].isna().all() and gone["label"].isna().all() and gone["row"].isna().all()


def test_a_near_copy_does_not_take_the_place_of_a_forgotten_row() -> None:
    texts = [
        *TEXTS,
        "a long review of the same old hotel by the sea",
        "a long review of the same old hotel by the sea!?",
    ]
    whole = ingested(table(texts), TASK, Ingest(near_duplicates=0.95))
    first = whole.kept.loc[whole.kept["text"] == texts[-2], "id"].item()
    found = ingested(table(texts), TASK, Ingest(near_duplicates=0.95), frozenset([first]))
    assert not found.kept["text"].str.contains("same old hotel").any()
    assert not found.rejected["text"].dropna().str.contains("same old hotel").any()


def test_the_list_is_the_one_that_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert forgotten.read("digits", None) == frozenset()
    with pytest.raises(TidemillError, match=r"forgotten/digits\.txt is missing"):
        forgotten.read("digits", "0" * 64)
    listed = forgotten.path("digits")
    listed.parent.mkdir()
    listed.write_text("0123456789abcdef\nfedcba9876543210\n")
    hashed = sha256(listed.read_bytes()).hexdigest()
    assert forgotten.read("digits", hashed) == {"0123456789abcdef", "fedcba9876543210"}
    with pytest.raises(TidemillError, match=f"has the sha256 {hashed}, but systems.digits.ingest.forgotten is 0000"):
        forgotten.read("digits", "0" * 64)
