"""BERT as a torch module (Devlin et al., 2019, "BERT: Pre-training of Deep Bidirectional Transformers").

Every parameter is named as in Hugging Face's `BertForQuestionAnswering` and `BertForSequenceClassification`, so that the
weights of either load in the other. Shapes: B rows, T tokens, N heads, D width.
"""

import torch
from torch import nn
from torch.nn import functional

from tidemill.core.errors import TidemillError
from tidemill.core.spec import Spec
from tidemill.models.bert import Params
from tidemill.models.common.attention import attend

PRETRAINED_FILES = ("model.safetensors",)
solve = None
explain = None
NORM_EPSILON = 1e-12
DEVIATION = 0.02
"""Standard deviation of fresh weights."""


def build(params: Params, spec: Spec) -> "SpanBert | LabelBert":
    """Return a network from tokens (B, T), lengths (B,) and segments (B, T) to logits.

    They are (B, T, token_outputs) where the spec has `token_outputs`, else (B, outputs).
    """
    network: SpanBert | LabelBert
    if "token_outputs" in spec:
        network = SpanBert(params, spec["vocabulary"], spec["token_outputs"])
    else:
        network = LabelBert(params, spec["vocabulary"], spec["outputs"])
    network.apply(_initialise)
    return _with_frozen(network, params.frozen)


def load_pretrained(network: "SpanBert | LabelBert", weights: dict[str, torch.Tensor]) -> None:
    """Load weights of `BertModel`, of `BertFor…`, or of our own; a head is loaded where it has the same shape.

    Raises:
        TidemillError: they are not those of a BERT of this shape.
    """
    ours = network.state_dict()
    theirs = {name if name in ours else f"bert.{name}": value for name, value in weights.items()}
    fitting = {
        name: theirs[name] for name, value in ours.items() if name in theirs and theirs[name].shape == value.shape
    }
    heads = {name for name in ours if not name.startswith(("bert.embeddings.", "bert.encoder."))}
    unfit = [name for name in ours if name not in fitting and name not in heads]
    if unfit:
        found = f"has the shape {list(theirs[unfit[0]].shape)}" if unfit[0] in theirs else "is missing"
        raise TidemillError(
            f"model.pretrained holds no BERT of this shape: {unfit[0]} {found}, not {list(ours[unfit[0]].shape)}; "
            "set model.layers, width, feed_forward and positions to those of its config.json"
        )
    network.load_state_dict(fitting, strict=False)


class SpanBert(nn.Module):
    """Logits of each token (B, T, outputs): for spans, of one starting and of one stopping there."""

    def __init__(self, params: Params, vocabulary: int, outputs: int) -> None:
        super().__init__()
        self.bert = Encoder(params, vocabulary)
        self.qa_outputs = nn.Linear(params.width, outputs)

    def forward(
        self, tokens: torch.Tensor, lengths: torch.Tensor, segments: torch.Tensor | None = None
    ) -> torch.Tensor:
        logits: torch.Tensor = self.qa_outputs(self.bert(tokens, lengths, segments))
        return logits


class LabelBert(nn.Module):
    """Logits of each text (B, outputs), from the vector of its first token, `[CLS]`."""

    def __init__(self, params: Params, vocabulary: int, outputs: int) -> None:
        super().__init__()
        self.bert = PooledEncoder(params, vocabulary)
        self.dropout = nn.Dropout(params.dropout)
        self.classifier = nn.Linear(params.width, outputs)

    def forward(
        self, tokens: torch.Tensor, lengths: torch.Tensor, segments: torch.Tensor | None = None
    ) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(self.dropout(self.bert(tokens, lengths, segments)))
        return logits


