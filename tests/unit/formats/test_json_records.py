"""JSON files that hold a list of records each."""

import gzip
import json

import pytest

from tidemill.core.errors import TidemillError
from tidemill.formats import json_records

POEMS = [
    {"title": "帝京篇", "paragraphs": ["秦川雄帝宅，", "函谷壯皇居。"], "tags": [1, 2]},
    {"title": "{paragraphs} \\1", "paragraphs": []},
    {"paragraphs": ["without a title"]},
]


def read(path, **options):
    return json_records.read(path, json_records.Options(**options))


@pytest.fixture
def poems(tmp_path):
    (tmp_path / "b.json").write_text(json.dumps(POEMS), encoding="utf-8")
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(json.dumps(POEMS[:1]).encode()))
    (tmp_path / "notes.txt").write_text("no JSON")
    return tmp_path


def test_records_of_all_files_become_rows_and_lists_of_texts_texts(poems):
    rows = read(poems)
    assert rows["row"].tolist() == ["a.json.gz:0", "b.json:0", "b.json:1", "b.json:2"]
    assert rows["paragraphs"].tolist() == ["秦川雄帝宅，\n函谷壯皇居。"] * 2 + ["", "without a title"]
    assert rows["tags"][0] == [1, 2]


def test_a_text_is_made_of_several_fields(poems):
    rows = read(poems, files="b.json", text="{title}\n\n{paragraphs}", separator="")
    assert rows["text"][0] == "帝京篇\n\n秦川雄帝宅，函谷壯皇居。"
    assert rows["text"][1] == "{paragraphs} \\1\n\n", "what a record holds is no pattern"
    assert rows["reason"].isna().tolist() == [True, True, False]
    assert rows["reason"][2] == "no field 'title'"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"[{", "is not JSON"), (b'{"a": 1}', "holds no list of records"), (b"[1]", "no list of records"), (b"", "empty")],
)
def test_a_file_of_another_kind_is_refused(tmp_path, content, message):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(TidemillError, match=message):
        read(tmp_path / "a.json")
