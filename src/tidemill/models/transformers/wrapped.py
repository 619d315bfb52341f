"""A model of the library as one of our networks: named as there in every file, trained as the params say."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from safetensors.torch import save_file
from torch import nn

from tidemill.core.files import write_json
from tidemill.core.spec import Spec
from tidemill.models.common.exported import Exported
from tidemill.models.common.networks import CONFIG, TOKENIZER, WEIGHTS
from tidemill.models.transformers import Params, configs, freezing, lora
from tidemill.models.transformers.configs import Document

Weights = dict[str, Any]


class Wrapped(Exported):
    """Holds a model of the library. Its weights have the library's names wherever they are stored."""

    def __init__(self, model: Any, params: Params, document: Document) -> None:
        super().__init__()
        self.theirs, self.config, self.params, self.document = type(model), model.config, params, document
        self.hold(model)
        self.register_state_dict_post_hook(_to_theirs)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_to_ours)  # type: ignore[no-untyped-call]

    def hold(self, model: Any) -> None:
        """Take a model of the library in place of the one before."""
        self.model = model.float()

    @property
    def whole(self) -> Any:
        """The model of the library."""
        return self.model

    @property
    def body(self) -> nn.Module:
        """The model without its head."""
        body: nn.Module = self.model.base_model
        return body

    @cached_property
    def padding(self) -> int:
        """The id of the token after the end of a text."""
        found: int = configs.value(self.config, "pad_token_id", 0)
        return found

    def prefixes(self) -> dict[str, str]:
        """Return what our names begin with, and what theirs do instead."""
        return {"model.": ""}

    def heads(self) -> dict[str, nn.Module]:
        """Return the parts that are trained beside adapters, by the library's names: all but the base."""
        base = self.theirs.base_model_prefix
        return {name: part for name, part in self.model.named_children() if name != base and part.state_dict()}

    def adapt(self, params: lora.Lora) -> None:
        """Put adapters into the base, which is not trained itself."""
        lora.adapt(self.whole, params)
        for head in self.heads().values():
            head.requires_grad_(True)

    def train(self, mode: bool = True) -> Self:
        """Set the mode as torch does, but leave frozen parts in evaluation mode."""
        super().train(mode)
        if mode:
            freezing.rest(self, with_adapters=self.params.lora is not None)
        return self

    def save(self, folder: Path, config: dict[str, Any]) -> None:
        """Write a folder that the library's `from_pretrained` reads, and `Predictor` as well."""
        if self.params.lora is not None and self.params.checkpoint is not None:
            lora.save(self.whole, self.heads(), self.params.checkpoint, folder / lora.FOLDER)
            lora.merge(self.whole)
        weights = {name: value.contiguous() for name, value in self.state_dict().items()}
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
        theirs = json.loads(self.config.to_json_string()) | {
            "architectures": [self.theirs.__name__],
            "dtype": "float32",
        }
        model = config["model"] | {"config": self.document}
        write_json(folder / CONFIG, theirs | config | {"model": model})
        if "preprocessor" in config["spec"]:
            write_json(folder / "preprocessor_config.json", config["spec"]["preprocessor"])
        if (folder / TOKENIZER).exists():
            write_json(folder / "tokenizer_config.json", self._of_tokenizer(folder / TOKENIZER, config["spec"]))

    def _of_tokenizer(self, file: Path, spec: Spec) -> dict[str, Any]:
        """Return what the library must know of a `tokenizer.json` to take it as it is."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(file))
        ids = {"pad_token": self.padding}
        ids |= {"eos_token": spec["end"]} if "end" in spec else {}
        named = {name: tokenizer.id_to_token(number) for name, number in ids.items()}
        chat = {"chat_template": spec["chat"]["jinja"], **spec["chat"]["tokens"]} if "chat" in spec else {}
        return {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": spec["length"], **chat, **named}

    def tied(self) -> dict[str, str]:
        """Return weights that are stored under another name already, by their own: both as we name them."""
        first = {weight: name for name, weight in self.named_parameters()}
        every = self.named_parameters(remove_duplicate=False)
        return {name: first[weight] for name, weight in every if first[weight] != name}


def _to_theirs(network: nn.Module, weights: Weights, prefix: str, metadata: Any) -> None:
    assert isinstance(network, Wrapped)
    for name in network.tied():
        del weights[prefix + name]
    _rename(weights, prefix, network.prefixes())


def _to_ours(network: nn.Module, weights: Weights, prefix: str, *others: Any) -> None:
    assert isinstance(network, Wrapped)
    longest_first = sorted(network.prefixes().items(), key=lambda names: -len(names[1]))
    _rename(weights, prefix, {theirs: ours for ours, theirs in longest_first})
    for name, first in network.tied().items():
        if prefix + first in weights:
            weights[prefix + name] = weights[prefix + first]


def _rename(weights: Weights, prefix: str, beginnings: dict[str, str]) -> None:
    """Rename weights in place, each by the first beginning that fits."""
    for name in [name for name in weights if name.startswith(prefix)]:
        own = name.removeprefix(prefix)
        before, after = next((pair for pair in beginnings.items() if own.startswith(pair[0])), ("", ""))
        weights[prefix + after + own.removeprefix(before)] = weights.pop(name)
