"""Measuring a model: figures with intervals beside baselines, and the report and the card that tell them."""
