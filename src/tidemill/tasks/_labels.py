"""What tasks with one label a row share: the labels, the loss of logits, and what logits say."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tidemill.data.expectations import MOST_LABELS
from tidemill.errors import TidemillError

if TYPE_CHECKING:
    import torch


def labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with labels as text; a row without one gets a reason."""
    labels = rows["label"].astype("str").str.strip()
    absent = rows["reason"].isna() & (labels.isna() | labels.eq(""))
    rows = rows.assign(label=labels, reason=rows["reason"].mask(absent, "no label"))
    _check_classes(rows.loc[rows["reason"].isna(), "label"])
    return rows


def _check_classes(labels: "pd.Series[str]") -> None:
    """Refuse labels from which nothing can be learned: none at all, one only, nearly one a row, or far too many."""
    counts = labels.value_counts()
    if labels.empty:
        raise TidemillError("no row has a label: name the column that holds it in source.columns.label")
    if len(counts) == 1:
        raise TidemillError(f"all {len(labels)} labelled rows are {counts.index[0]!r}: a classifier needs two classes")
    if counts.max() == 1 or len(counts) > len(labels) / 2:
        raise TidemillError(
            f"{len(labels)} rows have {len(counts)} different labels ({', '.join(map(repr, counts.index[:3]))}, …): "
            "too few rows for each; is source.columns.label the right column?"
        )
    if len(counts) > MOST_LABELS:
        raise TidemillError(
            f"{len(counts):,} labels, but at most {MOST_LABELS:,} can be told apart: merge the rare ones"
        )


def specify_labels(rows: Iterable[pd.DataFrame]) -> dict[str, Any]:
    """Part of a spec: the labels in order, and the outputs they need: two labels share one sigmoid output."""
    labels = in_order({label for block in rows for label in block["label"]})
    if len(labels) < 2:
        raise TidemillError(f"the training rows have {len(labels)} label; a classifier needs two or more")
    return {"labels": labels, "outputs": 1 if len(labels) == 2 else len(labels)}


def encode_labels(rows: pd.DataFrame, spec: dict[str, Any]) -> np.ndarray:
    """The position of each row's label in the spec, shape `(rows,)`.

    Raises:
        TidemillError: a label does not occur in the training rows.
    """
    codes: np.ndarray = pd.Index(spec["labels"]).get_indexer(pd.Index(rows["label"]))
    if (codes < 0).any():
        row = rows.iloc[int(np.argmax(codes < 0))]
        raise TidemillError(f"row {row['id']}: label {row['label']!r} is not among those of training: {spec['labels']}")
    return codes.astype(np.int32)


def loss(logits: "torch.Tensor", labels: "torch.Tensor", smoothing: float) -> "torch.Tensor":
    """Mean cross-entropy of logits `(rows, outputs)`, binary for a single sigmoid output.

    Label smoothing after Szegedy et al. (2016): a share of each target is spread over all labels.
    """
    from torch.nn import functional

    if logits.shape[1] > 1:
        return functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    targets = labels.to(logits.dtype) * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits[:, 0], targets)


def accuracy(logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
    """Share of rows whose largest probability is that of their label."""
    chosen = (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(dim=1)
    return (chosen == labels).float().mean()


def probabilities(logits: "torch.Tensor") -> np.ndarray:
    """Probability of each label, shape `(rows, labels)`, float64 and summing to 1."""
    import torch

    wide = logits.double()
    if wide.shape[1] == 1:
        wide = torch.cat([torch.zeros_like(wide), wide], dim=1)
    chances: np.ndarray = wide.softmax(dim=1).cpu().numpy()
    return chances


def answers(logits: "torch.Tensor", spec: dict[str, Any]) -> dict[str, Any]:
    """The likeliest label of each row, its probability, and the probabilities of all labels."""
    chances = probabilities(logits)
    best = chances.argmax(axis=1)
    return {
        "prediction": [spec["labels"][number] for number in best],
        "confidence": chances[np.arange(len(best)), best],
        "probabilities": list(chances),
    }


def tables(rows: Iterator[pd.DataFrame], column: str) -> Iterator[Any]:
    """The values of one column, block after block."""
    for block in rows:
        yield from block[column]


def in_order(labels: Iterable[str]) -> list[str]:
    """Labels sorted, numbers by their size and before words."""
    return sorted(labels, key=_numbers_first)


def _numbers_first(label: str) -> tuple[bool, float, str]:
    return (not label.isdecimal(), float(label) if label.isdecimal() else 0.0, label)
