"""Continuing a text with a decoder of the library and a tokenizer whose pieces hold the space before a word."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.unit.models.checkpoints import KINDS, LENGTH, VOCABULARY, checkpoint
from tests.unit.tokens.fast_tokenizers import unigram
from tidemill.inference.predictor import Predictor
from tidemill.models import transformers as package
from tidemill.models.common import networks
from tidemill.tasks.text_generation.prediction import Options, continuation, outputs, pieces
from tidemill.tokens import bpe, tokenizers


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mamba"])
def test_a_cache_changes_nothing_even_beyond_the_context(tmp_path: Path, architecture: str) -> None:
    _, params = checkpoint(tmp_path, architecture, "next")
    spec = KINDS["next"].spec
    network = networks.begin(package.Params.model_validate(params), spec).eval()
    tokenizer = unigram()
    assert tokenizers.size(tokenizer) <= VOCABULARY
    with_cache, without = (
        continuation(
            network, tokenizer, "the cat", spec, Options(new_tokens=2 * LENGTH, temperature=0.9, cached=cached)
        )
        for cached in (True, False)
    )
    assert with_cache.text == without.text and with_cache.text
    assert with_cache.probabilities == pytest.approx(without.probabilities, abs=1e-5)


def test_the_likelihood_of_a_text_is_that_of_the_library(tmp_path: Path) -> None:
    model, params = checkpoint(tmp_path, "llama", "next")
    spec = KINDS["next"].spec
    network = networks.begin(package.Params.model_validate(params), spec).eval()
    tokens = torch.tensor([[0, 7, 9, 30, 11], [0, 5, 6, 0, 0]])
    batch = {"tokens": tokens, "tokens_length": torch.tensor([5, 3]), "bytes": torch.tensor([9, 4])}
    with torch.inference_mode():
        found = outputs(network, batch, spec)["nll"]
        chances = model(tokens).logits.log_softmax(-1)
    expected = [-sum(chances[row, at, tokens[row, at + 1]] for at in range(n)) for row, n in enumerate((4, 2))]
    assert found == pytest.approx([float(value) for value in expected], rel=1e-4)


def test_a_saved_decoder_goes_on_piece_by_piece_and_in_the_library(tmp_path: Path) -> None:
    import transformers

    _, params = checkpoint(tmp_path / "published", "qwen2", "next")
    end = unigram().token_to_id("</s>")
    spec = KINDS["next"].spec | {"end": end}
    network = networks.begin(package.Params.model_validate(params), spec).eval()
    folder = tmp_path / "model"
    folder.mkdir()
    unigram().save(str(folder / "tokenizer.json"))
    network.save(folder, {"task": "text_generation", "model": params, "training": {}, "spec": spec, "device": "cpu"})
    predictor = Predictor(folder)
    options = {"new_tokens": 12, "temperature": 0}
    [found] = predictor.predict(["the cat"], **options)["prediction"]
    assert found and "".join(predictor.stream(["the cat"], **options)) == found
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)  # as it is in the file
    assert tokenizer.eos_token_id == end
    ids = torch.tensor([[end, *tokenizer("the cat", add_special_tokens=False)["input_ids"]]])
    theirs = model.generate(ids, max_new_tokens=12, do_sample=False, eos_token_id=end, pad_token_id=end)
    new = [int(token) for token in theirs[0] if token != end]
    assert unigram().decode(new, skip_special_tokens=False) == f"the cat{found}"


class Script(nn.Module):
    """Is certain of given tokens, one after another, whatever comes before."""

    def __init__(self, ids: list[int], before: int) -> None:
        super().__init__()
        self.ids, self.before = ids, before
        self.device = nn.Parameter(torch.zeros(1))

    def forward(self, tokens: torch.Tensor, cache: None) -> torch.Tensor:
        logits = torch.full((1, tokens.shape[1], VOCABULARY), -50.0)
        logits[0, -1, self.ids[tokens.shape[1] - self.before]] = 50.0
        return logits


def test_the_space_before_the_first_new_word_is_kept() -> None:
    tokenizer = unigram()
    whole, prompt = "The captain sailed it home", "The captain"
    ids, asked = (bpe.encode(tokenizer, [text])[0].tolist() for text in (whole, prompt))
    assert ids[: len(asked)] == asked
    end = tokenizer.token_to_id("</s>")
    spec = {"vocabulary": VOCABULARY, "length": 200, "end": end}
    script = Script([*ids[len(asked) :], end], 1 + len(asked))
    options = Options(new_tokens=100, temperature=0, cached=False)
    assert continuation(script, tokenizer, prompt, spec, options).text == whole.removeprefix(prompt)
    assert "".join(piece.text for piece in pieces(script, tokenizer, prompt, spec, options)) == " sailed it home"
