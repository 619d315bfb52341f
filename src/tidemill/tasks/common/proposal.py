"""What `tidemill new` needs to know of a task: its columns, and the params that it starts with. No stage reads this."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pandas as pd

from tidemill.core import cells, plugins
from tidemill.core.errors import TidemillError
from tidemill.core.pinned import PinnedFile
from tidemill.core.tables import NOT_INPUTS
from tidemill.tokens import tokenizers

Block = dict[str, Any]

STEPS = 1000
"""Optimizer steps that a proposed training takes, within its limits of epochs."""
BATCH = 32
LONGEST_LABEL = 100
"""Characters."""
MANY_ROWS = 1000
"""From so many rows on, an n-gram of a single text says nothing."""
KEPT_LENGTH = 0.95
"""Share of the texts that fit into the proposed length whole."""
SAMPLED = 200
"""Texts that a pretrained tokenizer is tried on."""
MOST_UNKNOWN = 0.02
"""Share of tokens that a pretrained tokenizer may not know."""
MOST_NUMBERED = 20
"""Different numbers up to which they can be classes."""
SENTENCE = 7
"""Words from which the texts of a column are more than names."""
TYPED = 1000
"""Cells by which the type of a column is judged."""
SPACELESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Letters of scripts that put no space between words."""
WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Column:
    """A column that a task needs, and how to find it in a table that calls it something else."""

    name: str
    aliases: str
    """Words by which others name it, separated by spaces, the most likely first."""
    fits: Callable[["pd.Series[Any]"], bool]
    """Whether these values can be it."""
    choose: Callable[[pd.DataFrame, Sequence[str]], str] | None = None
    """Picks one of the columns that fit if none has a telling name; None: it must have one."""
    separator: Callable[["pd.Series[Any]"], str | None] = field(default=lambda values: None)
    """What separates values in a cell that holds several as one text; None where a cell is one value."""
    needed: bool = True
    """Whether the task cannot do without it; otherwise it must have a telling name."""


class Pinned(NamedTuple):
    """The blocks of a system that builds on a pinned pretrained model: a new system can do so too."""

    task: str
    tokenize: Block
    model: Block


class Candidate(NamedTuple):
    """Params that a new system can have, and what to report about them."""

    name: str
    """What it is, in a few words: `linear on n-grams`."""
    params: Block
    """`tokenize`, `model`, `training` and, where the default does not suit the task, `ingest`."""
    notes: list[str]


class ProposalPart(Protocol):
    """What `tasks/<task>/proposal.py` defines."""

    COLUMNS: tuple[Column, ...]
    """Columns that the task needs."""
    PRIORITY: int
    """Of the tasks whose columns a table has, the one with the highest priority is proposed."""
    WHOLE_DOCUMENTS: bool
    """Whether plain text is read a document a row, without a label."""

    def suits(self, rows: pd.DataFrame) -> bool:
        """Return whether all columns together look like rows of the task, where its own columns are there."""

    def labels(self, rows: pd.DataFrame) -> "pd.Series[Any] | None":
        """Return every label of every row; None where rows have no labels."""

    def candidates(self, rows: pd.DataFrame, pinned: Sequence[Pinned]) -> list[Candidate]:
        """Return what may suit rows that have the columns of the task, the simplest first.

        Args:
            pinned: pretrained models that systems and presets of the project build on.

        Raises:
            TidemillError: nothing can be learned from these rows, or the task needs pinned weights and there are none.
        """

    def trivial(self, rows: pd.DataFrame) -> float:
        """Return the main metric that a trivial model reaches: a proposed gate is better."""


def of(task: str) -> ProposalPart:
    """Return the proposal part of a task, by the task's name."""
    part: ProposalPart = plugins.load("tasks", task, "proposal")
    return part


def is_text(values: "pd.Series[Any]") -> bool:
    """Whether all are texts, and not all the same."""
    present = values.dropna()
    return bool(present.map(lambda value: isinstance(value, str)).all()) and present.nunique() > 1


def is_label(values: "pd.Series[Any]") -> bool:
    """Whether they are few short values, each of which recurs."""
    present = values.dropna()
    if not present.map(lambda value: isinstance(value, str) or pd.api.types.is_number(value)).all():
        return False
    written = present.astype(str)
    return bool(written.nunique() <= max(2, len(written) / 5) and written.str.len().max() <= LONGEST_LABEL)


