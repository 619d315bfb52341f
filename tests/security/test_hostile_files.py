"""Files made to exhaust memory, time or disk, to start a program, or to be taken for code: one line refuses them."""

import bz2
import csv
import gzip
import html.parser
import io
import json
import lzma
import resource
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import redirect_stdout
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import EpsImagePlugin, Image

from tests.unit.sources.range_server import running_site
from tidemill.core import pictures, unpacking
from tidemill.core.errors import TidemillError
from tidemill.core.params import read_yaml
from tidemill.formats.common.source import Source, read_rows
from tidemill.project.params import load_project
from tidemill.serving import layouts
from tidemill.sources.fetch import fetch
from tidemill.sources.params import Download
from tidemill.validation import data_docs, suites
from tidemill.validation.params import Expectation

MEMORY = 6 * 2**30
"""Bytes of address space for a test, far below what the bombs stand for."""


@pytest.fixture
def little_memory() -> Any:
    """End what takes far too much memory by an error instead of by the machine's other processes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def refused(call: Callable[[], Any], told: str, seconds: float = 20) -> None:
    start = time.monotonic()
    with pytest.raises(TidemillError) as error:
        call()
    assert told in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 1000
    assert time.monotonic() - start < seconds


def read(path: Path, format_: str, **options: Any) -> pd.DataFrame:
    from tidemill.core import plugins

    chosen = plugins.load("formats", format_).Options.model_validate(options)
    return read_rows(Source(path=str(path), format=format_, options=chosen))


def encoded(name: str) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, name)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["EPS", "PPM", "TGA", "PCX", "ICO", "PDF", "JPEG2000"])
def test_pictures_are_opened_in_the_named_formats_only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *given, **_: started.append(given))
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n" if name == "EPS" else encoded(name)
    with pytest.raises(ValueError, match="not a readable picture: in none of the formats PNG, JPEG") as error:
        pictures.decoded(content)
    assert started == []
    assert "0x" not in str(error.value) and "BytesIO" not in str(error.value)


@pytest.mark.parametrize("name", pictures.FORMATS)
def test_the_named_formats_are_read(name: str) -> None:
    assert pictures.decoded(encoded(name)).size == pictures.size(encoded(name)) == (8, 8)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", pictures.FORMATS)
def test_damaged_pictures_raise_one_kind_of_error(name: str) -> None:
    whole, generator = encoded(name), np.random.default_rng(0)
    for _ in range(200):
        content = bytearray(whole[: generator.integers(len(whole) // 2, len(whole) + 1)])
        for place in generator.integers(0, len(content), 3):
            content[place] = generator.integers(256)
        try:
            pictures.decoded(bytes(content))
        except ValueError as error:
            assert "0x" not in str(error) and "\n" not in str(error)


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", lambda content: pa.compress(content, "zstd", asbytes=True)),
        (".zip", None),
    ],
)
def test_a_file_that_unpacks_to_far_more_than_its_size_is_refused(
    ending: str, pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "ALWAYS", 2**20)
    bomb = (b"a" * 99 + b"\n") * 200_000  # 20 MB
    for format_, name in (("text", f"a.txt{ending}"), ("json_records", f"a.json{ending}"), ("csv", f"a.csv{ending}")):
        path = tmp_path / name
        if pack is None:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("a", bomb)
        else:
            path.write_bytes(pack(bomb))
        refused(lambda path=path, format_=format_: read(path, format_), "unpacks to more than 200 times its size")


def test_a_member_that_unpacks_to_far_more_than_its_archive_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(unpacking, "ALWAYS", 2**20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("wanted", b"a" * 20_000_000)
    pins = [sha256((tmp_path / "a.zip").read_bytes()).hexdigest(), sha256(b"a" * 20_000_000).hexdigest()]
    members = {"taken": {"path": "wanted", "sha256": pins[1]}}
    wanted = Download.model_validate(
        {"from": [str(tmp_path / "a.zip")], "sha256": pins[0], "licence": "MIT", "members": members}
    )
    refused(lambda: fetch({"source": [wanted]}, tmp_path / "data"), "member 'wanted' of the archive is refused")
    assert not (tmp_path / "data" / "source").exists()


@pytest.mark.parametrize("said", [True, False], ids=["length said", "no length"])
def test_a_download_of_more_than_the_pinned_size_ends_at_once(
    said: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_CACHE", str(tmp_path / "cache"))
    content = b"content"
    pin = sha256(content).hexdigest()
    with running_site() as site:
        site.files = {"/long": content * 2_000_000, "/right": content}
        if not said:
            _forget_lengths(monkeypatch)
        addresses = [f"{site.address}/long", f"{site.address}/right"]
        wanted = Download.model_validate(
            {"from": addresses, "sha256": pin, "licence": "MIT", "size": len(content), "name": "it"}
        )
        with redirect_stdout(io.StringIO()):
            fetch({"source": [wanted]}, tmp_path / "data")
        assert (tmp_path / "data/source/it").read_bytes() == content
        wanted = wanted.model_copy(update={"from_": addresses[:1]})
        refused(lambda: fetch({"other": [wanted.model_copy(update={"sha256": "0" * 64})]}, tmp_path / "data"), "7")
    assert not list((tmp_path / "cache").glob("*.part"))


def _forget_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no server say how much it is going to send."""
    from tidemill.sources import transfer

    real = transfer._http_stream
    monkeypatch.setattr(
        transfer, "_http_stream", lambda response, offset: transfer.Stream(offset, None, real(response, offset).chunks)
    )


