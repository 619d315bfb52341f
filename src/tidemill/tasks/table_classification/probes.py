"""Probes of a classifier of rows with columns."""

from collections.abc import Sequence

from tidemill.core.spec import Spec
from tidemill.tasks.common.probes.labels import of_params, same, valid
from tidemill.tasks.common.probes.params import TableProbeParams
from tidemill.tasks.common.probes.probe import ProbeSet
from tidemill.tasks.common.probes.tables import edited, forms_of_rows, odd_rows
from tidemill.tasks.table_classification.scoring import is_same

Params = TableProbeParams


def probes(spec: Spec, own: Sequence[TableProbeParams]) -> ProbeSet:
    """Return the probes of the task: other forms of a row keep the label, odd rows still get one; and those of the params."""
    return ProbeSet(
        [
            *(same(name, change, is_same) for name, change in forms_of_rows(spec).items()),
            *(valid(name, change) for name, change in odd_rows(spec).items()),
            *(of_params(one, edited(one, spec), spec["labels"], is_same) for one in own),
        ]
    )
