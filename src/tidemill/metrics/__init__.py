"""Metrics beside those of the tasks: one module a metric, measured for every task whose predictions fit it."""
