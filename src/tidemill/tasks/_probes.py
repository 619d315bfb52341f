"""What a change of rows does to a model's answers: the probes that the tasks are made of."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemill.errors import TidemillError
from tidemill.tasks._baselines import HAN_OR_KANA, TOKEN
from tidemill.tasks._behaviour import Behaviour, Kind, TextBehaviour

if TYPE_CHECKING:
    from tidemill.tasks._predictor import Predictor

Rows = pd.DataFrame
Edit = Callable[[str], str]
Change = Callable[[Rows], Rows]

LONG = 10_000
"""Characters of a very long text."""
SCRIPTS = "שלום עולם. مرحبا بالعالم 🏠🏠 Привет, мир! 秦川雄帝宅。 नमस्ते"
"""Right to left, joined, emoji, and three more scripts."""
FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
"""Latin letters, digits and signs as Chinese and Japanese type has them."""
EDGE = re.compile(r"\w")
SPACELESS = re.compile(f"[{HAN_OR_KANA}]")


@dataclass(frozen=True)
class Probe:
    """One change of rows, and what must come of it."""

    name: str
    kind: Kind
    expects: str
    """What must hold, for the report."""
    change: Change
    """The rows that it changes, changed, under the index they had."""
    answer: Callable[["Predictor", Rows], Rows]
    """The model's answers, with what a reader is told of each in the column `told`."""
    behaved: Callable[[Rows, Rows, Rows], "pd.Series[bool]"]
    """Whether each row did as expected, by the changed rows, the answers before and those after."""


@dataclass(frozen=True)
class Probing:
    """All that a task has to ask of a model."""

    probes: list[Probe]
    rows: int = 50
    """Rows that each change is tried on."""
    prepared: Callable[[Rows], Rows] = field(default=lambda rows: rows)
    """The rows as they are changed and asked, where that is not whole."""


def edited(columns: Sequence[str], edit: Edit) -> Change:
    """A change of texts; rows that it leaves as they are, are left out."""

    def change(rows: Rows) -> Rows:
        changed = rows.assign(**{name: rows[name].map(edit) for name in columns})
        return changed[(changed[list(columns)] != rows[list(columns)]).any(axis=1)]

    return change


def own_edit(params: TextBehaviour) -> Edit:
    """The change of a text that the params ask for."""
    longest_first = sorted(params.replace, key=len, reverse=True)
    words = re.compile("|".join(map(_as_word, longest_first)))

    def edit(text: str) -> str:
        swapped = words.sub(lambda found: params.replace[found[0]], text) if params.replace else text
        return f"{params.prepend}{swapped}{params.append}" if swapped != text or not params.replace else text

    return edit


def own_columns(params: TextBehaviour, columns: Sequence[str]) -> list[str]:
    """The columns that the params name, or all.

    Raises:
        TidemillError: there is no such column.
    """
    if params.column is not None and params.column not in columns:
        raise TidemillError(
            f"evaluate.behaviours: {params.name!r} names the column {params.column!r}; there are: {', '.join(columns)}"
        )
    return [params.column] if params.column else list(columns)


def forms_of_text() -> dict[str, Edit]:
    """Other forms of the same text, by their names."""
    return {
        "small letters": str.lower,
        "capitals": str.upper,
        "white space": lambda text: f" {text.replace(' ', '  ')}\t ",
        "Windows line ends": lambda text: "\ufeff" + text.replace("\n", "\r\n"),
        "full-width signs": lambda text: text.translate(FULL_WIDTH),
        "no final punctuation": _without_final_punctuation,
    }


def odd_texts() -> dict[str, Edit]:
    """Texts at the edge of what can be asked, by their names."""
    return {
        "empty": lambda text: "",
        "short": lambda text: text[:1],
        "very long": lambda text: (text + " ") * (LONG // (len(text) + 1) + 1),
        "another script": lambda text: SCRIPTS,
    }


def tokens(text: str) -> list[str]:
    """Words, characters of scripts without spaces, and signs."""
    return re.findall(TOKEN, text)


def known_figure(params: Behaviour, figures: Sequence[str]) -> str:
    """The figure that must rise or fall.

    Raises:
        TidemillError: answers have no such figure.
    """
    name = params.raises or params.lowers or ""
    if name not in figures:
        raise TidemillError(
            f"evaluate.behaviours: {params.name!r} is about {name!r}, which no answer has; there are: {', '.join(figures)}"
        )
    return name


def with_others(rows: Rows, fits: Callable[[Any, Any], bool]) -> list[tuple[Any, Any]]:
    """Each row with the next one, the first coming after the last, that fits it; rows that none fits are left out."""
    records = list(rows.itertuples())
    following = [records[place + 1 :] + records[:place] for place in range(len(records))]
    pairs = [
        (row, next((one for one in others if fits(row, one)), None))
        for row, others in zip(records, following, strict=True)
    ]
    return [(row, other) for row, other in pairs if other is not None]


def _as_word(word: str) -> str:
    """A pattern that finds the word, in scripts with spaces as a whole one only."""
    before, after = (r"\b" if EDGE.match(edge) and not SPACELESS.match(edge) else "" for edge in (word[0], word[-1]))
    return f"{before}{re.escape(word)}{after}"


def _without_final_punctuation(text: str) -> str:
    end = len(text)
    while end and (unicodedata.category(text[end - 1]).startswith("P") or text[end - 1].isspace()):
        end -= 1
    return text[:end] or text
