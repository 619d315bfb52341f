"""A trained challenger beside a champion of drawn weights."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.registry.candidates import TEXT_PARAMS, predict_and_evaluate, texts, write_candidate
from tests.unit.registry.proposals import crown
from tests.unit.serving.test_monitoring import train
from tidemill.registry.registration import register

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project whose champion knows nothing and whose challenger has learned."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "requirements").symlink_to(REPOSITORY / "requirements")
    made = folder / "artifacts" / "reviews"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        system = write_candidate(folder, "reviews", TEXT_PARAMS)
        register("reviews", system, made)
        crown("reviews", "1")
        train(made / "train" / "model", texts(30, 1000))
        predict_and_evaluate(made, system)
        register("reviews", system, made)
        yield folder
