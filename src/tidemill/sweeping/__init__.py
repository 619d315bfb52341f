"""Searching for better params: the space, the samplers, the study and its report."""
