"""Networks of the library, called as our tasks call a network.

Shapes: B rows, T tokens, V vocabulary, C channels, D features.
"""

import inspect
from typing import Any

import torch
import transformers
from torch import nn

from tidemill.core.errors import TidemillError
from tidemill.core.spec import Kind, Spec
from tidemill.models.common.transfer import Normalised
from tidemill.models.transformers import Params, configs, freezing, weights
from tidemill.models.transformers.configs import Document
from tidemill.models.transformers.decoder import Decoder
from tidemill.models.transformers.wrapped import Wrapped

PRETRAINED_FILES = ("model.safetensors",)


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
        wrapper = Pictures if "classifier" in dict(model.named_children()) else WholePictures
        return wrapper(model, params, document, _normalised(params, spec, config.to_dict().get("num_channels", 3)))
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


class Texts(Wrapped):
    """Logits of each text (B, outputs)."""

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits (B, outputs) for token ids (B, T) and their lengths (B,)."""
        logits: torch.Tensor = self.model(**padded(self.config, tokens, lengths)).logits
        return logits


class Spans(Wrapped):
    """Logits of each token: of an answer starting and of one stopping there."""

    def forward(
        self, tokens: torch.Tensor, lengths: torch.Tensor, segments: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return logits (B, T, 2) for token ids (B, T), their lengths (B,) and their types (B, T)."""
        inputs = padded(self.config, tokens, lengths)
        if segments is not None and self._reads_types:
            inputs["token_type_ids"] = segments
        found = self.model(**inputs)
        return torch.stack([found.start_logits, found.end_logits], dim=-1)

    @property
    def _reads_types(self) -> bool:
        named = "token_type_ids" in inspect.signature(self.theirs.forward).parameters
        return named and self.config.to_dict().get("type_vocab_size", 2) > 1


class PictureBase(nn.Module):
    """A model of the library whose classifier is left out."""

    def __init__(self, model: Any, normalised: Normalised) -> None:
        super().__init__()
        self.normalised, self.model = normalised, model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features (B, …) of pictures (B, C, H, W) with values from 0 to 1."""
        features: torch.Tensor = self.model(pixel_values=self.normalised(pixels)).logits
        return features


class WholePictures(Wrapped):
    """Logits of each picture, from a model whose parts are not known."""

    def __init__(self, model: Any, params: Params, document: Document, normalised: Normalised) -> None:
        super().__init__(model, params, document)
        self.normalised = normalised

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits (B, outputs) for pictures (B, C, H, W) with values from 0 to 1."""
        logits: torch.Tensor = self.model(pixel_values=self.normalised(pixels)).logits
        return logits


class Pictures(Wrapped):
    """Logits of each picture: a base, which runs once where it is frozen, and the classifier as its head."""

    def __init__(self, model: Any, params: Params, document: Document, normalised: Normalised) -> None:
        self._normalised = [normalised]  # in a list: it is a part of the base alone
        super().__init__(model, params, document)

    def hold(self, model: Any) -> None:
        """Take a model apart into base and head."""
        head, model.classifier = model.classifier, nn.Identity()
        base = PictureBase(model.float(), *self._normalised)
        self.base = base.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU
        self.head = head.float()

    @property
    def whole(self) -> Any:
        """The model of the library, but for its classifier."""
        return self.base.model

    @property
    def body(self) -> nn.Module:
        """The model without its classifier."""
        body: nn.Module = self.base
        return body

    def heads(self) -> dict[str, nn.Module]:
        """Return the classifier."""
        return {"classifier": self.head}

    def prefixes(self) -> dict[str, str]:
        """Return what our names begin with, and what theirs do instead."""
        return {"base.model.": "", "head.": "classifier."}

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits (B, outputs) for pictures (B, C, H, W) with values from 0 to 1."""
        logits: torch.Tensor = self.head(self.base(pixels))
        return logits


AUTO: dict[Kind, Any] = {
    ("tokens", "labels"): transformers.AutoModelForSequenceClassification,
    ("token windows", "span"): transformers.AutoModelForQuestionAnswering,
    ("tokens", "next token"): transformers.AutoModelForCausalLM,
    ("pixels", "labels"): transformers.AutoModelForImageClassification,
}
WRAPPERS: dict[Kind, type[Wrapped]] = {
    ("tokens", "labels"): Texts,
    ("token windows", "span"): Spans,
    ("tokens", "next token"): Decoder,
}


def padded(config: Any, tokens: torch.Tensor, lengths: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return token ids (B, T) padded as the library's model reads it, and which of them count."""
    within = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    padding = config.to_dict().get("pad_token_id") or 0
    return {"input_ids": tokens.masked_fill(~within, padding), "attention_mask": within.long()}


def _normalised(params: Params, spec: Spec, channels: int) -> Normalised:
    """Return what prepares pictures: as the preprocessor does, or for a network from scratch around 0."""
    if "mean" in spec:
        return Normalised(spec["mean"], spec["deviation"])
    if params.pretrained is not None:
        raise TidemillError("name the checkpoint's preprocessor_config.json in tokenize.preprocessor")
    return Normalised([0.5] * channels, [0.5] * channels)
