"""Our GPT-2 is Hugging Face's: the same logits, the same files; and reading with a cache changes nothing."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json, sha256_file, write_json
from tidemill.models.common import networks as models
from tidemill.models.gpt2 import Params, hugging_face

VOCABULARY, LENGTH, END = 97, 32, 0
PARAMS = Params(name="gpt2", width=48, heads=4, layers=3)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A Hugging Face model whose weights are far from zero, biases and norms as well, and its folder."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    size = {"vocab_size": VOCABULARY, "n_positions": LENGTH, "n_embd": 48, "n_layer": 3, "n_head": 4}
    config = GPT2Config(**size, bos_token_id=END, eos_token_id=END, initializer_range=0.2)
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
    folder = tmp_path_factory.mktemp("theirs")
    model.save_pretrained(folder)
    return model, folder


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(VOCABULARY, (3, LENGTH), generator=torch.Generator().manual_seed(1))


def fresh(params=PARAMS):
    torch.manual_seed(0)
    return models.build(params, {"vocabulary": VOCABULARY, "length": LENGTH})


def logits(network, tokens):
    with torch.inference_mode():
        found = network.eval()(tokens)
    return found if isinstance(found, torch.Tensor) else found.logits


def test_the_same_weights_give_the_same_logits(theirs, tokens):
    model, folder = theirs
    expected = logits(model, tokens)
    assert expected.abs().max() > 1
    torch.testing.assert_close(logits(hugging_face.load(folder), tokens), expected, rtol=0, atol=1e-5)


def test_what_we_save_they_load(tmp_path, tokens):
    from transformers import GPT2LMHeadModel

    network = fresh()
    hugging_face.save(network, tmp_path, END)
    model = GPT2LMHeadModel.from_pretrained(tmp_path)
    torch.testing.assert_close(logits(model, tokens), logits(network, tokens), rtol=0, atol=1e-5)
    assert (model.config.eos_token_id, model.config.n_positions) == (END, LENGTH)


def test_saved_and_loaded_weights_are_the_same_bits(tmp_path):
    network = fresh()
    hugging_face.save(network, tmp_path, END)
    again = hugging_face.load(tmp_path)
    assert again.params == network.params
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items())


def test_gradients_are_theirs_too(theirs, tokens):
    model, folder = theirs
    network = hugging_face.load(folder).eval()
    for each in (model, network):
        each.zero_grad()
        found = each(tokens)
        (found if isinstance(found, torch.Tensor) else found.logits).square().mean().backward()
    torch.testing.assert_close(network.tokens.weight.grad, model.transformer.wte.weight.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"activation_function": "relu"}, "activation_function 'relu'"), ({"model_type": "llama"}, "model_type 'llama'")],
)
def test_another_architecture_is_refused(tmp_path, change, message):
    hugging_face.save(fresh(), tmp_path, END)
    write_json(tmp_path / "config.json", read_json(tmp_path / "config.json") | change)
    with pytest.raises(TidemillError, match=message):
        hugging_face.load(tmp_path)


def test_missing_weights_are_named(tmp_path):
    hugging_face.save(fresh(), tmp_path, END)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.bias"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(TidemillError, match=r"h\.1\.mlp\.c_fc\.bias"):
        hugging_face.load(tmp_path)


def test_a_training_can_begin_from_their_weights(theirs, tokens):
    model, folder = theirs
    pretrained = {"path": str(folder), "sha256": sha256_file(folder / "model.safetensors")}
    params = Params.model_validate({**PARAMS.model_dump(), "pretrained": pretrained})
    network = models.begin(params, {"vocabulary": VOCABULARY, "length": 20})
    torch.testing.assert_close(logits(network, tokens[:, :20]), logits(model, tokens)[:, :20], rtol=0, atol=1e-5)


def test_a_folder_of_nothing_is_refused(tmp_path):
    with pytest.raises(TidemillError, match="no model in Hugging Face's format"):
        hugging_face.load(tmp_path)


@pytest.mark.parametrize("pieces", [[32], [1] * 32, [7, 1, 1, 11, 12], [31, 1]])
def test_reading_piece_by_piece_with_a_cache_is_reading_at_once(tokens, pieces):
    network = fresh().eval()
    with torch.inference_mode():
        cache = network.cache(len(tokens))
        found = torch.cat([network(piece, cache) for piece in tokens.split(pieces, dim=1)], dim=1)
        torch.testing.assert_close(found, network(tokens), rtol=0, atol=1e-5)


def test_no_place_sees_a_later_one(tokens):
    network = fresh()
    changed = tokens.clone()
    changed[:, 20] = (changed[:, 20] + 1) % VOCABULARY
    before, after = logits(network, tokens), logits(network, changed)
    torch.testing.assert_close(before[:, :20], after[:, :20])
    assert not torch.allclose(before[:, 20], after[:, 20])


def test_fresh_weights_are_as_published():
    network = fresh(Params(name="gpt2", width=128, heads=4, layers=8))
    state = network.state_dict()
    assert state["tokens.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert state["blocks.3.attention.inputs.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    for name in ("attention", "feed_forward"):
        deviation = state[f"blocks.3.{name}.output.weight"].std().item()
        assert deviation == pytest.approx(0.02 / math.sqrt(16), rel=0.05)
    assert all(value.abs().max() == 0 for name, value in state.items() if name.endswith("bias"))


def test_the_small_published_model_has_124_million_weights():
    with torch.device("meta"):
        network = models.build(Params(name="gpt2"), {"vocabulary": 50257, "length": 1024})
    assert sum(value.numel() for value in network.parameters()) == 124_439_808


def test_dropout_is_for_training_only(tokens):
    network = fresh()
    assert torch.equal(logits(network, tokens), logits(network, tokens))
    network.train()
    assert not torch.equal(network(tokens), network(tokens))


def test_heads_must_share_the_width():
    with pytest.raises(ValueError, match="width 50 is not a multiple of heads 4"):
        Params(name="gpt2", width=50, heads=4)


def test_what_a_folder_holds_is_safe(tmp_path: Path):
    hugging_face.save(fresh(), tmp_path, END)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
