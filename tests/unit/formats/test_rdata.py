"""Texts out of an R package's data, written here byte by byte as R's serialization lays them out."""

import re
import struct
import zlib

import pytest

from tidemill.core.errors import TidemillError
from tidemill.formats import rdata

NULL = struct.pack(">i", 254)
HEAD = b"X\n" + struct.pack(">III", 3, 0x030500, 0x030500) + struct.pack(">i", 5) + b"UTF-8"
LINES = [
    "EMMA",
    "",
    "CHAPTER I",
    "",
    "Emma Woodhouse, handsome,",
    "clever, and rich",
    "",
    "",
    "café",
    "CHAPTER II",
    "",
    "End",
]


def text(value, flags=0x4009, encoding="utf-8"):
    if value is None:
        return struct.pack(">ii", 9, -1)
    content = value.encode(encoding)
    return struct.pack(">ii", flags, len(content)) + content


def vector(values, attributes=b""):
    flags = 16 | (rdata.HAS_ATTRIBUTES if attributes else 0)
    return struct.pack(">ii", flags, len(values)) + b"".join(text(v, flags=0x40009) for v in values) + attributes


def integers(*values):
    return struct.pack(f">ii{len(values)}i", 13, len(values), *values)


def names(values):
    symbol = struct.pack(">i", 1) + text("names", flags=0x40009)
    return struct.pack(">i", 2 | rdata.HAS_TAG) + symbol + vector(values) + NULL


def named_list(elements):
    flags = 19 | rdata.HAS_ATTRIBUTES
    return struct.pack(">ii", flags, len(elements)) + b"".join(elements.values()) + names(list(elements))


def database(folder, variables, index=None):
    """Write `Rdata.rdb` and `Rdata.rdx` for serialized values by name."""
    values, places = b"", {}
    for name, value in variables.items():
        packed = zlib.compress(HEAD + value)
        entry = struct.pack(">I", len(HEAD + value)) + packed
        places[name] = integers(len(values), len(entry))
        values += entry
    (folder / "Rdata.rdb").write_bytes(values)
    (folder / "Rdata.rdx").write_bytes(zlib.compress(index or HEAD + named_list({"variables": named_list(places)})))
    return folder


def read(folder, **options):
    return rdata.read(folder, rdata.Options(**options))


def test_each_vector_is_a_text(tmp_path):
    rows = read(database(tmp_path, {"emma": vector(LINES), "other": vector(["one line"])}))
    assert rows["text"].tolist() == ["\n".join(LINES), "one line"]
    assert rows["row"].tolist() == ["emma:1", "other:1"]


def test_texts_begin_where_a_pattern_says_and_paragraphs_are_joined(tmp_path):
    rows = read(database(tmp_path, {"emma": vector(LINES)}), begins="^CHAPTER", unwrapped=True)
    assert rows["row"].tolist() == ["emma:1", "emma:3", "emma:10"]
    assert rows["text"][1] == "CHAPTER I\n\nEmma Woodhouse, handsome, clever, and rich\n\ncafé"


def test_values_of_other_types_are_left_out(tmp_path):
    rows = read(database(tmp_path, {"sizes": integers(1, 2), "lines": vector(["kept"])}))
    assert rows["text"].tolist() == ["kept"]


def test_attributes_and_repeated_symbols_are_read_over(tmp_path):
    again = struct.pack(">i", 2 | rdata.HAS_TAG) + struct.pack(">i", (1 << 8) | 255) + vector(["c"]) + NULL
    first = vector(["a", "b"], names(["x", "y"]))
    both = struct.pack(">ii", 19, 2) + first + vector(["d"], again)
    assert rdata._Reader(HEAD + both).value() == [{"x": "a", "y": "b"}, {"c": "d"}]


def test_latin_1_texts_are_read_as_such():
    assert rdata._Reader(HEAD + struct.pack(">ii", 9 | rdata.IS_LATIN1, 4) + "café".encode("latin-1")).value() == "café"


def test_a_database_without_texts_says_what_it_holds(tmp_path):
    with pytest.raises(TidemillError, match=r"no character vectors; it has: sizes"):
        read(database(tmp_path, {"sizes": integers(1, 2)}))


@pytest.mark.parametrize("suffix", ["rdb", "rdx"])
@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"junk" * 10])
def test_damaged_files_are_refused_in_one_line(tmp_path, suffix, damage):
    file = database(tmp_path, {"emma": vector(LINES)}) / f"Rdata.{suffix}"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(TidemillError, match=re.escape(str(tmp_path))) as raised:
        read(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "value",
    [
        struct.pack(">ii", 16, 2**30),  # a vector longer than the file
        struct.pack(">ii", 16, -5) + b"",
        struct.pack(">iii", 19, 1, 24) + b"\0" * 8,  # a type that is not read
        struct.pack(">i", (9 << 8) | 255),  # a symbol that never came
        (struct.pack(">ii", 19, 1)) * 5000,  # lists in lists without end
    ],
)
def test_hostile_values_are_refused(tmp_path, value):
    with pytest.raises(TidemillError):
        read(database(tmp_path, {"emma": value}))


def test_a_value_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(rdata, "LARGEST", 1000)
    with pytest.raises(TidemillError, match="larger"):
        read(database(tmp_path, {"emma": vector(["x" * 2000])}))
