"""Files as people have them: every row comes back, or stands in the table with the reason why not."""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill.core import plugins
from tidemill.core.errors import TidemillError
from tidemill.core.text import normalised
from tidemill.formats.common.source import Source, read_rows

ROWS = [(f"row {number} says hello", str(number % 2)) for number in range(200)]
TABLE = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)


def read(path: Path, format_: str, columns: dict[str, str] | None = None, **options: Any) -> pd.DataFrame:
    checked = plugins.load("formats", format_).Options.model_validate(options)
    return read_rows(Source(path=str(path), format=format_, options=checked, columns=columns or {}))


def refused(path: Path, format_: str, message: str, **options: Any) -> None:
    """Reading fails with one line that matches."""
    with pytest.raises(TidemillError, match=message) as error:
        read(path, format_, **options)
    assert "\n" not in str(error.value)


def pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(rows["text"], rows["label"], strict=True))


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", content)
    return buffer.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
}


@pytest.mark.parametrize("ending", PACKERS)
def test_packed_files_are_read_and_truncated_ones_are_refused(tmp_path: Path, ending: str) -> None:
    packed = PACKERS[ending](TABLE.encode())
    (tmp_path / f"whole.csv.{ending}").write_bytes(packed)
    (tmp_path / f"cut.csv.{ending}").write_bytes(packed[:-30])
    assert pairs(read(tmp_path / f"whole.csv.{ending}", "csv")) == ROWS
    refused(tmp_path / f"cut.csv.{ending}", "csv", "cut.csv.*cannot be unpacked")


def test_zstandard_is_read_and_a_truncated_file_is_refused(tmp_path: Path) -> None:
    with pyarrow.CompressedOutputStream(str(tmp_path / "whole.csv.zst"), "zstd") as stream:
        stream.write(TABLE.encode())
    (tmp_path / "cut.csv.zst").write_bytes((tmp_path / "whole.csv.zst").read_bytes()[:-30])
    assert pairs(read(tmp_path / "whole.csv.zst", "csv")) == ROWS
    refused(tmp_path / "cut.csv.zst", "csv", "cannot be unpacked")


def test_an_archive_of_several_files_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("one.csv", TABLE)
        archive.writestr("two.csv", TABLE)
    refused(tmp_path / "two.zip", "csv", "holds 2 files")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_delimiter_line_end_and_byte_order_mark_do_not_matter(
    tmp_path: Path, delimiter: str, end: str, mark: bytes
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(mark + TABLE.replace(",", delimiter).replace("\n", end).encode())
    assert pairs(read(path, "csv")) == ROWS


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-16", "Съешь же ещё этих мягких булок"),
        ("utf-32", "مرحبا بالعالم"),
        ("cp1251", "Съешь же ещё этих мягких булок"),
        ("cp1252", "the café at the corner has a naïve menu"),
        ("gb18030", "质量很好的手机我很喜欢"),
        ("big5", "質量很好的手機我很喜歡"),
    ],
)
def test_an_encoding_is_read_where_named_and_suggested_where_not(tmp_path: Path, encoding: str, words: str) -> None:
    text = "text;label\n" + "".join(f"{words} {number};1\n" for number in range(100))
    (tmp_path / "rows.csv").write_bytes(text.encode(encoding))
    assert pairs(read(tmp_path / "rows.csv", "csv", encoding=encoding))[7] == (f"{words} 7", "1")
    refused(tmp_path / "rows.csv", "csv", f"name its encoding in source.options.encoding, '{encoding}'")


def test_mixed_encodings_are_reported_and_a_single_wrong_row_is_listed(tmp_path: Path) -> None:
    good, bad = "café olé,1\n".encode(), "café olé,1\n".encode("latin-1")
    (tmp_path / "mixed.csv").write_bytes(b"text,label\n" + (good + bad) * 100)
    (tmp_path / "one.csv").write_bytes(b"text,label\n" + good * 200 + bad)
    refused(tmp_path / "mixed.csv", "csv", "100 of 200 rows, the first is 2; it mixes encodings")
    rows = read(tmp_path / "one.csv", "csv")
    assert rows["reason"].dropna().to_dict() == {200: "not utf-8-sig"}
    assert rows.loc[200, "row"] == "one.csv:202"


