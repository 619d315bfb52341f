"""Probes of a model that predicts a number from columns."""

from collections.abc import Sequence

from tidemill.core.spec import Spec
from tidemill.tasks.common.probes.numbers import of_params, same, unchanged, valid
from tidemill.tasks.common.probes.params import TableProbeParams
from tidemill.tasks.common.probes.probe import ProbeSet
from tidemill.tasks.common.probes.tables import edited, forms_of_rows, odd_rows
from tidemill.tasks.table_regression.scoring import is_same

Params = TableProbeParams


def probes(spec: Spec, own: Sequence[TableProbeParams]) -> ProbeSet:
    """Return the probes of the task: other forms of a row keep the number, odd rows still get one; and those of the params."""
    stays = unchanged(is_same)
    return ProbeSet(
        [
            *(same(name, change, stays) for name, change in forms_of_rows(spec).items()),
            *(valid(name, change) for name, change in odd_rows(spec).items()),
            *(of_params(one, edited(one, spec), stays) for one in own),
        ]
    )
