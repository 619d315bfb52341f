"""Probes of a model that predicts a number from a picture."""

from collections.abc import Sequence

from tidemill.core.spec import Spec
from tidemill.tasks.common.probes.numbers import of_params, same, unchanged, valid
from tidemill.tasks.common.probes.params import PictureProbeParams
from tidemill.tasks.common.probes.pictures import edited, odd_changes, slight_changes
from tidemill.tasks.common.probes.probe import ProbeSet
from tidemill.tasks.image_regression.scoring import is_same

Params = PictureProbeParams


def probes(spec: Spec, own: Sequence[PictureProbeParams]) -> ProbeSet:
    """Return the probes of the task: a slight change keeps the number, odd pictures still get one; and those of the params."""
    stays = unchanged(is_same)
    return ProbeSet(
        [
            *(same(name, change, stays) for name, change in slight_changes().items()),
            *(valid(name, change) for name, change in odd_changes().items()),
            *(of_params(one, edited(one), stays) for one in own),
        ]
    )
