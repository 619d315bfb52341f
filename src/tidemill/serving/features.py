"""Features of rows and predictions that can be compared as distributions: numbers and classes, a column each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tidemill.core.pictures import decoded
from tidemill.inference.predictor import Predictor
from tidemill.tokens import tokenizers
from tidemill.tokens.columns import Column, plain
from tidemill.tokens.ngrams import NGrams

MOST_CLASSES = 50
"""Different values up to which a column of text counts as one of classes."""
INGESTED = ("id", "row", "split", "reason", "pixels")
"""Columns that the ingest stage adds, which do not describe the content."""


def described(predictor: Predictor, rows: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return features of each input, every other column as it is, and the prediction with its confidence."""
    spec = predictor.spec
    columns: dict[str, Any] = _table(rows, spec["columns"]) if "columns" in spec else {}
    for name in predictor.rows.INPUTS:
        values = rows[name]
        found = _pictures(values) if isinstance(values.iloc[0], bytes) else _texts(values, predictor.tokenizer)
        columns |= {f"{name}.{feature}": column for feature, column in found.items()}
    made = {*predictor.inputs, *predictor.rows.TARGETS, *INGESTED}
    columns |= {str(name): _plain(rows[name]) for name in rows if name not in made}
    if predictor.predicts_numbers:
        target = {"target": pd.to_numeric(rows["target"], errors="coerce")} if "target" in rows else {}
        return pd.DataFrame(
            columns | {"prediction": predictions["prediction"].astype(float)} | target, index=rows.index
        )
    if "labels" in spec:
        columns["prediction"] = predictions["prediction"].astype(str)
        columns |= {"label": rows["label"].map(as_label)} if "label" in rows else {}
    else:
        columns["prediction.length"] = predictions["prediction"].map(len)
    columns["confidence"] = predictions["confidence"].astype(float)
    return pd.DataFrame(columns, index=rows.index)


def shared(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the columns that both have and that hold numbers, or classes few enough to compare."""
    both = [name for name in reference if name in current]
    kept = [name for name in both if is_number(reference[name], current[name]) or _few(reference[name], current[name])]
    return reference[kept], current[kept]


def is_number(*columns: "pd.Series[Any]") -> bool:
    """Whether all of these columns hold numbers."""
    return all(pd.api.types.is_numeric_dtype(column) for column in columns)


def as_label(value: Any) -> str:
    """Return a label as the training has it: 1 for 1.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _texts(values: "pd.Series[Any]", tokenizer: Any) -> dict[str, Any]:
    texts = values.fillna("").astype(str)
    lengths = texts.map(len)
    letters = texts.map(lambda text: sum(map(str.isalpha, text)))
    features = {"length": lengths, "letters": letters / lengths.clip(lower=1)}
    if isinstance(tokenizer, NGrams):
        return features | _ngrams(texts, tokenizer)
    return features if tokenizer is None else features | _tokens(texts, tokenizer)


def _table(rows: pd.DataFrame, columns: Sequence[Column]) -> dict[str, Any]:
    """Return each column that the model reads, and of numbers also whether one is missing."""
    found = plain(rows, columns)
    missing = {f"{name}.missing": values.isna().astype(str) for name, values in found.items() if is_number(values)}
    return {name: values if is_number(values) else values.fillna("") for name, values in found.items()} | missing


def _tokens(texts: "pd.Series[str]", tokenizer: Any) -> dict[str, Any]:
    codes = [np.array(code.ids) for code in tokenizer.encode_batch_fast(texts.tolist())]
    unknown = tokenizer.token_to_id(tokenizers.UNKNOWN)
    return {
        "tokens": pd.Series([len(ids) for ids in codes], texts.index),
        "unknown": pd.Series([float((ids == unknown).mean()) if len(ids) else 1.0 for ids in codes], texts.index),
        "rarity": _rarity(texts, codes, tokenizer.get_vocab_size()),
    }


def _ngrams(texts: "pd.Series[str]", tokenizer: NGrams) -> dict[str, Any]:
    found = [tokenizer.ids(text) for text in texts]
    codes = [np.array([number for number in ids if number is not None]) for ids in found]
    features = {
        "n-grams": pd.Series([len(ids) for ids in found], texts.index),
        "unknown": pd.Series([ids.count(None) / len(ids) if ids else 1.0 for ids in found], texts.index),
    }
    if tokenizer.grams is None:
        return features
    return features | {"rarity": _rarity(texts, codes, tokenizer.get_vocab_size())}


def _rarity(texts: "pd.Series[str]", codes: list[Any], size: int) -> "pd.Series[float]":
    """Return how rare the ids of each text are: those of a vocabulary go by frequency, so rarer words, or those of another
    subject, have higher ones."""
    return pd.Series([float(np.log1p(ids).mean() / np.log(size)) if len(ids) else 1.0 for ids in codes], texts.index)


def _pictures(values: "pd.Series[bytes]") -> dict[str, Any]:
    measured = []
    for content in values:
        picture = decoded(content)
        grey = np.asarray(picture.convert("L"), np.float64) / 255
        edges = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
        measured.append((grey.mean(), grey.std(), edges, picture.width, picture.height))
    names = ("brightness", "contrast", "edges", "width", "height")
    table = pd.DataFrame(measured, columns=names, index=values.index).astype(float)
    return {name: table[name] for name in names}


def _plain(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Convert a column to numbers where a text file held them as text."""
    try:
        return pd.to_numeric(values)
    except (ValueError, TypeError):
        return values.astype(str)


def _few(*columns: "pd.Series[Any]") -> bool:
    return all(column.nunique() <= MOST_CLASSES for column in columns)
