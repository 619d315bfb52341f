"""Fixtures of the registry's own tests, which attacks begin from."""

from tests.unit.registry.conftest import project

__all__ = ["project"]
