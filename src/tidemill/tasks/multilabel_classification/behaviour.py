"""What is asked of a model of sets of labels beyond the test set."""

from collections.abc import Sequence
from typing import Any

from tidemill.tasks import _label_probes
from tidemill.tasks._behaviour import TextBehaviour
from tidemill.tasks._probes import Probing


def probing(spec: dict[str, Any], own: Sequence[TextBehaviour]) -> Probing:
    """As of a classifier of texts; another text put before one raises a label that only the other has."""
    return _label_probes.of_texts(spec["labels"], own, _further)


def _further(row: Any, other: Any) -> str | None:
    return next((label for label in other.labels if label not in row.labels), None)
