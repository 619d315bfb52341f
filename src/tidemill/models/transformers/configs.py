"""The config of a network: from the checkpoint or the params, for what it can be used, and as the library's own object."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from tidemill.core import pinned
from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json
from tidemill.core.params import nearest
from tidemill.core.spec import Kind, Spec
from tidemill.models.common.pretrained import CONFIG
from tidemill.models.transformers import Params

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

Document = dict[str, Any]
"""What a `config.json` holds."""
OF_THE_HEAD = ("architectures", "id2label", "label2id", "num_labels", "problem_type")
"""Keys that say what a checkpoint was last trained for, and nothing of its base."""
OF_THE_FILE = ("_name_or_path", "dtype", "torch_dtype", "transformers_version")
"""Keys that say how it was saved: weights are trained in float32."""
PADDED_READERS = ("xlnet",)
"""Architectures whose label depends on the padding after a text."""


def kind_of(spec: Spec) -> Kind:
    """Return the kind of the task that a spec is of."""
    if "token_outputs" in spec:
        return "token windows", "span"
    if "outputs" not in spec:
        return "tokens", "next token"
    return "pixels" if "shape" in spec else "tokens", "number" if "target" in spec else "labels"


def whole(params: Params) -> Document:
    """Return the config that the params name.

    Raises:
        TidemillError: the checkpoint's is missing, is not the pinned one, or is damaged.
    """
    if "model_type" in params.config or params.checkpoint is None:
        return dict(params.config)
    path = pinned.pinned(params.checkpoint.file(CONFIG), (CONFIG,))
    try:
        document: Document = read_json(path)
    except ValueError as error:
        raise TidemillError(f"{path} is not JSON: {error}") from error
    return document | params.config


def at_hand(params: Params) -> Document | None:
    """Return the config, or None where it has not been fetched yet."""
    checkpoint = params.checkpoint
    if checkpoint is None or "model_type" in params.config or pinned.at_hand(checkpoint.path, CONFIG) is not None:
        return whole(params)
    return None


def unfit(document: Document, kind: Kind) -> str | None:
    """Return why a network of this config cannot do such a task, or cannot be used at all."""
    from transformers import CONFIG_MAPPING
    from transformers.models.auto import modeling_auto

    architecture = document.get("model_type")
    if "auto_map" in document:
        return f"{architecture or 'the checkpoint'} needs code of its own (auto_map), which is never run"
    if architecture not in CONFIG_MAPPING:
        return f"transformers has no model_type {architecture!r}{nearest(str(architecture), CONFIG_MAPPING.keys())}"
    if "quantization_config" in document:
        return f"this {architecture} is quantised; name a checkpoint in float32, float16 or bfloat16"
    of_texts = modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
    of_pictures = modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
    able: dict[Kind, Collection[str]] = {
        ("tokens", "labels"): of_texts,
        ("tokens", "number"): of_texts,
        ("token windows", "span"): modeling_auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
        ("tokens", "next token"): modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        ("pixels", "labels"): of_pictures,
        ("pixels", "number"): of_pictures,
    }
    encodes = architecture in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES and not document.get("is_decoder")
    if architecture not in able[kind] or architecture in PADDED_READERS or (kind[1] == "next token" and encodes):
        return f"{architecture} cannot go from {kind[0]} to {kind[1]}"
    return None


def fitted(document: Document, spec: Spec) -> "PreTrainedConfig":
    """Return the library's config for inputs and outputs as the spec has them.

    Raises:
        TidemillError: it cannot do what the spec asks, a value of it is not allowed, or it is too small for the tokens.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import CONFIG_MAPPING

    kind = kind_of(spec)
    if reason := unfit(document, kind):
        raise TidemillError(f"model: {reason}")
    known = {name: value for name, value in document.items() if name not in (*OF_THE_HEAD, *OF_THE_FILE)}
    try:
        config = CONFIG_MAPPING[known["model_type"]].from_dict(known | _outputs(spec, kind) | {"architectures": []})
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise TidemillError(f"model.config of {known['model_type']}: {' '.join(str(error).split())}") from error
    if kind in (("tokens", "labels"), ("tokens", "number")) and value(config, "pad_token_id") is None:
        config.pad_token_id = _first(value(config, "eos_token_id"))
    if kind[0] != "pixels":
        _check_sizes(config, spec)
    return config


def value(config: "PreTrainedConfig", name: str, default: Any = None) -> Any:
    """Return a value by its usual name, whatever the architecture calls it; the default where it has none."""
    found = config.to_dict().get(config.attribute_map.get(name, name))
    return default if found is None else found


def check_length(longest: int, spec: Spec) -> None:
    """Check that a text fits what the model can read.

    Raises:
        TidemillError: it does not.
    """
    if longest < spec["length"]:
        raise TidemillError(
            f"tokenize.length {spec['length']} is more than the {longest} tokens that the model can read"
        )


def _outputs(spec: Spec, kind: Kind) -> Document:
    """Return how many outputs the head has, and their names."""
    if kind[1] == "number":
        return {"num_labels": spec["outputs"], "problem_type": "regression"}
    if kind[1] != "labels":
        return {"num_labels": spec["token_outputs"]} if "token_outputs" in spec else {}
    names = spec["labels"][-spec["outputs"] :]  # a single output is that of the second label
    numbered = {"id2label": dict(enumerate(names)), "label2id": {name: place for place, name in enumerate(names)}}
    several = spec.get("task") == "multilabel_classification"
    return numbered | ({"problem_type": "multi_label_classification"} if several else {})


def _check_sizes(config: "PreTrainedConfig", spec: Spec) -> None:
    known = value(config, "vocab_size")
    if known is not None and known < spec["vocabulary"]:
        raise TidemillError(
            f"the tokenizer has {spec['vocabulary']} ids, but the model knows {known}: name the checkpoint's own in "
            "tokenize.tokenizer, or set model.config.vocab_size"
        )
    check_length(value(config, "max_position_embeddings", spec["length"]), spec)


def _first(ids: int | list[int] | None) -> int:
    """Return an id, the first of several, or 0."""
    return (ids[0] if isinstance(ids, list) else ids) or 0