def longest(rows: pd.DataFrame, fitting: Sequence[str]) -> str:
    """Choose the column with the longest values on average."""
    return max(fitting, key=lambda name: rows[name].map(len, na_action="ignore").mean())


def fewest_values(rows: pd.DataFrame, fitting: Sequence[str]) -> str:
    """Choose the column with the fewest different values, but at least two."""
    return min(fitting, key=lambda name: (rows[name].nunique() < 2, rows[name].nunique()))


TEXT = Column(
    "text",
    "text review content sentence comment body message tweet document article description prompt title",
    is_text,
    longest,
)
TARGET_NAMES = (
    "target label class outcome species survived diagnosis category y price rating score quality value sales amount"
)
"""Words by which tables name the column to be predicted, the most likely first."""
LABEL = Column(
    "label", "label class category target sentiment topic tag intent rating stars score y", is_label, fewest_values
)


def always(rows: pd.DataFrame) -> bool:
    """Return True: the columns of the task tell enough."""
    return True


def is_prose(rows: pd.DataFrame) -> bool:
    """Return whether rows are texts, with or without columns beside them."""
    return not is_table(rows)


def is_table(rows: pd.DataFrame) -> bool:
    """Return whether rows are mostly numbers, dates and values that recur, and no column is one of sentences."""
    names = inputs_of(rows)
    named = [name for name in names if set(_words_of(name)) & set(TEXT.aliases.split())]
    strings = [name for name in names if is_text(rows[name]) and not _is_tabular(rows[name])]
    if any(name in strings for name in named) or any(_median_words(rows[name]) >= SENTENCE for name in strings):
        return False
    return sum(_is_tabular(rows[name]) for name in names) >= max(2, 2 * len(strings))


def inputs_of(rows: pd.DataFrame) -> list[str]:
    """Return the columns of the source that hold something."""
    return [str(name) for name in rows if name not in NOT_INPUTS and rows[name].notna().any()]


def target_of(rows: pd.DataFrame, fitting: Sequence[str]) -> str:
    """Choose the column of a table that has a telling name, or else the last one."""
    names = inputs_of(rows)
    named = [name for word in TARGET_NAMES.split() for name in names if word in _words_of(name)]
    chosen = named[0] if named else names[-1]
    return chosen if chosen in fitting or not fitting else fitting[-1]


def is_class(values: "pd.Series[Any]") -> bool:
    """Whether they are labels, and not numbers that happen to recur."""
    is_number = pd.api.types.is_float_dtype(cells.typed(values).values)
    return is_label(values) and (not is_number or values.nunique() <= MOST_NUMBERED)


def is_quantity(values: "pd.Series[Any]") -> bool:
    """Whether they are numbers, and more than two different ones."""
    found = cells.typed(values).values
    return pd.api.types.is_float_dtype(found) and found.nunique() > 2