def test_a_parquet_file_that_declares_more_than_memory_holds_is_not_read(tmp_path: Path, little_memory: None) -> None:
    path = tmp_path / "a.parquet"
    nothing = pa.table({name: pa.nulls(2**26) for name in "abcd"})
    with pq.ParquetWriter(path, nothing.schema) as writer:
        for _ in range(5):
            writer.write_table(nothing)
    assert path.stat().st_size < 2**22
    refused(lambda: read(path, "parquet"), "cells")
    refused(lambda: read(path, "huggingface"), "cells")


def test_a_table_of_a_million_columns_is_refused(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(1_000_000)]
    (tmp_path / "a.csv").write_text(",".join(names) + "\n" + ",".join("1" * 1_000_000) + "\n")
    refused(lambda: read(tmp_path / "a.csv", "csv"), "has more than 16,384 columns")
    refused(lambda: list(layouts.of(tmp_path / "a.csv", None).chunks(10)), "columns")
    record = dict.fromkeys(names, 1)
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n")
    refused(lambda: read(tmp_path / "a.jsonl", "jsonl"), "columns")
    refused(lambda: list(layouts.of(tmp_path / "a.jsonl", None).chunks(10)), "columns")
    (tmp_path / "a.json").write_text(json.dumps([record]))
    refused(lambda: read(tmp_path / "a.json", "json_records"), "columns")
    (tmp_path / "b.jsonl").write_text("".join(f'{{"c{number}": 1}}\n' for number in range(20_000)))
    refused(lambda: read(tmp_path / "b.jsonl", "jsonl"), "columns")


def test_json_in_too_many_levels_is_refused(tmp_path: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    (tmp_path / "a.json").write_text(deep)
    for format_ in ("json_records", "squad"):
        refused(lambda format_=format_: read(tmp_path / "a.json", format_), "is not JSON")
    (tmp_path / "a.jsonl").write_text(f'{{"text": {deep}}}\n{{"text": "a"}}\n{{"text": {deep[99_500:100_500]}}}\n')
    assert read(tmp_path / "a.jsonl", "jsonl")["reason"].notna().tolist()[:2] == [True, False]


YAML_BOMBS = {
    "aliases": "a0: &a0 [x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    + "systems: *a9\n",
    "merged": "a0: &a0 {x: 1}\n"
    + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 10)),
    "deep lists": "systems: " + "[" * 100_000 + "]" * 100_000,
    "deep mappings": "systems: " + "{a: " * 20_000 + "1" + "}" * 20_000,
    "deep lines": "- " * 50_000 + "1",
    "a circle": "systems: &a {x: *a}\n",
}


@pytest.mark.parametrize("name", list(YAML_BOMBS))
def test_a_params_file_that_stands_for_more_than_it_is_long_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(YAML_BOMBS[name])
    code = f"from tidemill.project.params import load_project; load_project(__import__('pathlib').Path({str(tmp_path)!r}) / 'params.yaml')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, "it ended by itself, not by a signal"
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("tidemill.core.errors.TidemillError: ") and "params.yaml" in last and len(last) < 500


