"""The file that says which rows are to be forgotten: ids, or texts that get the ids that ingested rows have."""

from pathlib import Path

import pandas as pd
import pytest

from tidemill.core.errors import TidemillError
from tidemill.provenance.forgetting import ids_of
from tidemill.rows.cleaning import ingested
from tidemill.rows.params import Ingest, PersonalData
from tidemill.tasks.common import rows as task_rows

TASK = "text_classification"
PLAIN = Ingest(near_duplicates=None)


@pytest.mark.parametrize(
    "ingest",
    [PLAIN, *(PLAIN.model_copy(update={"personal_data": PersonalData(action=action)}) for action in ("mask", "drop"))],
    ids=["plain", "masked", "dropped"],
)
def test_a_text_has_the_id_that_its_ingested_row_has(tmp_path: Path, ingest: Ingest) -> None:
    texts = [f"room  {number}\u3000of ada@example.org" if number % 2 else f"room {number}" for number in range(30)]
    labels = ["good" if number % 3 else "bad" for number in range(30)]
    source = pd.DataFrame({"text": texts, "label": labels, "row": range(30), "split": None, "reason": None})
    found = ingested(source, task_rows.of(TASK), ingest)
    asked = tmp_path / "asked.csv"
    pd.DataFrame({"text": texts}).to_csv(asked, index=False)
    assert ids_of(asked, TASK, ingest) == sorted([*found.kept["id"], *found.rejected["id"]])


def test_ids_are_taken_as_they_are_and_once(tmp_path: Path) -> None:
    ids = ["0123456789abcdef", "fedcba9876543210"]
    (tmp_path / "ids.txt").write_text("\n".join([*ids, ids[0]]))
    pd.DataFrame({"id": ids, "text": ["one", "two"]}).to_csv(tmp_path / "ids.csv", index=False)
    assert ids_of(tmp_path / "ids.txt", TASK, PLAIN) == ids == ids_of(tmp_path / "ids.csv", TASK, PLAIN)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ids.txt", b"\xff\xfe0123", "is no id: an id has 16 hexadecimal digits"),
        ("gone.txt", None, "gone.txt is not there, or is no file"),
    ],
)
def test_what_is_no_list_is_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TidemillError, match=message):
        ids_of(tmp_path / name, TASK, PLAIN)