def test_bad_rows_of_a_table_are_listed_with_their_line_and_take_no_other_with_them(tmp_path: Path) -> None:
    bad = '"left open,1\nfine,0\nshort\nlong,1,2\n"good, ""quoted""\nover lines",1\n"bad"tail,1\nlast,0\n'
    (tmp_path / "rows.csv").write_text(TABLE + bad)
    rows = read(tmp_path / "rows.csv", "csv").iloc[200:]
    assert rows[rows["reason"].isna()]["text"].tolist() == ["fine", 'good, "quoted"\nover lines', "last"]
    reasons = dict(rows[rows["reason"].notna()][["row", "reason"]].to_numpy())
    assert list(reasons) == ["rows.csv:202", "rows.csv:204", "rows.csv:205", "rows.csv:208"]
    assert "quote" in reasons["rows.csv:202"] and "quote" in reasons["rows.csv:208"]
    assert reasons["rows.csv:204"] == "1 fields where the header has 2"
    assert reasons["rows.csv:205"] == "3 fields where the header has 2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("text,label\n", "holds no rows"),
        ("\n\n\n", "blank lines only"),
        ("text,text\na,b\n", "two columns named 'text'"),
        ("text,label\n" + "a,b,c\n" * 9, "none of the 9 rows can be used; rows.csv:2: 3 fields"),
        (TABLE.replace("says", "s\0ys"), "is not text: 200 of 200 rows"),
    ],
)
def test_a_file_without_usable_rows_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "rows.csv").write_text(content)
    refused(tmp_path / "rows.csv", "csv", message)


def test_a_cell_of_hundreds_of_megabytes_is_reported_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with path.open("wb") as stream:
        stream.write(b"text,label\nfine,1\n")
        stream.seek(300_000_000, io.SEEK_CUR)  # a hole: the disk holds nothing of it
        stream.write(b",1\nfine,0\n")
    refused(path, "csv", r"rows.csv:3 has more than 16,777,216 characters")
    refused(path, "jsonl", r"rows.csv:3 has more than 16,777,216 characters")
    refused(path, "text", r"rows.csv:3 has more than 16,777,216 characters")
    path.write_text("text,label\n" + '"' + "open\n" * 4_000_000)
    refused(path, "csv", r"rows.csv:2 opens a cell of more than 16,777,216 characters: is a quote left open")