def test_aliases_of_a_usual_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a {x: [1, 2]}\nb: *a\nc: {<<: *a, y: 3}\n")
    assert read_yaml(tmp_path / "a.yaml")["c"] == {"x": [1, 2], "y": 3}
    assert load_project(Path(__file__).parents[2] / "params.yaml").systems


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (b"\0\0\x08\x03\0\0", "ends in its header"),
        (struct.pack(">HBB3I", 0, 8, 3, 2, 0, 28), "pictures of 0 x 28 pixels"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "is truncated"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 4) + b"\0" * 16, "is truncated"),
        (struct.pack(">HBB3I", 0, 9, 3, 2, 2, 2) + b"\0" * 8, "is not an IDX file"),
    ],
)
def test_damaged_pictures_of_idx_are_refused(images: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "t-images").write_bytes(images)
    (tmp_path / "t-labels").write_bytes(struct.pack(">HBBI", 0, 8, 1, 2) + b"\0\1")
    refused(lambda: read(tmp_path, "idx", splits={"train": "t"}), told)


@pytest.mark.parametrize(
    "description",
    [
        b"{",
        b"\xff",
        b"[]",
        b'{"info": []}',
        b'{"info": {"features": []}}',
        b'{"info": {"features": {"label": {"_type": "ClassLabel"}}}}',
        b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": 3}}}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_description_of_the_hub_is_told(description: bytes, tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b"], "label": [0, 1]}).replace_schema_metadata({b"huggingface": description})
    pq.write_table(table, tmp_path / "a.parquet")
    refused(lambda: read(tmp_path, "huggingface"), "the Hub's description of its columns is damaged")


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_no_cell_for_a_spreadsheet_is_a_formula(begin: str, ending: str, tmp_path: Path) -> None:
    hostile = f"{begin}cmd|' /C calc'!A0"
    separator = "," if ending == ".csv" else "\t"
    table = pd.DataFrame({"text": [hostile, "fine"], hostile: ["1", "-5"]})
    table.to_csv(tmp_path / f"in{ending}", sep=separator, index=False, quoting=csv.QUOTE_ALL)
    predictions = pd.DataFrame({"prediction": [hostile, None], "confidence": [-0.5, 0.5]})
    for spreadsheet in (True, False):
        layout = layouts.of(tmp_path / f"in{ending}", None, spreadsheet)
        [chunk] = layout.chunks(10)
        layout.write(chunk, predictions, tmp_path / "out", first=True)
        written = pd.read_csv(tmp_path / "out", sep=separator, dtype=str, keep_default_na=False)
        mark = "'" if spreadsheet else ""
        kept = hostile.strip() if begin in "\t\r" else hostile  # a name of a column has no white space around it
        assert written["text"].tolist() == [f"{mark}{hostile}", "fine"]
        assert written["prediction"].tolist() == [f"{mark}{hostile}", ""]
        assert written["confidence"].tolist() == ["-0.5", "0.5"], "numbers stay numbers"
        if begin not in "\t\r":
            assert written[f"{mark}{kept}"].tolist() == ["1", f"{mark}-5"]


HOSTILE = [
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}",
    "{% include 'x' %}",
    "$column ${a} $",
    "%s %(a)s {0}",
    "a'b\"c&lt;",
]


class Elements(html.parser.HTMLParser):
    """Names of all elements and attributes of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {tag, *(name for name, _ in attrs)}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", HOSTILE)
def test_the_name_of_a_column_is_text_on_the_pages_of_expectations(name: str, tmp_path: Path) -> None:
    rows = pd.DataFrame({"id": ["0" * 16, "1" * 16], name: ["a", name]})
    expectations = [
        ("expect_column_values_to_be_in_set", {"column": name, "value_set": ["a", f"{name}!"]}),
        ("expect_column_values_to_match_regex", {"column": name, "regex": "^a<b>$"}),
        ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": name, "column_B": "id"}),
        ("expect_table_columns_to_match_set", {"column_set": ["id", f"{name}?"], "exact_match": True}),
        ("expect_column_values_to_not_be_null", {"column": f"{name} is missing"}),
        (
            "expect_column_values_to_not_be_null",
            {"column": "id", "description": name, "notes": name, "meta": {"a": name}},
        ),
        ("expect_compound_columns_to_be_unique", {"column_list": ["id", name]}),
    ]
    made = [Expectation(type=kind, kwargs=kwargs) for kind, kwargs in expectations]
    validation = suites.validate({"train": rows}, made)
    data_docs.write_data_docs(tmp_path / "docs", validation.results)
    for page in (tmp_path / "docs").iterdir():
        found = Elements(page.read_text(encoding="utf-8"))
        assert found.names & {"script", "img", "b", "onerror", "src"} == set(), page
    found = Elements((tmp_path / "docs" / "train.html").read_text(encoding="utf-8"))
    assert " ".join(name.split()) in " ".join(found.text.split()), "and it stands there as it is"
