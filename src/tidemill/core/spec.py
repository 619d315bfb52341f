"""What a model must know of its input and of how its logits are read, as `tokens.json` and the `config.json` of a model hold it."""

from typing import Any, Literal, TypedDict

Input = Literal["tokens", "n-grams", "token windows", "pixels", "columns"]
"""Token ids (B, T); n-grams and their weights (B, T); windows of a question and a context; values (B, C, H, W) from 0
to 1; or numbers (B, N), NaN where one is missing, and the codes of categories (B, C)."""
Output = Literal["labels", "span", "next token", "number"]
"""Logits (B, outputs); of the start and end of a span (B, T, 2); of the token after each (B, T, vocabulary); or a number
(B, 1), in standard deviations of the training rows from their mean."""
READING = frozenset({"temperature", "thresholds"})
"""What a spec says of how logits are read."""
Kind = tuple[Input, Output]
"""What a task asks of a model. A model lists the kinds that it can do as `ACCEPTS`."""


class ChatTemplate(TypedDict):
    """How conversations are written."""

    jinja: str
    tokens: dict[str, str]
    """Special tokens by their names in the template, e.g. `eos_token`."""


class Spec(TypedDict, total=False):
    """Facts of the training rows that fix the shape of a network, and what was found on the validation rows; a task sets those
    that it has."""

    task: str
    labels: list[str]
    outputs: int
    """Logits of a row: one for each label, or a single one for two labels."""
    token_outputs: int
    """Logits of a token."""
    vocabulary: int
    """Token ids, or n-grams."""
    length: int
    """Tokens seen at once."""
    shape: list[int]
    """Height, width and channels of a picture."""
    preprocessor: dict[str, Any]
    """The `preprocessor_config.json` by which pictures are prepared."""
    mean: list[float]
    """What a network that asks for it takes from each channel, whose values are from 0 to 1."""
    deviation: list[float]
    """What it then divides each channel by."""
    end: int
    """Id of the token between two texts, or after a response."""
    chat: ChatTemplate
    """What writes conversations, where the texts are that."""
    overlap: int
    """Tokens of the context that two windows share."""
    question: int
    """Tokens of a question that are kept."""
    answer: int
    """Tokens of the longest answer."""
    may_be_none: bool
    """Whether some questions have no answer."""
    columns: list[dict[str, Any]]
    """How each column of a table is encoded: `name`, `kind`, and what was fitted to the training rows."""
    constant: list[str]
    """Columns of the training rows that tell none of them apart, which no model reads."""
    target: dict[str, float]
    """`mean` and `deviation` of the number to be predicted."""
    temperature: float
    """What logits are divided by before they become probabilities; 1 unless given."""
    thresholds: dict[str, float]
    """The probability from which a label is predicted, by the label; without one it is the likeliest label, or one that
    is likelier than not."""
    members: int
    """Networks of an ensemble."""
    several: bool
    """Of an ensemble: whether a row may have several labels."""
    tokenize: dict[str, Any]
    """Params of the tokenize stage."""
    splits: dict[str, Any]
    """Rows, values and sha256 of the packed shards of each split."""
