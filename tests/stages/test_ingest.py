"""Ingest on real and on broken input: nothing leaks from one split to another, and no row vanishes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.projects import DIGITS, REVIEWS, Project, gzipped, write_digits, write_idx, write_reviews
from tidemill.core.files import read_json

SPLITS = ("train", "valid", "test")


@pytest.fixture
def reviews(new_project: Callable[[], Project]) -> Project:
    project = new_project()
    write_reviews(project.folder / "raw/reviews")
    project.params(reviews=REVIEWS)
    return project


def tables(project: Project, system: str) -> dict[str, pd.DataFrame]:
    return {split: pd.read_parquet(project.artifact(system, f"ingest/{split}.parquet")) for split in SPLITS}


def test_no_review_of_the_real_files_stands_in_two_splits_though_each_is_there_twice(
    new_project: Callable[[], Project], raw_data: Path
) -> None:
    project = new_project()
    project.params(sentiment=REVIEWS | {"source": REVIEWS["source"] | {"path": str(raw_data / "reviews")}})
    project.stages("sentiment", "ingest")
    split = tables(project, "sentiment")
    texts = {name: set(table["text"]) for name, table in split.items()}
    assert (
        not texts["train"] & texts["test"]
        and not texts["train"] & texts["valid"]
        and not texts["valid"] & texts["test"]
    )
    rejected = pd.read_parquet(project.artifact("sentiment", "ingest/rejected.parquet"))
    lines = sum(len((raw_data / f"reviews/{name}.txt").read_bytes().splitlines()) for name in ("pos", "neg"))
    assert sum(map(len, split.values())) + len(rejected) == lines
    assert rejected["reason"].notna().all()
    assert (rejected["reason"] == "exact copy").sum() > 17_000
    shares = [table["label"].eq("pos").mean() for table in split.values()]
    assert max(shares) - min(shares) < 0.05, "each label is spread over the splits by the same shares"


def test_a_row_never_moves_to_another_split_when_others_come(reviews: Project) -> None:
    reviews.stages("reviews", "ingest")
    before = {row: split for split, table in tables(reviews, "reviews").items() for row in table["id"]}
    file = reviews.folder / "raw/reviews/pos.txt"
    file.write_text("一条全新的评论，放在最前面\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    reviews.stages("reviews", "ingest")
    after = {row: split for split, table in tables(reviews, "reviews").items() for row in table["id"]}
    assert len(after) == len(before) + 1
    assert before.items() <= after.items()


def test_dropped_rows_name_their_reason_and_the_row_kept_instead(reviews: Project) -> None:
    folder = reviews.folder / "raw/reviews"
    long = "这家酒店的房间很大 早餐也不错 服务员态度很好 离地铁站只有五分钟 下次还会再来"
    extra = ["独一无二的评论", "独一无二的　评论".replace("　", ""), "", "左右为难", long, long + "！！"]
    with (folder / "pos.txt").open("a", encoding="utf-8") as stream:
        stream.write("\n".join(extra) + "\n")
    with (folder / "neg.txt").open("a", encoding="utf-8") as stream:
        stream.write("左右为难\n")
    reviews.params(reviews=REVIEWS | {"ingest": {"near_duplicates": 0.9}})
    reviews.stages("reviews", "ingest")
    rejected = pd.read_parquet(reviews.artifact("reviews", "ingest/rejected.parquet"))
    kept = pd.concat(tables(reviews, "reviews").values())
    reasons = rejected["reason"].value_counts().to_dict()
    assert reasons["no text"] == 1
    assert reasons["exact copy"] == 1
    assert reasons["near copy"] >= 1
    assert reasons["the same content has different labels"] == 2
    copies = rejected[rejected["reason"].isin(["exact copy", "near copy"])]
    assert copies["kept"].isin(kept["id"]).all()
    assert long in set(kept["text"]) and long + "!!" not in set(kept["text"])
    profile = read_json(reviews.artifact("reviews", "ingest/profile.json"))
    assert profile["rejected"] == {reason: int(count) for reason, count in reasons.items()}


def test_text_is_normalised(reviews: Project) -> None:
    file = reviews.folder / "raw/reviews/pos.txt"
    file.write_bytes(file.read_bytes() + "ＡＢＣ\u200b１２３ \t 好\x07！\r\n坏\x00的\r\n".encode())
    reviews.stages("reviews", "ingest")
    assert "ABC123 好!" in set(pd.concat(tables(reviews, "reviews").values())["text"])
    rejected = pd.read_parquet(reviews.artifact("reviews", "ingest/rejected.parquet"))
    assert rejected["row"].tolist() == ["pos.txt:302"], "a line that is no text is not made into one"


def test_packed_files_and_a_byte_order_mark_are_read_like_plain_ones(reviews: Project) -> None:
    reviews.stages("reviews", "ingest")
    before = tables(reviews, "reviews")
    file = reviews.folder / "raw/reviews/pos.txt"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    gzipped(file)
    reviews.stages("reviews", "ingest")
    assert all(before[name]["text"].equals(table["text"]) for name, table in tables(reviews, "reviews").items())


def test_given_test_rows_stay_and_a_training_row_that_copies_one_is_dropped(new_project: Callable[[], Project]) -> None:
    project = new_project()
    write_digits(project.folder / "raw/digits")
    project.params(digits=DIGITS)
    project.stages("digits", "ingest")
    split = tables(project, "digits")
    assert len(split["test"]) == 300
    assert len(split["train"]) + len(split["valid"]) == 1497
    copied = project.folder / "raw/digits/train-images-idx3-ubyte"
    content = bytearray(copied.read_bytes())
    content[16 : 16 + 64] = (project.folder / "raw/digits/t10k-images-idx3-ubyte").read_bytes()[16 : 16 + 64]
    copied.write_bytes(bytes(content))
    labels = project.folder / "raw/digits/train-labels-idx1-ubyte"
    content = bytearray(labels.read_bytes())
    content[8] = (project.folder / "raw/digits/t10k-labels-idx1-ubyte").read_bytes()[8]
    labels.write_bytes(bytes(content))
    project.stages("digits", "ingest")
    rejected = pd.read_parquet(project.artifact("digits", "ingest/rejected.parquet"))
    assert rejected["row"].tolist() == ["train-images-idx3-ubyte:0"]
    assert len(tables(project, "digits")["test"]) == 300


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def _empty(folder: Path) -> None:
    (folder / "pos.txt").write_bytes(b"")


def _other_encoding(folder: Path) -> None:
    text = (folder / "pos.txt").read_text(encoding="utf-8")
    (folder / "pos.txt").write_bytes(text.encode("gbk"))


def _truncated_archive(folder: Path) -> None:
    packed = gzipped(folder / "pos.txt")
    packed.write_bytes(packed.read_bytes()[:-20])


def _no_text_files(folder: Path) -> None:
    for file in folder.iterdir():
        file.rename(file.with_suffix(".dat"))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_remove, "raw/reviews is missing: `tidemill fetch`"),
        (_empty, "raw/reviews/pos.txt is empty"),
        (_other_encoding, "raw/reviews/pos.txt is not utf-8"),
        (_truncated_archive, "raw/reviews/pos.txt.gz cannot be unpacked"),
        (_no_text_files, "raw/reviews holds no file that matches '*.txt*'"),
    ],
)
def test_a_broken_source_ends_in_one_line_and_leaves_nothing(
    reviews: Project, harm: Callable[[Path], None], message: str
) -> None:
    harm(reviews.folder / "raw/reviews")
    done = reviews.stage("ingest", "reviews")
    assert done.returncode == 1
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not reviews.artifact("reviews", "ingest").exists()
    assert not list(reviews.folder.glob("artifacts/reviews/*")) and not list(
        reviews.folder.glob("artifacts/reviews/.*")
    )


def test_a_truncated_idx_file_ends_in_one_line(new_project: Callable[[], Project]) -> None:
    project = new_project()
    write_digits(project.folder / "raw/digits")
    project.params(digits=DIGITS)
    file = project.folder / "raw/digits/train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    done = project.stage("ingest", "digits")
    assert done.returncode == 1
    assert "train-images-idx3-ubyte is truncated" in done.stderr
    write_idx(file, np.zeros((3, 8, 8), np.uint8))
    assert "holds 3 pictures" in project.stage("ingest", "digits").stderr


def test_a_full_disk_ends_in_one_line_and_leaves_nothing(reviews: Project) -> None:
    limited = reviews.start("bash", "-c", "ulimit -f 8; trap '' XFSZ; exec python -m pipelines.ingest reviews")
    assert limited.returncode == 1
    assert len(limited.stderr.strip().splitlines()) == 1 and "File too large" in limited.stderr, limited.stderr
    assert not reviews.artifact("reviews", "ingest").exists()
