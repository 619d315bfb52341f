"""Probes of a classifier of pictures."""

from collections.abc import Sequence

from PIL import Image

from tidemill.core.spec import Spec
from tidemill.tasks.common.probes import labels as common
from tidemill.tasks.common.probes.params import PictureProbeParams
from tidemill.tasks.common.probes.pictures import edited, encoded, odd_changes, plain, slight_changes
from tidemill.tasks.common.probes.probe import Probe, ProbeSet, Rows, paired
from tidemill.tasks.image_classification.scoring import is_same

Params = PictureProbeParams


def probes(spec: Spec, own: Sequence[PictureProbeParams]) -> ProbeSet:
    """Return the probes of a classifier of pictures.

    A slight change keeps the label, another picture blended over one makes its label less likely, and odd pictures still
    get a prediction.
    """
    labels = spec["labels"]
    return ProbeSet(
        [
            *(common.same(name, change, is_same) for name, change in slight_changes().items()),
            _half_of_another(labels),
            *(common.valid(name, change) for name, change in odd_changes().items()),
            *(common.of_params(one, edited(one), labels, is_same) for one in own),
        ]
    )


def _half_of_another(labels: Sequence[str]) -> Probe:
    name, expects = "half a picture of another class", "its label less likely"
    return common.moved(name, expects, _blended, labels, lambda rows: rows["label"].to_numpy(), upwards=False)


def _blended(rows: Rows) -> Rows:
    """Blend each picture half and half with one of another class."""
    pairs = paired(rows, lambda row, other: row.label != other.label)
    mixed = [encoded(_mixed(plain(row.image), plain(other.image))) for row, other in pairs]
    return rows.loc[[row.Index for row, _ in pairs]].assign(image=mixed)


def _mixed(one: Image.Image, other: Image.Image) -> Image.Image:
    return Image.blend(one.convert("RGB"), other.convert("RGB").resize(one.size), 0.5)
