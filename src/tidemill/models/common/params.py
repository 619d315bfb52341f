"""Base of the params of every model."""

from typing import Any

from tidemill.core import plugins
from tidemill.core.errors import TidemillError
from tidemill.core.params import PARAMS_FILE, Params, checked
from tidemill.core.spec import Kind


class ModelParams(Params):
    """Params of a network; a model's own class narrows `name` to its package's name."""

    name: str

    def unfit(self, kind: Kind) -> str | None:
        """Return why the model cannot do such a task with these params; None where it can, or where they do not tell."""
        return None

    def not_private(self) -> str | None:
        """Return why it cannot be trained with differential privacy, and what can; None where it can."""
        return "the gradients of its rows are not known to be told apart; mlp, lstm and cnn can"


def read_model(system: dict[str, Any], name: str) -> ModelParams:
    """Check the model block of a system that `read_system` returned.

    Raises:
        TidemillError: it names no model, or a param is unknown or of a wrong type.
    """
    return check_model(system.get("model"), f"systems.{name}")


def check_model(block: Any, where: str) -> ModelParams:
    """Check a model block by the model that it names.

    Args:
        where: the dotted path of the system in `params.yaml`, for messages.

    Raises:
        TidemillError: it names no model, or a param is unknown or of a wrong type.
    """
    if not isinstance(block, dict) or "name" not in block:
        raise TidemillError(f"{PARAMS_FILE}: {where}.model needs a name, e.g. `model: {{name: mlp}}`")
    model = plugins.load("models", plugins.check_name("models", block["name"], f"{where}.model.name"))
    params: ModelParams = checked(model.Params, block, f"{where}.model")
    return params
