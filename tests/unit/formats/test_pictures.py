"""Pictures as they lie in folders or in JSON: each with its class, its split and where it came from."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tidemill.core.errors import TidemillError
from tidemill.formats import json_records, pictures
from tidemill.formats.common.source import Source, read_rows
from tidemill.tasks.image_classification import encoding
from tidemill.tasks.image_classification import rows as task


def picture(mode: str = "RGB", size: tuple[int, int] = (9, 7), kind: str = "PNG", seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels, "RGBA").convert(mode).save(stream, kind)
    return stream.getvalue()


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def folders(path: Path) -> pd.DataFrame:
    return read_rows(Source(path=str(path), format="pictures", options=pictures.Options()))


def test_folders_of_splits_and_classes(tmp_path: Path) -> None:
    files = {"train/cat/1.png": b"a", "val/dog/2.JPG": b"b", "test/cat/3.jpeg": b"c", "test/cat/notes.txt": b"d"}
    rows = folders(put(tmp_path, files))
    assert rows[["row", "label", "split"]].to_numpy().tolist() == [
        ["test/cat/3.jpeg", "cat", "test"],
        ["train/cat/1.png", "cat", "train"],
        ["val/dog/2.JPG", "dog", "valid"],
    ]
    assert rows["image"].tolist() == [b"c", b"a", b"b"]


def test_folders_of_classes_alone_leave_the_split_to_the_hash(tmp_path: Path) -> None:
    rows = folders(put(tmp_path, {"cat/1.png": b"a", "dog/2.png": b"b"}))
    assert rows["label"].tolist() == ["cat", "dog"]
    assert rows["split"].isna().all()


def test_what_cannot_be_read_is_rejected_and_the_rest_is_kept(tmp_path: Path) -> None:
    whole = picture()
    files = {"cat/whole.png": whole, "cat/cut.png": whole[:60], "dog/text.jpg": b"no picture", "dog/empty.png": b""}
    whole_ones = {f"{kind}/{number}.png": whole for kind in ("cat", "dog") for number in range(3)}
    cleaned = task.clean(folders(put(tmp_path, files | whole_ones)))
    reasons = dict(zip(cleaned["row"], cleaned["reason"], strict=True))
    assert all(pd.isna(reasons[name]) for name in ("cat/whole.png", *whole_ones))
    assert reasons["dog/empty.png"] == "the file is empty"
    assert all("not a readable picture" in str(reasons[name]) for name in ("cat/cut.png", "dog/text.jpg"))


def test_pictures_of_any_mode_size_and_kind_become_alike(tmp_path: Path) -> None:
    kinds = [
        ("RGB", "JPEG"),
        ("L", "PNG"),
        ("RGBA", "PNG"),
        ("P", "GIF"),
        ("1", "PNG"),
        ("CMYK", "JPEG"),
        ("LA", "PNG"),
    ]
    files = {
        f"{'cat' if number % 2 else 'dog'}/{number}.png": picture(mode, (20 + number, 30), kind, number)
        for number, (mode, kind) in enumerate(kinds)
    }
    rows = task.clean(folders(put(tmp_path, files)))
    assert rows["reason"].isna().all()
    pixels = encoding.encode(rows, None, {"shape": [16, 24, 3], "labels": ["cat", "dog"]})["pixels"]
    assert pixels.shape == (len(kinds), 16, 24, 3) and pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": b"a"}, "holds no picture"),
        ({"train/cat/1.png": b"a", "dog/2.png": b"b"}, "dog/2.png is in none of"),
    ],
)
def test_folders_that_fit_no_layout_are_refused(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(TidemillError, match=message):
        folders(put(tmp_path, files))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(TidemillError, match="is not a folder"):
        folders(put(tmp_path, {"one.png": b"a"}) / "one.png")


def records(path: Path, content: object, **options: object) -> pd.DataFrame:
    (path / "task.json").write_text(json.dumps(content), encoding="utf-8")
    given = json_records.Options.model_validate(
        {"records": "examples", "base64": ["input"], "scores": ["of"]} | options
    )
    return read_rows(
        Source(path=str(path), format="json_records", options=given, columns={"image": "input", "label": "of"})
    )


def test_pictures_in_json_with_the_label_of_the_highest_score(tmp_path: Path) -> None:
    coded = base64.b64encode(picture()).decode()
    examples = [
        {"input": coded, "of": {"cat": 0, "dog": 1}},
        {"input": "?", "of": {"cat": 1}},
        {"input": coded, "of": {}},
    ]
    rows = records(tmp_path, {"name": "base64", "examples": examples})
    assert rows["image"][0] == picture()
    assert rows["label"][:2].tolist() == ["dog", "cat"]
    assert rows["reason"][0] is None
    assert str(rows["reason"][1]).startswith("input: ") and str(rows["reason"][2]).startswith("of: ")
    assert rows["row"].tolist() == ["task.json:0", "task.json:1", "task.json:2"]


def test_a_field_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(TidemillError, match="field 'rows', holds no list of records"):
        records(tmp_path, {"examples": []}, records="rows")
    with pytest.raises(TidemillError, match="no field 'picture'; they have: input, of"):
        records(tmp_path, {"examples": [{"input": "", "of": {}}]}, base64=["picture"])
