"""Prediction: the likelihood of texts, and continuations token by token; of conversations, that of their responses."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from tidemill.core import conversations, stopping
from tidemill.core.params import Params
from tidemill.core.spec import Spec

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

LOGITS = 2**22
"""Logits held at once while the likelihood of texts is computed: more do not fit a CPU's cache."""
COLDEST = 0.01
"""Least temperature above 0: logits divided by less may be too large for the numbers of a network."""
UNFINISHED = "\ufffd"
"""What a character decodes to as long as some of its bytes are missing."""


class Options(Params):
    """How a text is continued."""

    new_tokens: int = Field(default=32, ge=1, le=100_000)
    """Tokens added at most."""
    temperature: float = Field(default=0.8, ge=0, le=100)
    """Below 1 likely tokens become likelier; at 0 the likeliest is always taken, and 0.01 is the least beside it."""
    top_k: int | None = Field(default=None, ge=1, le=2**31)
    """Draw only from this many of the likeliest tokens."""
    top_p: float | None = Field(default=0.95, ge=0.001, le=1)
    """Draw only from the likeliest tokens that together have this probability (Holtzman et al., 2020)."""
    repetition_penalty: float = Field(default=1.0, ge=0.01, le=100)
    """Above 1, tokens that are already in the text become less likely (Keskar et al., 2019)."""
    seed: int = Field(default=0, ge=-(2**63), lt=2**64)
    """The same seed and prompt give the same text."""
    stop: list[str] = Field(default=[])
    """Texts at which to end; they are not part of the prediction."""
    cached: bool = True
    """Whether keys and values of earlier tokens are kept: the prediction is the same, and takes a fraction of the time."""

    @field_validator("temperature")
    @classmethod
    def _leaves_chances(cls, value: float) -> float:
        if 0 < value < COLDEST:
            raise ValueError(f"should be 0, or at least {COLDEST}")
        return value


@dataclass
class Continuation:
    """A continuation, or a piece of one."""

    text: str = ""
    probabilities: list[float] = field(default_factory=list)
    """What the model gave each drawn token, before temperature and the rest of the sampling."""


def outputs(network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], spec: Spec) -> dict[str, Any]:
    """Return the number of `tokens` and `bytes` of each text, and its negative log-likelihood `nll` in nats.

    Of conversations, those of the responses.
    """
    tokens, lengths = batch["tokens"], batch["tokens_length"]
    counted = batch["counted"] > 0 if "counted" in batch else None
    nll = _negative_log_likelihood(network, tokens, lengths, counted, spec)
    number = lengths - 1 if counted is None else counted[:, 1:].sum(1)
    return {"tokens": number.numpy(), "bytes": batch["bytes"].numpy(), "nll": nll.numpy()}


def respond(
    network: "torch.nn.Module", tokenizer: "Tokenizer", rows: pd.DataFrame, spec: Spec, options: Options
) -> pd.DataFrame:
    """Return the continuation of each text, the mean probability of its tokens, and that of each."""
    found = [continuation(network, tokenizer, prompt, spec, options) for prompt in rows["text"]]
    return pd.DataFrame(
        {
            "prediction": [one.text for one in found],
            "confidence": [float(np.mean(one.probabilities)) if one.probabilities else 1.0 for one in found],
            "probabilities": [one.probabilities for one in found],
        }
    )


def stream(
    network: "torch.nn.Module", tokenizer: "Tokenizer", text: str, spec: Spec, options: Options
) -> Iterator[str]:
    """Yield the continuation of a text, each piece as soon as it is certain."""
    for piece in pieces(network, tokenizer, text, spec, options):
        yield piece.text


def continuation(network: Any, tokenizer: "Tokenizer", prompt: str, spec: Spec, options: Options) -> Continuation:
    """Return the whole continuation of a prompt."""
    whole = Continuation()
    for piece in pieces(network, tokenizer, prompt, spec, options):
        whole.text += piece.text
        whole.probabilities += piece.probabilities
    return whole


def pieces(network: Any, tokenizer: "Tokenizer", prompt: str, spec: Spec, options: Options) -> Iterator[Continuation]:
    """Yield the continuation in pieces, each as soon as it is certain: no half character, no half stop text.

    Args:
        network: takes tokens (1, T) and a cache, which its method `cache` makes.
    """
    first, asked = _asked(tokenizer, prompt, spec)
    # new tokens are decoded behind the prompt's, since some decoders drop a space at the start of a text
    before = len(tokenizer.decode(asked, skip_special_tokens=False))
    sent, ids, probabilities = 0, list[int](), list[float]()
    text = ""
    for token, probability in _tokens(network, [*first, *asked], spec, options):
        ids.append(token)
        probabilities.append(probability)
        text = tokenizer.decode([*asked, *ids], skip_special_tokens=False)[before:]
        if any(stop in text for stop in options.stop):
            break
        certain = _certain(text, options.stop)
        if certain > sent:
            yield Continuation(text[sent:certain], probabilities)
            sent, probabilities = certain, []
    yield Continuation(_before_stop(text, options.stop)[sent:], probabilities)


def _asked(tokenizer: "Tokenizer", prompt: str, spec: Spec) -> tuple[list[int], list[int]]:
    """Return the token before a text and those of the text; for a conversation, none and those up to its response."""
    from tidemill.tokens import bpe, chats

    if "chat" not in spec:
        return [spec["end"]], bpe.encode(tokenizer, [prompt])[0].tolist()
    return [], chats.prompt(tokenizer, conversations.asked(prompt), spec["chat"])


