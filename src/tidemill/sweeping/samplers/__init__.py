"""Samplers: one module a sampler, found by the name that `sweep.sampler` gives."""
