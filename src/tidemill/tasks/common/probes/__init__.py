"""Probes of a task: changes of a test row, and what the prediction must then do (Ribeiro et al., 2020, CheckList)."""