def table_candidates(rows: int, columns: int) -> list[Candidate]:
    """Return boosted trees, a linear model and a perceptron for the columns of a table."""
    leaf = max(2, min(20, rows // 50))
    models: dict[str, tuple[Block, Block]] = {
        "boosted trees": ({"name": "boosting", "rows": leaf}, {}),
        "linear on columns": ({"name": "linear", "loss": "logistic", "strengths": [0.01, 0.1, 1.0, 10.0]}, {}),
        "perceptron on columns": (
            {"name": "mlp", "hidden": [64, 64], "dropout": 0.1},
            training(rows, optimizer="adamw", lr=2e-3, weight_decay=1e-2),
        ),
    }
    note = f"table: {columns} columns beside the one to predict"
    return [
        Candidate(name, {"tokenize": {}, "model": model, "training": given}, [note])
        for name, (model, given) in models.items()
    ]


def _is_tabular(values: "pd.Series[Any]") -> bool:
    """Whether they are numbers, dates, or values that recur."""
    typed = cells.typed(values.head(TYPED))
    return not pd.api.types.is_string_dtype(typed.values) or is_label(values)


def _median_words(values: "pd.Series[Any]") -> float:
    texts = values.dropna().astype(str).head(TYPED)
    return float(texts.map(lambda text: len(SPACELESS.findall(text)) / 2 + len(WORD.findall(text))).median())


def _words_of(name: str) -> list[str]:
    return re.split(r"[^a-z]+", name.lower())


def check_labels(labels: "pd.Series[Any]") -> None:
    """Refuse rows that all have the same label."""
    if labels.nunique() < 2:
        raise TidemillError(f"all {len(labels)} rows have the label {labels.iloc[0]!r}: a classifier needs two classes")


def share_of_commonest(labels: "pd.Series[Any]") -> float:
    """Return the share of rows that have the most frequent label."""
    return float(labels.value_counts(normalize=True).iloc[0])


def training(rows: int, **given: Any) -> Block:
    """Return params for a classifier's training of about `STEPS` steps."""
    epochs = min(30, max(3, math.ceil(STEPS * BATCH / rows)))
    return {"epochs": epochs, "batch": BATCH, **given, "patience": 5}


def text_classifiers(rows: pd.DataFrame, pinned: Sequence[Pinned]) -> list[Candidate]:
    """Return a linear model, a recurrent network and, where one is pinned, a pretrained encoder, for rows with a `text`."""
    unit, length, note = text_lengths(rows["text"])
    of_script: Block = {"words": [1, 2], "characters": [2, 5]} if unit == "words" else {"characters": [1, 3]}
    tokenize = {"unit": "ngrams", **of_script, "minimum_count": 2 if len(rows) >= MANY_ROWS else 1}
    linear = Candidate("linear on n-grams", {"tokenize": tokenize, "model": {"name": "linear"}, "training": {}}, [note])
    lstm: Block = {"name": "lstm", "embedding": 50, "hidden": 128, "pooling": "max", "dropout": 0.2}
    recurrent: Block = {
        "tokenize": {"unit": unit, "vocabulary": 10000, "length": length},
        "model": lstm,
        "training": training(len(rows), optimizer="adam", lr=3e-3),
    }
    return [linear, Candidate("recurrent network", recurrent, [note]), *_encoders(rows, pinned, length)]


def _encoders(rows: pd.DataFrame, pinned: Sequence[Pinned], length: int) -> list[Candidate]:
    """Return fine-tuning of the first pinned encoder that is there and knows these texts."""
    for found in pinned:
        tokenizer = found.tokenize.get("tokenizer")
        if tokenizer is None or found.model["name"] != "bert" or not _known_to(tokenizer, rows["text"]):
            continue
        tokenize = {"tokenizer": tokenizer, "length": min(256, max(16, 2 * length))}
        model = {"name": "bert", "pretrained": found.model["pretrained"]}
        schedule = {"name": "cosine", "warmup": 0.1}
        fine_tuning = {"epochs": 3, "batch": 16, "optimizer": "adamw", "lr": 2e-4, "clip": 1.0, "precision": "auto"}
        params: Block = {"tokenize": tokenize, "model": model, "training": fine_tuning | {"schedule": schedule}}
        return [
            Candidate("pretrained encoder", params, ["the encoder and its tokenizer are those of another system here"])
        ]
    return []


def _known_to(tokenizer: Block, texts: "pd.Series[Any]") -> bool:
    """Return whether a pinned tokenizer is there, and has a token for nearly everything in these texts."""
    if not Path(tokenizer["path"]).is_dir():
        return False  # `tidemill fetch` has not brought it
    loaded = tokenizers.read(PinnedFile.model_validate(tokenizer))
    sample = texts.dropna().astype(str).head(SAMPLED).tolist()
    tokens = [token for encoding in loaded.encode_batch(sample) for token in encoding.tokens]
    return bool(tokens) and tokens.count(tokenizers.UNKNOWN) <= MOST_UNKNOWN * len(tokens)


def text_lengths(texts: "pd.Series[Any]") -> tuple[str, int, str]:
    """Return the unit that suits the script, the length in units that most texts keep within, and a note."""
    unit, lengths = _lengths(texts)
    kept = int(min(1000, max(8, math.ceil(lengths.quantile(KEPT_LENGTH)))))
    whole = (lengths <= kept).mean()
    return unit, kept, f"{_measured(unit, lengths)}; the first {kept} are kept, all of {whole:.0%} of the texts"


def _lengths(texts: "pd.Series[Any]") -> "tuple[str, pd.Series[int]]":
    """Return the unit that suits the script, and the length of each text in units."""
    texts = texts.dropna().astype(str)
    letters = "".join(texts.head(1000))
    spaceless = len(SPACELESS.findall(letters)) > 0.3 * max(1, sum(map(str.isalpha, letters)))
    if spaceless:
        return "characters", texts.str.len()
    return "words", texts.map(lambda text: len(WORD.findall(text)))


def _measured(unit: str, lengths: "pd.Series[int]") -> str:
    return f"texts: median length {lengths.median():.0f} {unit}, maximum {lengths.max()}"
