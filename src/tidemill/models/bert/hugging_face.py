"""The network in Hugging Face's format: the weights as they are, since their names are the same, and `config.json`."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json, write_json
from tidemill.models.bert import Params
from tidemill.models.bert.network import NORM_EPSILON, LabelBert, SpanBert, load_pretrained

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save(network: SpanBert | LabelBert, params: Params, folder: Path) -> None:
    """Write a folder that `BertForQuestionAnswering` or `BertForSequenceClassification` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / WEIGHTS)
    write_json(folder / CONFIG, _config(network, params))


def load(network: SpanBert | LabelBert, folder: Path) -> None:
    """Load the weights of a folder that any BERT of `transformers` saved.

    Raises:
        TidemillError: it is not the folder of a BERT, or of one of another shape.
    """
    if not (folder / CONFIG).exists() or read_json(folder / CONFIG).get("model_type") != "bert":
        raise TidemillError(f"{folder} holds no config.json of a BERT")
    load_pretrained(network, load_file(folder / WEIGHTS))


def _config(network: SpanBert | LabelBert, params: Params) -> dict[str, Any]:
    spans = isinstance(network, SpanBert)
    outputs = network.qa_outputs.out_features if isinstance(network, SpanBert) else network.classifier.out_features
    return {
        "architectures": ["BertForQuestionAnswering" if spans else "BertForSequenceClassification"],
        "model_type": "bert",
        "vocab_size": network.bert.embeddings.word_embeddings.num_embeddings,
        "hidden_size": params.width,
        "num_hidden_layers": params.layers,
        "num_attention_heads": params.heads,
        "intermediate_size": params.feed_forward,
        "max_position_embeddings": params.positions,
        "hidden_act": "gelu",
        "layer_norm_eps": NORM_EPSILON,
        "type_vocab_size": 2,
        "pad_token_id": 0,
        "hidden_dropout_prob": params.dropout,
        "attention_probs_dropout_prob": params.attention_dropout,
        "id2label": {str(number): f"LABEL_{number}" for number in range(outputs)},
    }
