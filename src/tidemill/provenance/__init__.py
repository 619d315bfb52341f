"""Tracing a version back: its lineage, what differs from another, reproducing it, and keeping what that needs."""
