"""Scoring: how far predicted numbers are from the actual ones."""

from tidemill.tasks.common import scoring as common

MAIN_METRIC = common.NUMBER_METRIC
MEANINGS = common.NUMBER_MEANINGS

score = common.score_numbers
metrics = common.number_metrics
plots = common.number_plots
is_same = common.close
