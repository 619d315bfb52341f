"""Learning: the error of the predicted number."""

from tidemill.models.common.choices import DEFAULT_LOSS
from tidemill.tasks.common.learning import number_losses
from tidemill.tokens.columns import column_inputs

BUCKET = None
PACKED = None
Augment = None
augment = None
features = None
logits = None
LOSSES = number_losses(column_inputs)
step = LOSSES[DEFAULT_LOSS]
