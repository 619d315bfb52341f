"""What is asked of a classifier of texts beyond the test set."""

from collections.abc import Sequence
from typing import Any

from tidemill.tasks import _label_probes
from tidemill.tasks._behaviour import TextBehaviour
from tidemill.tasks._probes import Probing


def probing(spec: dict[str, Any], own: Sequence[TextBehaviour]) -> Probing:
    """Other forms keep the label, a text of another class put before one raises the other's, odd texts are answered."""
    return _label_probes.of_texts(
        spec["labels"], own, lambda row, other: other.label if other.label != row.label else None
    )
