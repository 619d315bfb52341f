"""Low-rank adapters (Hu et al., 2021): small trained additions to the frozen weights of a checkpoint.

After the training they are added to the weights, so that a version needs nothing else. Beside it the adapter stands alone,
as `peft` saves one, and names its base by hash.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tidemill.core.errors import TidemillError
from tidemill.core.files import write_json
from tidemill.core.params import Fraction
from tidemill.core.params import Params as Block
from tidemill.models.common.pretrained import Checkpoint

if TYPE_CHECKING:
    from torch import nn

FOLDER, WEIGHTS, CONFIG = "adapter", "adapter_model.safetensors", "adapter_config.json"
"""What `peft` calls an adapter's files."""
PREFIX = "base_model.model."
"""What it puts before the names of weights."""


class Lora(Block):
    """Adapters that are trained instead of the base; the head is trained with them, unless it is that of a language model."""

    rank: int = Field(default=8, ge=1)
    """Rank of an adapter's two matrices."""
    alpha: int = Field(default=16, ge=1)
    """What the adapter's share is scaled by, divided by the rank."""
    dropout: Fraction = 0.0
    """Share of an adapter's inputs that are dropped in training."""
    targets: list[str] = Field(default=[])
    """Ends of the names of the layers that get one; empty takes what `peft` has for the architecture."""


def adapt(model: Any, lora: Lora) -> None:
    """Put adapters into a model of the library, and freeze all else of it.

    Raises:
        TidemillError: there are no such layers, or none known for this architecture.
    """
    import peft

    config = peft.LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=lora.targets or None
    )
    try:
        peft.inject_adapter_in_model(config, model)
    except ValueError as error:
        raise TidemillError(f"model.lora.targets: {' '.join(str(error).split())}") from error


def merge(model: Any) -> None:
    """Add the adapters of a model to its weights, and leave nothing of them."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, BaseTunerLayer)]
    for name, layer in adapted:
        layer.merge()
        model.set_submodule(name, layer.get_base_layer())


def save(model: Any, heads: "dict[str, nn.Module]", base: Checkpoint, folder: Path) -> None:
    """Write the adapter, and the head that was trained with it, as `peft` reads them.

    Args:
        heads: the parts of the head, by their names.
        base: what the adapter is an addition to.
    """
    import peft
    from safetensors.torch import save_file

    folder.mkdir()
    state = peft.get_peft_model_state_dict(model)
    weights = {PREFIX + name.removeprefix(PREFIX): value.contiguous() for name, value in state.items()}
    for head, part in heads.items():
        weights |= {f"{PREFIX}{head}.{name}": value.contiguous() for name, value in part.state_dict().items()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    [config] = model.peft_config.values()
    known = {name: sorted(value) if isinstance(value, set) else value for name, value in config.to_dict().items()}
    named = {"base_model_name_or_path": base.path, "modules_to_save": list(heads) or None, "inference_mode": True}
    write_json(folder / CONFIG, known | named | {"base_sha256": base.sha256})
