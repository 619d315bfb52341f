"""Params proposed for a task, from what its rows look like. The one place that says which model a task begins with."""

import io
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from tidemill import config
from tidemill.errors import TidemillError

Block = dict[str, Any]
Proposed = tuple[Block, list[str]]
"""`tokenize`, `model`, `training` and `gates`, and a sentence for each thing that is worth one."""

STEPS = 1000
"""Optimizer steps that a proposed training has, where its bounds of epochs allow."""
BATCH = 32
SMALL_PICTURE = 64
"""Height and width up to which a multilayer perceptron over the pixels will do."""
NO_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Letters of scripts that set no space between words."""
WORD = re.compile(r"\w+|[^\w\s]")
KEPT_LENGTH = 0.95
"""Share of the texts that fit the proposed length whole."""


def proposed(task: str, rows: pd.DataFrame, systems: Mapping[str, config.System]) -> Proposed:
    """Params for rows with the columns of the task.

    Args:
        systems: Those of params.yaml: the weights and tokenizers that they pin serve a new system of the task too.

    Raises:
        TidemillError: there is no default for the task, or it needs pinned weights that no system has.
    """
    like = next((system for system in systems.values() if system.task == task and _pins(system)), None)
    return _TASKS[task](rows, like)


def _text_classification(rows: pd.DataFrame, like: config.System | None) -> Proposed:
    unit, length, note = _text_lengths(rows["text"])
    tokenize = {"unit": unit, "vocabulary": 10000, "length": length}
    model = {"name": "lstm", "embedding": 50, "hidden": 128, "pooling": "max", "dropout": 0.2}
    return _classifier(rows, tokenize, model, {"optimizer": "adam", "lr": 3e-3}), [note]


def _multilabel_classification(rows: pd.DataFrame, like: config.System | None) -> Proposed:
    """As a classifier of texts, and asked to beat the commonest label clearly."""
    labels = rows["labels"].explode().dropna()
    commonest = labels.value_counts().iloc[0]
    params, notes = _text_classification(rows.assign(label=labels.groupby(level=0).first()), like)
    threshold = math.floor(100 * min(0.95, 2 * commonest / (len(rows) + len(labels)) + 0.1)) / 100
    return params | {"gates": {"thresholds": {"micro_f1": threshold}}}, notes


def _text_generation(rows: pd.DataFrame, like: config.System | None) -> Proposed:
    texts = rows["text"].astype(str)
    _, length, note = _text_lengths(texts)
    size = int(texts.str.len().sum())
    tokenize = {"vocabulary": 4096 if size > 2_000_000 else 1024, "length": min(256, max(32, _rounded(length)))}
    model = {"name": "gpt2", "width": 192, "heads": 6, "layers": 4, "dropout": 0.1}
    schedule = {"name": "cosine", "warmup": 0.05, "floor": 0.05}
    training: Block = {"epochs": 4 if size > 2_000_000 else 10, "batch": 16, "optimizer": "adamw", "lr": 2e-3}
    training |= {"weight_decay": 0.1, "clip": 1.0, "schedule": schedule}
    return {
        "tokenize": tokenize,
        "model": model,
        "training": training,
        "gates": {"thresholds": {"compression": 1.5}},
    }, [note]


def _image_classification(rows: pd.DataFrame, like: config.System | None) -> Proposed:
    height, width, channels, note = _picture_shape(rows["image"])
    if max(height, width) <= SMALL_PICTURE or like is None:
        size = [min(height, SMALL_PICTURE), min(width, SMALL_PICTURE)]
        model: Block = {"name": "mlp", "hidden": [256], "dropout": 0.2}
        return _classifier(rows, {"size": size, "channels": channels}, model, {"optimizer": "adam", "lr": 1e-3}), [note]
    tokenize, model = {"size": [224, 224], "channels": 3}, like.model.model_dump()
    return _classifier(rows, tokenize, model, {"optimizer": "adam", "lr": 1e-3}), [
        f"{note}; the pretrained model of another system here serves as its base"
    ]


def _question_answering(rows: pd.DataFrame, like: config.System | None) -> Proposed:
    if like is None:
        raise TidemillError(
            "question_answering needs a pinned encoder and its tokenizer, and no system of params.yaml has one: "
            "add one with model.pretrained and tokenize.tokenizer first"
        )
    training = {"epochs": 2, "batch": 16, "optimizer": "adamw", "lr": 1e-4, "clip": 1.0}
    length = int(rows["context"].astype(str).map(lambda text: len(WORD.findall(text))).quantile(KEPT_LENGTH))
    tokenize, model = like.tokenize.model_dump(exclude_unset=True), like.model.model_dump(exclude_unset=True)
    note = f"contexts: {length} words at the 95th percentile; encoder and tokenizer are those of another system here"
    return {"tokenize": tokenize, "model": model, "training": training, "gates": {}}, [note]


_TASKS: dict[str, Callable[[pd.DataFrame, config.System | None], Proposed]] = {
    "text_classification": _text_classification,
    "multilabel_classification": _multilabel_classification,
    "text_generation": _text_generation,
    "image_classification": _image_classification,
    "question_answering": _question_answering,
}


def _classifier(rows: pd.DataFrame, tokenize: Block, model: Block, training: Block) -> Block:
    """Trained for about `STEPS` steps, and asked to beat the commonest label clearly."""
    commonest = rows["label"].value_counts(normalize=True).iloc[0]
    epochs = min(30, max(3, math.ceil(STEPS * BATCH / len(rows))))
    threshold = math.floor(100 * min(0.95, commonest + 0.1)) / 100
    return {
        "tokenize": tokenize,
        "model": model,
        "training": {"epochs": epochs, "batch": BATCH, **training, "patience": 5},
        "gates": {"thresholds": {"accuracy": threshold}},
    }


def _text_lengths(texts: "pd.Series[str]") -> tuple[str, int, str]:
    """The unit that suits the script, the length that most texts keep within, and a sentence."""
    texts = texts.dropna().astype(str)
    letters = "".join(texts.head(1000))
    spaceless = len(NO_SPACES.findall(letters)) > 0.3 * max(1, sum(map(str.isalpha, letters)))
    lengths = texts.str.len() if spaceless else texts.map(lambda text: len(WORD.findall(text)))
    kept = int(min(1000, max(8, math.ceil(lengths.quantile(KEPT_LENGTH)))))
    unit = "characters" if spaceless else "words"
    figures = f"{lengths.median():.0f} {unit} in the middle, {lengths.max()} at most"
    return unit, kept, f"texts: {figures}; {kept} are kept, enough for {(lengths <= kept).mean():.0%} of them"


def _picture_shape(images: "pd.Series[bytes]") -> tuple[int, int, int, str]:
    """Height, width and channels that most pictures have, and a sentence."""
    from PIL import Image

    sizes: dict[tuple[int, int, str], int] = {}
    for content in images.head(500):
        try:
            with Image.open(io.BytesIO(content)) as picture:
                shape = (picture.height, picture.width, picture.mode)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue  # ingest lists and rejects it
        sizes[shape] = sizes.get(shape, 0) + 1
    if not sizes:
        raise TidemillError("none of the pictures can be read")
    height, width, mode = max(sizes, key=lambda shape: sizes[shape])
    channels = 1 if mode in ("1", "L", "LA", "I;16") else 3
    return height, width, channels, f"pictures: mostly {height}x{width} {mode}, {len(sizes)} kinds of size and mode"


def _pins(system: config.System) -> bool:
    return getattr(system.model, "pretrained", None) is not None


def _rounded(length: int) -> int:
    """The next power of two."""
    return 1 << math.ceil(math.log2(length))
