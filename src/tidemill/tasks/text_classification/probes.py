"""Probes of a classifier of texts."""

from collections.abc import Sequence

from tidemill.core.spec import Spec
from tidemill.tasks.common.probes.labels import text_probes
from tidemill.tasks.common.probes.params import TextProbeParams
from tidemill.tasks.common.probes.probe import ProbeSet
from tidemill.tasks.text_classification.scoring import is_same

Params = TextProbeParams


def probes(spec: Spec, own: Sequence[TextProbeParams]) -> ProbeSet:
    """Return the probes of a classifier of texts; a text of another class before one raises that class."""
    return text_probes(
        spec["labels"], own, is_same, lambda row, other: other.label if other.label != row.label else None
    )