def test_a_table_without_a_header_takes_its_names_from_the_options(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(TABLE.removeprefix("text,label\n"))
    assert pairs(read(tmp_path / "rows.csv", "csv", names=["text", "label"])) == ROWS


def test_bad_lines_of_json_are_listed_with_the_reason(tmp_path: Path) -> None:
    lines = ['{"text": "a"}', "{bad", "[1]", "", '{"text": "\\ud800"}', "[" * 100_000, '{"text": "é\\ud83d\\ude00"}']
    (tmp_path / "rows.jsonl").write_text("\r\n".join(lines))
    rows = read(tmp_path / "rows.jsonl", "jsonl")
    assert rows["row"].tolist() == [f"rows.jsonl:{number}" for number in (1, 2, 3, 5, 6, 7)]
    assert rows[rows["reason"].isna()]["text"].tolist() == ["a", "é😀"]
    expected = ["not JSON", "a JSON list, not an object", "half of a surrogate pair", "not JSON"]
    assert all(part in reason for part, reason in zip(expected, rows["reason"].dropna(), strict=True))


@pytest.mark.parametrize("content", [b"", b"PAR1 and more", b"text,label\na,1\n"])
def test_a_damaged_parquet_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rows.parquet").write_bytes(content)
    refused(tmp_path / "rows.parquet", "parquet", "rows.parquet is not a whole Parquet file")


@pytest.mark.parametrize(
    ("labels", "written"),
    [
        ([1, 2, 1], ["1", "2", "1"]),
        ([1.0, 2.0, None], ["1", "2", None]),
        ([0.5, 1.0, 2.0], ["0.5", "1", "2"]),
        ([True, False, None], ["true", "false", None]),
        (["1.0", "2.0", "-3.0"], ["1", "2", "-3"]),
        (["1.0", "1.1", "2.0"], ["1.0", "1.1", "2.0"]),
        (["007", "yes", None], ["007", "yes", None]),
    ],
)
def test_labels_are_written_as_a_person_would(tmp_path: Path, labels: list[Any], written: list[str | None]) -> None:
    table = pd.DataFrame({"text": ["a", "b", "c"], "label": pd.Series(labels, dtype=object).infer_objects()})
    table.to_parquet(tmp_path / "rows.parquet")
    found = [label if isinstance(label, str) else None for label in read(tmp_path / "rows.parquet", "parquet")["label"]]
    assert found == written


def test_columns_are_renamed_and_those_of_ingesting_itself_are_kept_clear(tmp_path: Path) -> None:
    table = {
        "body": ["a", "b"],
        "stars": [1, 2],
        "reason": ["x", "y"],
        "id": [7, 8],
        "kept": ["p", "q"],
        "text": ["", ""],
    }
    pd.DataFrame(table).to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    rows = read(tmp_path / "rows.jsonl", "jsonl", {"text": "body", "label": "stars"})
    assert pairs(rows) == [("a", "1"), ("b", "2")]
    assert rows["reason"].isna().all()
    assert not {"id", "kept", "body", "stars"} & set(rows)
    with pytest.raises(TidemillError, match="has no column 'review'; it has: body, stars"):
        read(tmp_path / "rows.jsonl", "jsonl", {"text": "review"})


def test_columns_of_mixed_types_can_be_stored(tmp_path: Path) -> None:
    lines = [
        {"text": "a", "more": 1},
        {"text": "b", "more": "x"},
        {"text": "c", "more": [1, {"y": 2}]},
        {"text": "d", "more": 2**80},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    read(tmp_path / "rows.jsonl", "jsonl").to_parquet(tmp_path / "rows.parquet")
    assert pd.read_parquet(tmp_path / "rows.parquet")["more"].tolist()[:2] == ["1", "x"]


def test_files_of_a_pattern_are_read_each_under_its_own_name_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("a/rows.csv", "b/rows.csv", ".cache/rows.csv", "._rows.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text\nx\n")
    assert read(tmp_path, "csv", files="**/*.csv")["row"].tolist() == ["a/rows.csv:2", "b/rows.csv:2"]
    refused(tmp_path, "csv", "no file that matches", files="*.tsv")
    refused(tmp_path, "csv", "not a pattern of files inside", files="/etc/*")


def test_files_and_columns_say_which_split_a_row_belongs_to(tmp_path: Path) -> None:
    for name in ("train", "dev"):
        (tmp_path / f"{name}.csv").write_text(f"text\nof {name}\n")
    rows = read(tmp_path, "csv", splits={"train": "train*", "valid": "dev*"})
    assert dict(rows[["text", "split"]].to_numpy()) == {"of train": "train", "of dev": "valid"}
    (tmp_path / "column.csv").write_text("text,fold\na,Validation\nb,train\nc,\n")
    assert read(tmp_path / "column.csv", "csv", {"split": "fold"})["split"].tolist()[:2] == ["valid", "train"]
    (tmp_path / "column.csv").write_text("text,split\na,fold 3\n")
    refused(tmp_path / "column.csv", "csv", "column 'split' holds 'fold 3', not train, valid or test")


def test_a_file_can_be_a_document_an_empty_one_too(tmp_path: Path) -> None:
    for name, text in {"good/1.txt": "one\ntwo", "good/2.txt": "", "bad/1.txt": "مرحبا 👨‍👩‍👧"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    rows = read(tmp_path, "text", files="**/*.txt", unit="file", label="folder")
    assert pairs(rows) == [("مرحبا 👨‍👩‍👧", "bad"), ("one\ntwo", "good"), ("", "good")]


def test_a_data_set_in_the_layout_of_the_hub_has_its_splits_and_the_names_of_its_classes(tmp_path: Path) -> None:
    names = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}, "img": {"_type": "Image"}}
    metadata = {"huggingface": json.dumps({"info": {"features": names}})}
    (tmp_path / "plain_text").mkdir()
    for split, labels in {"train": [1, 0], "validation": [1], "test": [-1]}.items():
        pictures = [{"bytes": b"\x89PNG", "path": None}] * len(labels)
        table = pyarrow.table({"label": labels, "img": pictures}).replace_schema_metadata(metadata)
        pyarrow.parquet.write_table(table, tmp_path / f"plain_text/{split}-00000-of-00001.parquet")
    rows = read(tmp_path, "huggingface")
    assert dict(rows.groupby("split")["label"].agg(lambda labels: sorted(labels.dropna()))) == {
        "test": [],
        "train": ["neg", "pos"],
        "valid": ["pos"],
    }
    assert set(rows["img"]) == {b"\x89PNG"}


def test_a_data_set_of_the_hub_that_cannot_be_reached_is_reported_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    refused(
        tmp_path / "set", "huggingface", "owner/name: the Hugging Face Hub", dataset="owner/name", revision="0" * 40
    )
    refused(tmp_path / "set", "huggingface", "set source.options.dataset and .revision")
    assert not (tmp_path / "set").exists()


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
SAME = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(st.lists(TEXTS, min_size=1, max_size=8), st.sampled_from(",;\t|"))
@SAME
def test_any_text_comes_back_from_a_table(tmp_path: Path, texts: list[str], delimiter: str) -> None:
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([("text", "label"), *((text, "x") for text in texts)])
    assert read(tmp_path / "rows.csv", "csv", delimiter=delimiter)["text"].tolist() == texts


@given(st.lists(TEXTS, min_size=1, max_size=8), st.booleans())
@SAME
def test_any_text_comes_back_from_json_lines(tmp_path: Path, texts: list[str], ascii_only: bool) -> None:
    lines = [json.dumps({"text": text}, ensure_ascii=ascii_only) for text in texts]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8", newline="")
    assert read(tmp_path / "rows.jsonl", "jsonl")["text"].tolist() == texts


@given(st.lists(TEXTS, min_size=1, max_size=8))
@SAME
def test_any_text_comes_back_from_parquet(tmp_path: Path, texts: list[str]) -> None:
    pd.DataFrame({"text": texts}).to_parquet(tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet", "parquet")["text"].tolist() == texts


@given(st.lists(TEXTS, min_size=1, max_size=8))
@SAME
def test_any_lines_come_back_from_plain_text_once_normalised(tmp_path: Path, texts: list[str]) -> None:
    lines = [re.sub(r"[\r\n]", " ", text) or "x" for text in texts]
    (tmp_path / "rows.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    assert read(tmp_path / "rows.txt", "text")["text"].map(normalised).tolist() == [normalised(line) for line in lines]


@given(st.binary(max_size=300), st.sampled_from(["csv", "jsonl", "text", "parquet"]))
@SAME
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path: Path, content: bytes, format_: str) -> None:
    (tmp_path / "rows.bin").write_bytes(content)
    try:
        rows = read(tmp_path / "rows.bin", format_)
    except TidemillError as error:
        assert "rows.bin" in str(error)
    else:
        assert rows["row"].notna().all()
