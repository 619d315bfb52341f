"""Measuring a model: metrics with intervals beside baselines, probes, the report and the model card."""
