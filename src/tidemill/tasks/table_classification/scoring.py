"""Scoring: accuracy and what goes with it."""

from tidemill.tasks.common import scoring as common

MAIN_METRIC = common.LABEL_METRIC
MEANINGS = common.LABEL_MEANINGS

score = common.score_labels
metrics = common.label_metrics
plots = common.label_plots
is_same = common.equal
