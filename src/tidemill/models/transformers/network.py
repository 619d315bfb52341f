"""From the params to a network of the library, and to the weights of a checkpoint in it."""

from collections.abc import Iterator
from typing import Any

import torch
import transformers
from torch import nn

from tidemill.core.errors import TidemillError
from tidemill.core.spec import Kind, Spec
from tidemill.models.transformers import Params, configs, freezing, pictures, weights
from tidemill.models.transformers.decoder import Decoder
from tidemill.models.transformers.texts import Spans, Texts
from tidemill.models.transformers.wrapped import Wrapped

PRETRAINED_FILES = ()
"""A checkpoint names its own."""
solve = None
explain = None
AUTO: dict[Kind, Any] = {
    ("tokens", "labels"): transformers.AutoModelForSequenceClassification,
    ("token windows", "span"): transformers.AutoModelForQuestionAnswering,
    ("tokens", "next token"): transformers.AutoModelForCausalLM,
    ("pixels", "labels"): transformers.AutoModelForImageClassification,
    ("tokens", "number"): transformers.AutoModelForSequenceClassification,
    ("pixels", "number"): transformers.AutoModelForImageClassification,
}
WRAPPERS: dict[Kind, type[Wrapped]] = {
    ("tokens", "labels"): Texts,
    ("tokens", "number"): Texts,
    ("token windows", "span"): Spans,
    ("tokens", "next token"): Decoder,
}


def build(params: Params, spec: Spec) -> Wrapped:
    """Return a network with fresh weights, from what the spec has as input to the logits that the task expects.

    Raises:
        TidemillError: the architecture cannot do it, or a value of its config is not allowed.
    """
    document, kind = configs.whole(params), configs.kind_of(spec)
    config = configs.fitted(document, spec)
    try:
        model = AUTO[kind].from_config(config)
    except (ImportError, ValueError) as error:
        raise TidemillError(f"model: {document['model_type']}: {' '.join(str(error).split())}") from error
    if kind[0] == "pixels":
        return pictures.wrapped(model, params, document, spec)
    for places in _places(model):
        configs.check_length(places, spec)
    return WRAPPERS[kind](model, params, document)


def load_pretrained(network: Wrapped, found: dict[str, torch.Tensor]) -> None:
    """Load the weights of a checkpoint, and freeze what is not to be trained.

    The head stays fresh where theirs is for other labels or another task.

    Raises:
        TidemillError: they are of another model, or there are fewer blocks than are to be trained.
    """
    network.hold(weights.loaded(network.theirs, network.config, found))
    if network.params.lora is not None:
        network.adapt(network.params.lora)
    freezing.freeze(network.body, network.params.unfreeze)
    freezing.check(network)
    network.train()  # Lightning trains in the mode that it is given


def _places(model: nn.Module) -> Iterator[int]:
    """Yield how many tokens each table of positions has room for; RoBERTa's numbers them from that of the padding on."""
    for name, table in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(table, nn.Embedding):
            yield table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