def draw(logits: "torch.Tensor", seen: Iterable[int], options: Options, generator: "torch.Generator") -> int:
    """Draw a token by logits (V,): penalty for those seen, temperature, the likeliest k, the likeliest share p."""
    import torch

    logits = _penalised(logits, sorted(set(seen)), options.repetition_penalty)
    if options.temperature == 0:
        return int(logits.argmax())
    chances, order = (logits / options.temperature).sort(descending=True, stable=True)
    chances = chances[: options.top_k].softmax(dim=0)
    before = chances.cumsum(dim=0) - chances
    chances[before >= (options.top_p or 1.0)] = 0.0
    return int(order[torch.multinomial(chances, 1, generator=generator)])


def _tokens(network: Any, ids: list[int], spec: Spec, options: Options) -> Iterator[tuple[int, float]]:
    """Yield drawn tokens and their probabilities, until the text ends or there are `new_tokens`."""
    import torch

    generator = torch.Generator().manual_seed(options.seed)
    context = _Context(network, spec["length"], options.cached)
    new, ids = ids, list(ids)
    for _ in range(options.new_tokens):
        stopping.point()
        logits = context.logits(new)
        token = draw(logits, ids, options, generator)
        if token == spec["end"]:
            return
        yield token, float(logits.softmax(dim=0)[token])
        new = [token]
        ids.append(token)


class _Context:
    """The tokens that the network sees: when they fill its length, only the later half of them is kept."""

    def __init__(self, network: Any, length: int, cached: bool) -> None:
        self.network, self.length, self.cached = network, length, cached
        self.window: list[int] = []
        self.cache: Any = None

    def logits(self, new: list[int]) -> "torch.Tensor":
        """Return logits (V,) of the token after these, which follow those given before; float32, on the CPU."""
        import torch

        self.window += new
        if len(self.window) > self.length or self.cache is None:
            self.window = self.window[-(self.length // 2) :] if len(self.window) > self.length else self.window
            self.cache, new = self.network.cache(1) if self.cached else False, self.window
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            tokens = torch.tensor([new if self.cached else self.window], device=device)
            return self.network(tokens, self.cache or None)[0, -1].float().cpu()  # type: ignore[no-any-return]


def _penalised(logits: "torch.Tensor", seen: list[int], penalty: float) -> "torch.Tensor":
    import torch

    logits = logits.clone()
    logits[seen] = torch.where(logits[seen] > 0, logits[seen] / penalty, logits[seen] * penalty)
    return logits


def _certain(text: str, stops: list[str]) -> int:
    """Return how many characters later tokens cannot change and that cannot be the beginning of a stop text."""
    whole = len(text.rstrip(UNFINISHED))
    lengths = (n for stop in stops for n in range(1, len(stop)) if text[:whole].endswith(stop[:n]))
    return whole - max(lengths, default=0)


def _before_stop(text: str, stops: list[str]) -> str:
    """Return the text up to the first stop text."""
    return text[: min((text.index(stop) for stop in stops if stop in text), default=len(text))]


def _negative_log_likelihood(
    network: Any, tokens: "torch.Tensor", lengths: "torch.Tensor", among: "torch.Tensor | None", spec: Spec
) -> "torch.Tensor":
    """Return the negative log-likelihood (B,) of padded texts (B, T), in nats, float64.

    A text longer than the context is read in windows that overlap by half, so that each token but the first ones has at
    least half a window before it, and counts once.

    Args:
        among: the tokens (B, T) that count; None for all but the first.
    """
    import torch

    length, shared = spec["length"], spec["length"] // 2
    further = (lengths - 1 - length).clamp(min=0)
    counts = 1 + further.div(length - shared, rounding_mode="floor") + (further % (length - shared) > 0)
    rows = torch.arange(len(lengths)).repeat_interleave(counts)
    number = torch.arange(len(rows)) - (counts.cumsum(0) - counts)[rows]
    total = torch.zeros(len(lengths), dtype=torch.float64)
    at_once = max(1, LOGITS // (length * spec["vocabulary"]))
    for part in torch.split(torch.arange(len(rows)), at_once):
        start = number[part] * (length - shared)
        ends = torch.minimum(lengths[rows[part]], start + length + 1)
        place = start[:, None] + torch.arange(int((ends - start).max()))
        counted = (place < ends[:, None]) & (place > torch.where(start > 0, start + shared, 0)[:, None])
        cells = rows[part][:, None], place.clamp(max=tokens.shape[1] - 1)
        window, counted = tokens[cells], counted if among is None else counted & among[cells]
        total.index_add_(0, rows[part], _of_windows(network, window, counted[:, 1:]))
    return total


def _of_windows(network: Any, window: "torch.Tensor", counted: "torch.Tensor") -> "torch.Tensor":
    """Return the negative log-likelihood (W,) of the tokens of windows (W, T) that are `counted` (W, T - 1)."""
    from torch.nn import functional

    device = next(network.parameters()).device
    window = window.to(device)
    if window.shape[1] < 2:
        return counted.new_zeros(len(window)).double()
    logits = network(window[:, :-1]).float()
    each = functional.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten(), reduction="none")
    return (each.view(counted.shape).cpu() * counted).double().sum(dim=1)
