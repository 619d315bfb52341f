"""Our BERT is Hugging Face's: the same logits, the same files."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tidemill.core.errors import TidemillError
from tidemill.models.bert import Params, hugging_face
from tidemill.models.bert.network import build, load_pretrained
from tidemill.models.common import networks as models

VOCABULARY, OUTPUTS = 89, 3
PARAMS = Params(name="bert", width=48, heads=4, layers=3, feed_forward=96, positions=40)
SPECS = {
    "BertForQuestionAnswering": {"vocabulary": VOCABULARY, "token_outputs": 2},
    "BertForSequenceClassification": {"vocabulary": VOCABULARY, "outputs": OUTPUTS},
}
MINILM = Path(__file__).parents[3] / "data" / "minilm"


def theirs(kind: str) -> Any:
    """A Hugging Face model whose weights are far from zero, biases and norms as well."""
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=40,
        num_labels=OUTPUTS if kind == "BertForSequenceClassification" else 2,
        initializer_range=0.2,
    )
    model = getattr(transformers, kind)(config).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
    return model


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, lengths and segments of four rows of different lengths."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(5, VOCABULARY, (4, 31), generator=generator)
    return tokens, torch.tensor([31, 8, 20, 1]), (torch.arange(31) > 5).long().expand(4, -1)


def their_logits(model: Any, tokens: torch.Tensor, lengths: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
    mask = torch.arange(tokens.shape[1]) < lengths[:, None]
    with torch.inference_mode():
        found = model(input_ids=tokens, attention_mask=mask.long(), token_type_ids=segments)
    logits: torch.Tensor = (
        found.logits if "logits" in found else torch.stack([found.start_logits, found.end_logits], -1)
    )
    return logits


def assert_same(ours: torch.nn.Module, model: Any) -> None:
    """The same logits for each token that is not padding, or for each row."""
    tokens, lengths, segments = batch()
    with torch.inference_mode():
        found = ours.eval()(tokens, lengths, segments)
    expected = their_logits(model, tokens, lengths, segments)
    assert expected.abs().max() > 1
    if expected.dim() == 3:
        inside = torch.arange(tokens.shape[1]) < lengths[:, None]
        found, expected = found[inside], expected[inside]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", SPECS)
def test_the_same_weights_give_the_same_logits(tmp_path: Path, kind: str) -> None:
    model = theirs(kind)
    model.save_pretrained(tmp_path)
    network = build(PARAMS, SPECS[kind])
    hugging_face.load(network, tmp_path)
    assert_same(network, model)


@pytest.mark.parametrize("kind", SPECS)
def test_what_we_save_they_load(tmp_path: Path, kind: str) -> None:
    import transformers

    torch.manual_seed(3)
    network = build(PARAMS.model_copy(update={"frozen": 1}), SPECS[kind])
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.3 * torch.randn_like(weights))
    hugging_face.save(network, PARAMS, tmp_path)
    model, loading = getattr(transformers, kind).from_pretrained(tmp_path, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    assert_same(network, model.eval())


def test_the_weights_of_a_bare_encoder_leave_the_head_fresh() -> None:
    model = theirs("BertForQuestionAnswering")
    network = build(PARAMS, SPECS["BertForSequenceClassification"])
    head = network.state_dict()["classifier.weight"].clone()
    load_pretrained(network, model.bert.state_dict())
    loaded = network.state_dict()
    assert torch.equal(loaded["classifier.weight"], head)
    assert all(torch.equal(loaded[f"bert.{name}"], value) for name, value in model.bert.state_dict().items())


def test_weights_of_another_shape_are_told_apart_by_name_and_shape() -> None:
    network = build(PARAMS.model_copy(update={"feed_forward": 64}), SPECS["BertForQuestionAnswering"])
    with pytest.raises(TidemillError, match=r"intermediate\.dense\.weight has the shape \[96, 48\], not \[64, 48\]"):
        load_pretrained(network, theirs("BertForQuestionAnswering").state_dict())
    network = build(PARAMS.model_copy(update={"layers": 4}), SPECS["BertForQuestionAnswering"])
    with pytest.raises(TidemillError, match=r"layer\.3\.\S+ is missing"):
        load_pretrained(network, theirs("BertForQuestionAnswering").state_dict())


def test_a_folder_of_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(TidemillError, match=r"holds no config\.json of a BERT"):
        hugging_face.load(build(PARAMS, SPECS["BertForQuestionAnswering"]), tmp_path)


@pytest.mark.parametrize("kind", SPECS)
def test_padding_changes_nothing(kind: str) -> None:
    torch.manual_seed(0)
    network = build(PARAMS, SPECS[kind]).eval()
    tokens, lengths, segments = batch()
    with torch.inference_mode():
        together = network(tokens, lengths, segments)[1]
        alone = network(tokens[1:2, :8], lengths[1:2], segments[1:2, :8])[0]
    torch.testing.assert_close(together[:8] if kind == "BertForQuestionAnswering" else together, alone)


def test_frozen_layers_and_the_embeddings_are_not_trained() -> None:
    network = build(PARAMS.model_copy(update={"frozen": 2}), SPECS["BertForQuestionAnswering"])
    trained = {
        name.split(".")[3] for name, value in network.named_parameters() if value.requires_grad and "layer." in name
    }
    assert trained == {"2"}
    assert not any(value.requires_grad for value in network.bert.embeddings.parameters())
    assert network.qa_outputs.weight.requires_grad


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="width 50 is no multiple of heads 12"):
        Params(name="bert", width=50)
    with pytest.raises(ValueError, match="frozen 7 is more than layers 6"):
        Params(name="bert", frozen=7)


@pytest.mark.skipif(not MINILM.exists(), reason="data/minilm is not here: `tidemill fetch minilm` brings it")
def test_minilm_gives_the_logits_of_hugging_face() -> None:
    import transformers

    model = transformers.BertForQuestionAnswering.from_pretrained(MINILM).eval()
    network = models.build(Params(name="bert"), {"vocabulary": 30522, "token_outputs": 2})
    load_pretrained(network, load_file(MINILM / "model.safetensors"))
    network.load_state_dict({**network.state_dict(), "qa_outputs.weight": 10 * model.qa_outputs.weight.detach()})
    model.qa_outputs.weight.data *= 10
    network.qa_outputs.bias.data = model.qa_outputs.bias.data
    assert_same(network, model)