class Encoder(nn.Module):
    """Tokens (B, T) to vectors (B, T, D), each attending to all tokens of its row but not to padding."""

    def __init__(self, params: Params, vocabulary: int) -> None:
        super().__init__()
        self.embeddings = Embeddings(params, vocabulary)
        self.encoder = Layers(params)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor, segments: torch.Tensor | None) -> torch.Tensor:
        inside = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        embedded = self.embeddings(tokens, torch.zeros_like(tokens) if segments is None else segments)
        hidden: torch.Tensor = self.encoder(embedded, inside[:, None, None, :])
        return hidden


class PooledEncoder(Encoder):
    """Tokens (B, T) to one vector a row (B, D), computed from that of the first token."""

    def __init__(self, params: Params, vocabulary: int) -> None:
        super().__init__(params, vocabulary)
        self.pooler = Pooler(params.width)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor, segments: torch.Tensor | None) -> torch.Tensor:
        pooled: torch.Tensor = self.pooler(super().forward(tokens, lengths, segments)[:, 0])
        return pooled


class Pooler(nn.Module):
    """A dense layer with a hyperbolic tangent."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, first: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.dense(first))


class Embeddings(nn.Module):
    """The sum of the embeddings of a token, its position and its segment."""

    def __init__(self, params: Params, vocabulary: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(vocabulary, params.width, padding_idx=0)
        self.position_embeddings = nn.Embedding(params.positions, params.width)
        self.token_type_embeddings = nn.Embedding(2, params.width)
        self.LayerNorm = nn.LayerNorm(params.width, NORM_EPSILON)
        self.dropout = nn.Dropout(params.dropout)

    def forward(self, tokens: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
        positions = self.position_embeddings.weight[: tokens.shape[1]]
        summed = self.word_embeddings(tokens) + self.token_type_embeddings(segments) + positions
        embedded: torch.Tensor = self.dropout(self.LayerNorm(summed))
        return embedded


class Layers(nn.Module):
    """All layers, one after another."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(params) for _ in range(params.layers))

    def forward(self, hidden: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        for layer in self.layer:
            hidden = layer(hidden, inside)
        return hidden


class Layer(nn.Module):
    """Attention, then two dense layers with a GELU between; each has a residual connection and is normalised."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": Attention(params), "output": Added(params.width, params)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(params.width, params.feed_forward)})
        self.output = Added(params.feed_forward, params)

    def forward(self, hidden: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        attended = self.attention["output"](self.attention["self"](hidden, inside), hidden)
        result: torch.Tensor = self.output(functional.gelu(self.intermediate["dense"](attended)), attended)
        return result


class Attention(nn.Module):
    """Multi-head attention of each token over the tokens of its row."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.heads, self.dropout = params.heads, params.attention_dropout
        self.query = nn.Linear(params.width, params.width)
        self.key = nn.Linear(params.width, params.width)
        self.value = nn.Linear(params.width, params.width)

    def forward(self, hidden: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            part(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, N, T, D / N)
            for part in (self.query, self.key, self.value)
        )
        dropout = self.dropout if self.training else 0.0
        mixed = attend(query, key, value, inside, dropout)
        return mixed.transpose(1, 2).flatten(2)


class Added(nn.Module):
    """A dense layer whose output is added to an earlier state and normalised."""

    def __init__(self, width: int, params: Params) -> None:
        super().__init__()
        self.dense = nn.Linear(width, params.width)
        self.LayerNorm = nn.LayerNorm(params.width, NORM_EPSILON)
        self.dropout = nn.Dropout(params.dropout)

    def forward(self, hidden: torch.Tensor, earlier: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.LayerNorm(self.dropout(self.dense(hidden)) + earlier)
        return result


def _initialise(module: nn.Module) -> None:
    """Initialise as in the paper: small normal weights; biases and the embedding of padding 0."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=DEVIATION)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        nn.init.zeros_(module.weight[module.padding_idx].detach())


def _with_frozen(network: "SpanBert | LabelBert", layers: int) -> "SpanBert | LabelBert":
    lowest = [network.bert.embeddings, *network.bert.encoder.layer[:layers]] if layers else []
    for module in lowest:
        module.requires_grad_(False)
    return network
