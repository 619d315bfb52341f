"""Small checkpoints of many architectures, made on the spot and saved by the library itself."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from tidemill.core.files import read_json, sha256_file

VOCABULARY, LENGTH, SIDE = 90, 24, 32
LABELS = ["bee", "cat", "dog"]
ENCODER = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}
DECODER = {**ENCODER, "num_key_value_heads": 2, "bos_token_id": 0, "eos_token_id": 0}
PICTURES = {"image_size": SIDE, "patch_size": 8}
PREPROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "resample": 3,
    "image_mean": [0.48, 0.45, 0.40],
    "image_std": [0.26, 0.25, 0.27],
}


class Kind(NamedTuple):
    """What a task asks of a network."""

    auto: str
    """The library's class."""
    spec: dict[str, Any]


KINDS = {
    "labels": Kind(
        "AutoModelForSequenceClassification",
        {
            "task": "text_classification",
            "labels": LABELS,
            "outputs": 3,
            "vocabulary": VOCABULARY,
            "length": LENGTH,
        },
    ),
    "span": Kind(
        "AutoModelForQuestionAnswering",
        {"task": "question_answering", "token_outputs": 2, "vocabulary": VOCABULARY, "length": LENGTH},
    ),
    "next": Kind(
        "AutoModelForCausalLM", {"task": "text_generation", "vocabulary": VOCABULARY, "length": LENGTH, "end": 0}
    ),
    "pixels": Kind(
        "AutoModelForImageClassification",
        {
            "task": "image_classification",
            "labels": LABELS,
            "outputs": 3,
            "shape": [SIDE, SIDE, 3],
            "preprocessor": PREPROCESSOR,
            "mean": PREPROCESSOR["image_mean"],
            "deviation": PREPROCESSOR["image_std"],
        },
    ),
}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("labels span", ENCODER),
    "roberta": ("labels span", {**ENCODER, "pad_token_id": 1, "type_vocab_size": 1}),
    "distilbert": (
        "labels span",
        {"vocab_size": VOCABULARY, "dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48},
    ),
    "electra": ("labels span", {**ENCODER, "embedding_size": 16}),
    "deberta-v2": (
        "labels span",
        {**ENCODER, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0},
    ),
    "albert": ("labels span", {**ENCODER, "embedding_size": 16}),
    "gpt2": (
        "labels next",
        {
            "vocab_size": VOCABULARY,
            "n_embd": 32,
            "n_layer": 3,
            "n_head": 4,
            "n_positions": 40,
            "bos_token_id": 0,
            "eos_token_id": 0,
        },
    ),
    "llama": ("labels next span", DECODER),
    "qwen2": ("labels next", {**DECODER, "tie_word_embeddings": True}),
    "mamba": ("next", {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}),
    "vit": (
        "pixels",
        {**PICTURES, **{name: ENCODER[name] for name in list(ENCODER)[1:5]}},
    ),
    "convnext": ("pixels", {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}),
    "resnet": ("pixels", {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 2], "layer_type": "basic"}),
    "swin": (
        "pixels",
        {**PICTURES, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
    ),
    "efficientnet": ("pixels", {"width_coefficient": 0.2, "depth_coefficient": 0.2, "hidden_dim": 256}),
    "swiftformer": ("pixels", {"image_size": 64, "embed_dims": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}),
}
"""By architecture, what it can do, and the values of a small config."""
CASES = [(name, kind) for name, (kinds, _) in ARCHITECTURES.items() for kind in kinds.split()]


def checkpoint(folder: Path, architecture: str, kind: str, **values: Any) -> tuple[Any, dict[str, Any]]:
    """The library's model with random weights far from their first ones, and the params that pin what it saved."""
    import transformers

    torch.manual_seed(7)
    small = {**ARCHITECTURES[architecture][1], **values}
    config = transformers.AutoConfig.for_model(architecture, **small, **_outputs(kind), architectures=[])
    if kind == "labels" and config.pad_token_id is None:
        config.pad_token_id = config.eos_token_id
    model = getattr(transformers, KINDS[kind].auto).from_config(config).eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.add_(torch.rand_like(value).mul_(0.3) if "running" in name else 0.1 * torch.randn_like(value))
    model.save_pretrained(folder)
    return model, {"name": "transformers", "checkpoint": pinned(folder, "config.json", "model.safetensors")}


def pinned(folder: Path, *names: str) -> dict[str, Any]:
    return {"path": str(folder), "sha256": {name: sha256_file(folder / name) for name in names}}


def _outputs(kind: str) -> dict[str, Any]:
    if kind in ("labels", "pixels"):
        return {"num_labels": len(LABELS)}
    return {}


def batch(rows: int = 4) -> dict[str, torch.Tensor]:
    """Token ids, lengths and segments of rows of different lengths, padded with 0."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([LENGTH, 9, 17, 3] * (rows // 4))
    tokens = torch.randint(5, VOCABULARY, (rows, LENGTH), generator=generator)
    place = torch.arange(LENGTH)
    return {
        "tokens": tokens * (place < lengths[:, None]),
        "lengths": lengths,
        "segments": ((place > 5) & (place < lengths[:, None])).long(),
    }


def pixels(rows: int = 4) -> torch.Tensor:
    """Values from 0 to 1 (B, 3, H, W)."""
    return torch.rand(rows, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


def our_logits(network: torch.nn.Module, kind: str) -> torch.Tensor:
    """What our network makes of `batch` or `pixels`."""
    given = batch()
    with torch.inference_mode():
        if kind == "pixels":
            return network(pixels())
        if kind == "next":
            return network(given["tokens"])
        if kind == "span":
            return network(given["tokens"], given["lengths"], given["segments"])
        return network(given["tokens"], given["lengths"])


def their_logits(model: Any, kind: str) -> torch.Tensor:
    """What the library's model makes of the same."""
    given = batch()
    with torch.inference_mode():
        if kind == "pixels":
            mean, deviation = (torch.tensor(PREPROCESSOR[f"image_{name}"])[:, None, None] for name in ("mean", "std"))
            return model((pixels() - mean) / deviation).logits
        if kind == "next":
            return model(given["tokens"]).logits
        inside = torch.arange(LENGTH) < given["lengths"][:, None]
        tokens = given["tokens"].masked_fill(~inside, model.config.pad_token_id or 0)
        if kind == "labels":
            return model(tokens, attention_mask=inside.long()).logits
        types = {"token_type_ids": given["segments"]} if model.config.to_dict().get("type_vocab_size", 0) > 1 else {}
        found = model(tokens, attention_mask=inside.long(), **types)
        return torch.stack([found.start_logits, found.end_logits], -1)


def counted(logits: torch.Tensor) -> torch.Tensor:
    """The logits that count: not those of padding."""
    if logits.dim() == 3 and logits.shape[-1] == 2:
        return logits[torch.arange(LENGTH) < batch()["lengths"][:, None]]
    return logits


def read(folder: Path) -> dict[str, Any]:
    """The config of a folder."""
    config: dict[str, Any] = read_json(folder / "config.json")
    return config
