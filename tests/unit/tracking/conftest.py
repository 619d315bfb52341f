"""A project folder with its own MLflow store."""

from tests.unit.registry.conftest import project as project
