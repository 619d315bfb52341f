"""Continuing a text: the draws follow the published rules, a cache changes nothing, and the stream is the whole text."""

import pytest
import torch

from tidemill.models.common import networks as models
from tidemill.models.gpt2 import Params
from tidemill.tasks.text_generation.prediction import Options, continuation, draw, pieces
from tidemill.tokens import bpe

TEXTS = ["It is a truth universally acknowledged. 秦川雄帝宅，函谷壯皇居。 🙂🙃 naïve"] * 5
LENGTH = 16


@pytest.fixture(scope="module")
def tokenizer():
    return bpe.fit(TEXTS, 300)


@pytest.fixture(scope="module")
def spec(tokenizer):
    return {"vocabulary": tokenizer.get_vocab_size(), "length": LENGTH, "end": tokenizer.token_to_id(bpe.END)}


@pytest.fixture(scope="module")
def network(spec):
    """A model whose next tokens differ much in likelihood, and which hardly ever ends a text."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = models.build(Params(name="gpt2", width=32, heads=2, layers=2), spec).eval()
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.2 * torch.randn_like(weights))
        network.tokens.weight[spec["end"]] = 0
    return network


def continued(network, tokenizer, spec, prompt="It is", **options):
    return continuation(network, tokenizer, prompt, spec, Options(**options))


@pytest.mark.parametrize("prompt", ["", "It is", "a truth universally acknowledged. " * 8])
@pytest.mark.parametrize(
    "options", [{"temperature": 0.0}, {"temperature": 1.2, "top_k": 50}, {"repetition_penalty": 1.4}]
)
def test_a_cache_changes_nothing(network, tokenizer, spec, prompt, options):
    with_cache, without = (
        continued(network, tokenizer, spec, prompt, new_tokens=3 * LENGTH, cached=cached, **options)
        for cached in (True, False)
    )
    assert with_cache.text == without.text and len(with_cache.probabilities) > LENGTH
    assert with_cache.probabilities == pytest.approx(without.probabilities, abs=1e-5)


def test_the_likeliest_tokens_are_those_of_the_published_decoder(network, tokenizer, spec, tmp_path):
    from transformers import GPT2LMHeadModel

    from tidemill.models.gpt2 import hugging_face

    hugging_face.save(network, tmp_path, spec["end"])
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path)
    start = torch.tensor([[spec["end"], *bpe.encode(tokenizer, ["It is"])[0].tolist()]])
    new = LENGTH - start.shape[1]
    ids = theirs.generate(start, max_new_tokens=new, do_sample=False, repetition_penalty=1.3, pad_token_id=spec["end"])
    expected = [int(i) for i in ids[0, start.shape[1] :]]
    expected = expected[: expected.index(spec["end"])] if spec["end"] in expected else expected
    found = continued(network, tokenizer, spec, new_tokens=new, temperature=0.0, repetition_penalty=1.3)
    assert found.text == tokenizer.decode(expected, skip_special_tokens=False)


def test_the_seed_decides(network, tokenizer, spec):
    first, again, other = (continued(network, tokenizer, spec, temperature=1.0, seed=seed).text for seed in (1, 1, 2))
    assert first == again != other


def frequencies(logits, options, draws=4000):
    generator = torch.Generator().manual_seed(0)
    drawn = torch.tensor([draw(logits, [], options, generator) for _ in range(draws)])
    return torch.bincount(drawn, minlength=len(logits)) / draws


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        (Options(temperature=1.0, top_p=None), [0, 1, 2, 3]),
        (Options(temperature=0.5, top_p=None), [0, 1, 2, 3]),
        (Options(temperature=1.0, top_p=None, top_k=2), [1, 3]),
        (Options(temperature=1.0, top_p=0.5), [3]),
        (Options(temperature=1.0, top_p=0.75), [1, 3]),
        (Options(temperature=1.0, top_p=0.9, top_k=3), [1, 2, 3]),
    ],
)
def test_draws_are_as_often_as_their_probability(options, allowed):
    logits = torch.tensor([0.08, 0.25, 0.12, 0.55]).log()
    expected = torch.zeros(4)
    expected[allowed] = (logits[allowed] / options.temperature).softmax(dim=0)
    torch.testing.assert_close(frequencies(logits, options), expected, rtol=0, atol=0.03)


def test_a_penalty_lowers_only_what_was_seen_whatever_its_sign():
    generator = torch.Generator()
    greedy = Options(temperature=0.0, repetition_penalty=2.0)
    assert draw(torch.tensor([1.0, 1.5, 0.9]), [1], greedy, generator) == 0
    assert draw(torch.tensor([-1.0, -0.9, -5.0]), [1], greedy, generator) == 0
    assert draw(torch.tensor([1.0, 1.5, 0.9]), [], greedy, generator) == 1


@pytest.mark.parametrize("seed", range(5))
def test_what_is_streamed_is_the_whole_text(network, tokenizer, spec, seed):
    options = Options(new_tokens=60, temperature=1.5, top_p=None, seed=seed)
    streamed = list(pieces(network, tokenizer, "秦", spec, options))
    whole = continuation(network, tokenizer, "秦", spec, options)
    assert "".join(piece.text for piece in streamed) == whole.text
    assert [p for piece in streamed for p in piece.probabilities] == whole.probabilities
    assert 0 < len(whole.probabilities) <= 60 and all(0 < p <= 1 for p in whole.probabilities)


class Recites:
    """Stands in for a network that knows one text by heart: what is drawn is then known."""

    def __init__(self, ids, vocabulary):
        self.ids, self.vocabulary = ids, vocabulary

    def parameters(self):
        yield torch.zeros(1)

    def cache(self, rows):
        return [0]

    def __call__(self, tokens, cache):
        place = cache[0]
        cache[0] += 1
        return torch.nn.functional.one_hot(torch.tensor([[self.ids[place]]]), self.vocabulary).float() * 50


def recited(tokenizer, spec, text, **options):
    ids = [*bpe.encode(tokenizer, [text])[0].tolist(), spec["end"]]
    network = Recites(ids, spec["vocabulary"])
    return list(
        pieces(network, tokenizer, "", spec | {"length": 1000}, Options(new_tokens=500, temperature=0.0, **options))
    )


def test_half_a_character_is_never_streamed(tokenizer, spec):
    text = "a 🙂🙃👩‍👩‍👧 龍 end"
    streamed = recited(tokenizer, spec, text)
    assert "".join(piece.text for piece in streamed) == text
    assert len(streamed) > 3 and not any("\ufffd" in piece.text for piece in streamed)


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (["\n\n"], "one two\nthree"),
        (["two"], "one "),
        (["wo\nth", "four"], "one t"),
        (["absent"], "one two\nthree\n\nfour"),
    ],
)
def test_a_text_ends_before_its_stop_and_none_of_it_is_streamed(tokenizer, spec, stop, expected):
    streamed = recited(tokenizer, spec, "one two\nthree\n\nfour", stop=stop)
    assert "".join(piece.text for piece in streamed) == expected
