"""Probes of a classifier that predicts sets of labels."""

from collections.abc import Sequence
from typing import Any

from tidemill.core.spec import Spec
from tidemill.tasks.common.probes.labels import text_probes
from tidemill.tasks.common.probes.params import TextProbeParams
from tidemill.tasks.common.probes.probe import ProbeSet
from tidemill.tasks.multilabel_classification.scoring import is_same

Params = TextProbeParams


def probes(spec: Spec, own: Sequence[TextProbeParams]) -> ProbeSet:
    """Return the probes of a classifier of texts; another text before one raises a label that only the other has."""
    return text_probes(spec["labels"], own, is_same, _new_label)


def _new_label(row: Any, other: Any) -> str | None:
    return next((label for label in other.labels if label not in row.labels), None)
