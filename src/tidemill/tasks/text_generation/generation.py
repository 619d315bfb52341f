"""Going on with a text, token by token: how the next one is drawn, and when to stop."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tidemill.config import Params

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

UNFINISHED = "\ufffd"
"""What a character decodes to of which only some bytes are there."""


class Sampling(Params):
    """How a text is gone on with."""

    new_tokens: int = Field(default=32, ge=1, le=100_000)
    """Tokens added at most."""
    temperature: float = Field(default=0.8, ge=0)
    """Below 1 likely tokens become likelier; at 0 the likeliest is always taken."""
    top_k: int | None = Field(default=None, ge=1)
    """Only so many of the likeliest tokens are drawn from."""
    top_p: float | None = Field(default=0.95, gt=0, le=1)
    """Only the likeliest tokens that together have this probability are drawn from (Holtzman et al., 2020)."""
    repetition_penalty: float = Field(default=1.0, gt=0)
    """Above 1, tokens that stand in the text already become less likely (Keskar et al., 2019)."""
    seed: int = 0
    """The same seed and prompt give the same text."""
    stop: list[str] = Field(default=[])
    """Texts at which to end; they are not part of the answer."""
    cached: bool = True
    """Whether keys and values of read tokens are kept: the answer is the same, and comes many times sooner."""


@dataclass
class Generated:
    """A text as far as it was gone on with."""

    text: str = ""
    probabilities: list[float] = field(default_factory=list)
    """What the model gave each drawn token, before any of the sampling."""


def generated(network: Any, tokenizer: "Tokenizer", prompt: str, spec: dict[str, Any], sampling: Sampling) -> Generated:
    """The whole continuation of a prompt."""
    whole = Generated()
    for piece in stream(network, tokenizer, prompt, spec, sampling):
        whole.text += piece.text
        whole.probabilities += piece.probabilities
    return whole


def stream(
    network: Any, tokenizer: "Tokenizer", prompt: str, spec: dict[str, Any], sampling: Sampling
) -> Iterator[Generated]:
    """The continuation piece by piece, each as soon as it is certain: no half character, no half stop text.

    Args:
        network: Called with tokens (1, places) and a cache, which its method `cache` makes.
    """
    from tidemill.tokens import bpe

    start = [spec["end"], *bpe.encode(tokenizer, [prompt])[0].tolist()]
    said, ids, probabilities = 0, list[int](), list[float]()
    text = ""
    for token, probability in _tokens(network, start, spec, sampling):
        ids.append(token)
        probabilities.append(probability)
        text = tokenizer.decode(ids, skip_special_tokens=False)
        if any(stop in text for stop in sampling.stop):
            break
        certain = _certain(text, sampling.stop)
        if certain > said:
            yield Generated(text[said:certain], probabilities)
            said, probabilities = certain, []
    yield Generated(_before(text, sampling.stop)[said:], probabilities)


def _tokens(network: Any, ids: list[int], spec: dict[str, Any], sampling: Sampling) -> Iterator[tuple[int, float]]:
    """Drawn tokens and their probabilities, until the end of the text or of the number asked for."""
    import torch

    generator = torch.Generator().manual_seed(sampling.seed)
    context = _Context(network, spec["length"], sampling.cached)
    new, ids = ids, list(ids)
    for _ in range(sampling.new_tokens):
        logits = context.logits(new)
        token = draw(logits, ids, sampling, generator)
        if token == spec["end"]:
            return
        yield token, float(logits.softmax(dim=0)[token])
        new = [token]
        ids.append(token)


class _Context:
    """The tokens the network sees: when they fill its places, it goes on with the later half of them."""

    def __init__(self, network: Any, length: int, cached: bool) -> None:
        self.network, self.length, self.cached = network, length, cached
        self.window: list[int] = []
        self.cache: Any = None

    def logits(self, new: list[int]) -> "torch.Tensor":
        """Logits (vocabulary,) of the token after these, which follow those given before; float32, on the CPU."""
        import torch

        self.window += new
        if len(self.window) > self.length or self.cache is None:
            self.window = self.window[-(self.length // 2) :] if len(self.window) > self.length else self.window
            self.cache, new = self.network.cache(1) if self.cached else False, self.window
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            tokens = torch.tensor([new if self.cached else self.window], device=device)
            return self.network(tokens, self.cache or None)[0, -1].float().cpu()  # type: ignore[no-any-return]


def draw(logits: "torch.Tensor", seen: Iterable[int], sampling: Sampling, generator: "torch.Generator") -> int:
    """A token by logits (vocabulary,): penalty for those seen, temperature, the likeliest k, the likeliest share p."""
    import torch

    logits = _penalised(logits, sorted(set(seen)), sampling.repetition_penalty)
    if sampling.temperature == 0:
        return int(logits.argmax())
    chances, order = (logits / sampling.temperature).sort(descending=True, stable=True)
    chances = chances[: sampling.top_k].softmax(dim=0)
    before = chances.cumsum(dim=0) - chances
    chances[before >= (sampling.top_p or 1.0)] = 0.0
    return int(order[torch.multinomial(chances, 1, generator=generator)])


def _penalised(logits: "torch.Tensor", seen: list[int], penalty: float) -> "torch.Tensor":
    import torch

    logits = logits.clone()
    logits[seen] = torch.where(logits[seen] > 0, logits[seen] / penalty, logits[seen] * penalty)
    return logits


def _certain(text: str, stops: list[str]) -> int:
    """Characters of the text that later tokens cannot change and that cannot be the beginning of a stop text."""
    whole = len(text.rstrip(UNFINISHED))
    lengths = (n for stop in stops for n in range(1, len(stop)) if text[:whole].endswith(stop[:n]))
    return whole - max(lengths, default=0)


def _before(text: str, stops: list[str]) -> str:
    """The text up to the first stop text."""
    return text[: min((text.index(stop) for stop in stops if stop in text), default=len(text))]
