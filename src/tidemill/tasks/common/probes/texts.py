"""Changes of texts: other forms of the same text, texts at the edge, and the edits that params ask for."""

import re
import unicodedata
from collections.abc import Sequence

from tidemill.core.errors import TidemillError
from tidemill.tasks.common.probes.params import TextProbeParams
from tidemill.tasks.common.probes.probe import Change, Edit, Rows
from tidemill.tokens.ngrams import HAN_OR_KANA, WORD

LONG = 10_000
"""Characters of a very long text."""
SCRIPTS = "שלום עולם. مرحبا بالعالم 🏠🏠 Привет, мир! 秦川雄帝宅。 नमस्ते"
"""Right to left, joined, emoji, and three more scripts."""
FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
"""Latin letters, digits and signs as Chinese and Japanese type has them."""
WORD_CHARACTER = re.compile(r"\w")
UNSPACED = re.compile(f"[{HAN_OR_KANA}]")


def edited(columns: Sequence[str], edit: Edit) -> Change:
    """Return a change that edits text columns; rows that stay as they are are left out."""

    def change(rows: Rows) -> Rows:
        changed = rows.assign(**{name: rows[name].map(edit) for name in columns})
        return changed[(changed[list(columns)] != rows[list(columns)]).any(axis=1)]

    return change


def edit_of(params: TextProbeParams) -> Edit:
    """Return the edit of a text that the params ask for."""
    longest_first = sorted(params.replace, key=len, reverse=True)
    words = re.compile("|".join(map(_word_pattern, longest_first)))

    def edit(text: str) -> str:
        swapped = words.sub(lambda found: params.replace[found[0]], text) if params.replace else text
        return f"{params.prepend}{swapped}{params.append}" if swapped != text or not params.replace else text

    return edit


def columns_of(params: TextProbeParams, columns: Sequence[str]) -> list[str]:
    """Return the columns that the params name, or all.

    Raises:
        TidemillError: there is no such column.
    """
    if params.column is not None and params.column not in columns:
        raise TidemillError(
            f"evaluate.probes: {params.name!r} names the column {params.column!r}; there are: {', '.join(columns)}"
        )
    return [params.column] if params.column else list(columns)


def forms_of_text() -> dict[str, Edit]:
    """Return edits that give other forms of the same text, by name."""
    return {
        "small letters": str.lower,
        "capitals": str.upper,
        "white space": lambda text: f" {text.replace(' ', '  ')}\t ",
        "Windows line ends": lambda text: "\ufeff" + text.replace("\n", "\r\n"),
        "full-width signs": lambda text: text.translate(FULL_WIDTH),
        "no final punctuation": _without_final_punctuation,
    }


def odd_texts() -> dict[str, Edit]:
    """Return edits that give texts at the edge of what a model can be given, by name."""
    return {
        "empty": lambda text: "",
        "short": lambda text: text[:1],
        "very long": lambda text: (text + " ") * (LONG // (len(text) + 1) + 1),
        "another script": lambda text: SCRIPTS,
    }


def split_words(text: str) -> list[str]:
    """Split a text into words, characters of scripts without spaces, and signs."""
    return re.findall(WORD, text)


def _word_pattern(word: str) -> str:
    """Return a pattern that finds the word, in scripts with spaces as a whole word only."""
    before, after = (
        r"\b" if WORD_CHARACTER.match(edge) and not UNSPACED.match(edge) else "" for edge in (word[0], word[-1])
    )
    return f"{before}{re.escape(word)}{after}"


def _without_final_punctuation(text: str) -> str:
    end = len(text)
    while end and (unicodedata.category(text[end - 1]).startswith("P") or text[end - 1].isspace()):
        end -= 1
    return text[:end] or text
