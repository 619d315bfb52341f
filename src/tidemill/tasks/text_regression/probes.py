"""Probes of a model that predicts a number from a text."""

from collections.abc import Sequence

from tidemill.core.spec import Spec
from tidemill.tasks.common.probes.numbers import of_params, same, unchanged, valid
from tidemill.tasks.common.probes.params import TextProbeParams
from tidemill.tasks.common.probes.probe import ProbeSet
from tidemill.tasks.common.probes.texts import columns_of, edit_of, edited, forms_of_text, odd_texts
from tidemill.tasks.text_regression.scoring import is_same

Params = TextProbeParams
TEXT = ["text"]


def probes(spec: Spec, own: Sequence[TextProbeParams]) -> ProbeSet:
    """Return the probes of the task: other forms of a text keep the number, odd texts still get one; and those of the params."""
    stays = unchanged(is_same)
    return ProbeSet(
        [
            *(same(name, edited(TEXT, edit), stays) for name, edit in forms_of_text().items()),
            *(valid(name, edited(TEXT, edit)) for name, edit in odd_texts().items()),
            *(of_params(one, edited(columns_of(one, TEXT), edit_of(one)), stays) for one in own),
        ]
    )
