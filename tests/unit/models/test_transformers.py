"""Any checkpoint of the library: its logits, trained as the params say, saved so that the library loads it again."""

import importlib.util
from contextlib import chdir
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.unit.models import checkpoints
from tests.unit.models.checkpoints import (
    CASES,
    KINDS,
    LABELS,
    SIDE,
    batch,
    checkpoint,
    counted,
    our_logits,
    pinned,
    pixels,
    their_logits,
)
from tidemill.core.errors import TidemillError
from tidemill.models import bert
from tidemill.models import transformers as package
from tidemill.models.common import networks
from tidemill.models.transformers.wrapped import Wrapped
from tidemill.tasks.text_classification import learning
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards
from tidemill.training import determinism, features
from tidemill.training.fit import fit
from tidemill.training.params import Training

pytestmark = pytest.mark.slow
MINILM = Path(__file__).parents[3] / "data" / "minilm"


def begun(params: dict[str, Any], kind: str, **spec: Any) -> Wrapped:
    network = networks.begin(package.Params.model_validate(params), KINDS[kind].spec | spec)
    assert isinstance(network, Wrapped)
    return network


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(counted(found), counted(expected), rtol=1e-5, atol=1e-5)


def saved(network: Wrapped, params: dict[str, Any], kind: str, folder: Path) -> dict[str, Any]:
    config = {"task": KINDS[kind].spec["task"], "model": params, "training": {"epochs": 1}, "spec": KINDS[kind].spec}
    folder.mkdir()
    network.save(folder, config | {"device": "cpu"})
    return config


def trained(network: Wrapped, kind: str, steps: int = 3) -> None:
    optimizer = torch.optim.AdamW([weight for weight in network.parameters() if weight.requires_grad], 1e-2)
    given = checkpoints.batch()
    inputs = {
        "pixels": (checkpoints.pixels(),),
        "next": (given["tokens"],),
        "labels": (given["tokens"], given["lengths"]),
        "span": tuple(given.values()),
    }[kind]
    for _ in range(steps):
        optimizer.zero_grad()
        network(*inputs).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize(("architecture", "kind"), CASES, ids=["-".join(case) for case in CASES])
def test_its_logits_are_those_of_the_library_before_and_after_training(
    tmp_path: Path, architecture: str, kind: str
) -> None:
    import transformers

    model, params = checkpoint(tmp_path / "published", architecture, kind)
    network = begun(params, kind)
    assert network.training
    expected = their_logits(model, kind)
    assert counted(expected).std() > 0.01
    assert_close(our_logits(network.eval(), kind), expected)
    network.train()
    trained(network, kind)
    network.eval()
    after = our_logits(network, kind)
    assert (counted(after) - counted(expected)).abs().max() > 1e-3
    config = saved(network, params, kind, tmp_path / "model")
    again, report = getattr(transformers, KINDS[kind].auto).from_pretrained(
        tmp_path / "model", output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    assert_close(their_logits(again.eval(), kind), after)
    read = networks.params_of(checkpoints.read(tmp_path / "model")["model"])
    assert read.checkpoint.sha256 == params["checkpoint"]["sha256"]
    for path in (tmp_path / "published").iterdir():
        path.unlink()  # a saved model needs its checkpoint no more
    ours = networks.build(read, KINDS[kind].spec)
    ours.load_state_dict(load_file(tmp_path / "model" / "model.safetensors"))
    assert config.keys() <= checkpoints.read(tmp_path / "model").keys()
    assert_close(our_logits(ours.eval(), kind), after)


@pytest.mark.parametrize(("architecture", "kind"), [("roberta", "labels"), ("gpt2", "labels"), ("vit", "pixels")])
def test_a_checkpoint_of_labels_gets_a_head_for_a_number_that_the_library_reads(
    tmp_path: Path, architecture: str, kind: str
) -> None:
    import transformers

    _, params = checkpoint(tmp_path / "published", architecture, kind)
    spec = {name: value for name, value in KINDS[kind].spec.items() if name != "labels"}
    spec |= {"task": f"{'image' if kind == 'pixels' else 'text'}_regression", "outputs": 1}
    spec |= {"target": {"mean": 3.0, "deviation": 2.0}}
    network = networks.begin(package.Params.model_validate(params), spec)  # type: ignore[arg-type]
    trained(network, kind)
    after = our_logits(network.eval(), kind)
    assert after.shape[1] == 1 and after.std() > 0
    (tmp_path / "model").mkdir()
    network.save(tmp_path / "model", {"task": spec["task"], "model": params, "spec": spec, "device": "cpu"})
    again = getattr(transformers, KINDS[kind].auto).from_pretrained(tmp_path / "model").eval()
    assert again.config.problem_type == "regression"
    assert_close(their_logits(again, kind), after)


@pytest.mark.parametrize(("architecture", "kind"), [("bert", "labels"), ("gpt2", "next"), ("convnext", "pixels")])
def test_the_weights_may_be_a_pickle_or_in_several_files(tmp_path: Path, architecture: str, kind: str) -> None:
    model, params = checkpoint(tmp_path, architecture, kind)
    expected = our_logits(begun(params, kind).eval(), kind)
    weights = load_file(tmp_path / "model.safetensors")
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")  # of a GPT-2 with weights that share memory
    half = len(weights) // 2
    for number, part in enumerate((list(weights)[:half], list(weights)[half:])):
        save_file({name: weights[name] for name in part}, tmp_path / f"model-{number}.safetensors")
    with chdir(tmp_path):
        for names in (["pytorch_model.bin"], ["model-0.safetensors", "model-1.safetensors"]):
            pin = pinned(tmp_path, "config.json", *names)
            assert torch.equal(our_logits(begun(params | {"checkpoint": pin}, kind).eval(), kind), expected)


def test_a_pickle_of_more_than_weights_is_refused(tmp_path: Path) -> None:
    _, params = checkpoint(tmp_path, "bert", "labels")
    torch.save({"weights": torch.zeros(1), "epoch": 3}, tmp_path / "pytorch_model.bin")
    pin = pinned(tmp_path, "config.json", "pytorch_model.bin")
    with chdir(tmp_path), pytest.raises(TidemillError, match="holds more than weights: epoch is none"):
        begun(params | {"checkpoint": pin}, "labels")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_other_bytes_than_the_pinned_ones_are_refused(tmp_path: Path, name: str) -> None:
    _, params = checkpoint(tmp_path, "bert", "labels")
    params["checkpoint"]["sha256"][name] = "0" * 64
    with pytest.raises(TidemillError, match=rf"{name} has the sha256 .*, but the params ask for 0000"):
        begun(params, "labels")


def test_weights_of_another_model_than_the_config_are_refused_by_name(tmp_path: Path) -> None:
    _, params = checkpoint(tmp_path, "bert", "labels")
    with pytest.raises(TidemillError, match=r"another model than its config: bert\.\S*layer\.3\.\S* is missing"):
        begun(params | {"config": {"num_hidden_layers": 4}}, "labels")
    with pytest.raises(TidemillError, match=r"bert\.\S*intermediate\S* has the shape \[48"):
        begun(params | {"config": {"intermediate_size": 64}}, "labels")


@pytest.mark.parametrize("kind", ["labels", "span"])
def test_a_head_for_other_outputs_is_fresh_and_the_base_is_kept(tmp_path: Path, kind: str) -> None:
    _, params = checkpoint(tmp_path, "bert", "labels")
    spec = {"labels": list("abcde"), "outputs": 5} if kind == "labels" else {}
    network = begun(params, kind, **spec)
    published = load_file(tmp_path / "model.safetensors")
    found = network.state_dict()
    base = [name for name in found if name.startswith("bert.")]
    assert base and all(torch.equal(found[name], published[name]) for name in base)
    heads = found.keys() - set(base)
    assert not any(name in published and torch.equal(found[name], published[name]) for name in heads)
    torch.manual_seed(3)
    first = begun(params, kind, **spec).state_dict()
    torch.manual_seed(3)
    assert all(torch.equal(value, first[name]) for name, value in begun(params, kind, **spec).state_dict().items())


def test_two_labels_share_one_output_which_is_that_of_the_second(tmp_path: Path) -> None:
    _, params = checkpoint(tmp_path, "bert", "labels")
    network = begun(params, "labels", labels=["neg", "pos"], outputs=1)
    assert our_logits(network.eval(), "labels").shape == (4, 1)
    assert network.config.id2label == {0: "pos"}
    several = begun(params, "labels", task="multilabel_classification")
    assert several.config.problem_type == "multi_label_classification"
    assert several.config.id2label == dict(enumerate(LABELS))


@pytest.mark.parametrize(("architecture", "kind"), [case for case in CASES if case[1] in ("labels", "span")])
def test_padding_changes_nothing(tmp_path: Path, architecture: str, kind: str) -> None:
    _, params = checkpoint(tmp_path, architecture, kind)
    network, given = begun(params, kind).eval(), batch()
    inputs = list(given.values()) if kind == "span" else [given["tokens"], given["lengths"]]
    with torch.inference_mode():
        together = network(*inputs)[1]
        alone = network(*(one[1:2, :9] if one.dim() == 2 else one[1:2] for one in inputs))[0]
    torch.testing.assert_close(together[:9] if kind == "span" else together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "qwen2", "mamba"])
def test_a_cache_changes_no_logits(tmp_path: Path, architecture: str) -> None:
    _, params = checkpoint(tmp_path, architecture, "next")
    network = begun(params, "next").eval()
    tokens = batch()["tokens"][:1]
    with torch.inference_mode():
        whole, cache = network(tokens), network.cache(1)
        parts = [network(tokens[:, start:end], cache) for start, end in ((0, 7), (7, 8), (8, 24))]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "kind", "blocks"), [("bert", "labels", 3), ("gpt2", "next", 3), ("convnext", "pixels", 4)]
)
@pytest.mark.parametrize("unfreeze", [0, 1, 2, "all"])
def test_a_step_changes_the_head_and_the_unfrozen_blocks_alone(
    tmp_path: Path, architecture: str, kind: str, blocks: int, unfreeze: int | str
) -> None:
    _, params = checkpoint(tmp_path, architecture, kind)
    if architecture == "gpt2" and unfreeze == 0:
        with pytest.raises(TidemillError, match="leaves nothing to train"):
            begun(params | {"unfreeze": 0}, kind)
        return
    network = begun(params | {"unfreeze": unfreeze}, kind)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trained(network, kind)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    place = {"bert": "bert.encoder.layer.", "gpt2": "transformer.h.", "convnext": "convnext.encoder.stages."}[
        architecture
    ]
    found = {int(name.removeprefix(place).split(".")[0]) for name in changed if name.startswith(place)}
    assert found == set(range(blocks)) - (set() if unfreeze == "all" else set(range(blocks - int(unfreeze))))
    assert any("embeddings" in name or "wte" in name for name in changed) == (unfreeze == "all")


def test_more_blocks_than_there_are_cannot_be_unfrozen(tmp_path: Path) -> None:
    _, params = checkpoint(tmp_path, "bert", "labels")
    with pytest.raises(TidemillError, match="unfreeze 4 is more than the 3 blocks"):
        begun(params | {"unfreeze": 4}, "labels")


@pytest.mark.parametrize("architecture", ["vit", "convnext", "resnet", "efficientnet"])
def test_the_features_of_a_frozen_base_and_its_head_give_the_same_logits(tmp_path: Path, architecture: str) -> None:
    _, params = checkpoint(tmp_path, architecture, "pixels")
    network = begun(params | {"unfreeze": 0}, "pixels")
    base = features.frozen_base(network)
    assert base is not None and not base.training and network.get_submodule("head").training
    statistics = {name: value.clone() for name, value in base.state_dict().items()}
    trained(network, "pixels")
    assert all(torch.equal(value, statistics[name]) for name, value in base.state_dict().items())
    with torch.inference_mode():
        kept = network.eval().get_submodule("head")(base(pixels()))
    torch.testing.assert_close(kept, our_logits(network, "pixels"))
    assert features.frozen_base(begun(params | {"unfreeze": 1}, "pixels")) is None


@pytest.mark.parametrize(("architecture", "kind"), [("bert", "labels"), ("llama", "next"), ("resnet", "pixels")])
def test_a_config_alone_is_trained_from_scratch(architecture: str, kind: str) -> None:
    config = {"model_type": architecture, **checkpoints.ARCHITECTURES[architecture][1]}
    spec = {"shape": [SIDE, SIDE, 1]} if kind == "pixels" else {}
    network = begun({"name": "transformers", "config": config}, kind, **spec)
    trained(network, kind)
    assert our_logits(network.eval(), kind).isfinite().all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "name a checkpoint, or a config with model_type"),
        ({"config": {"model_type": "bert"}, "unfreeze": 1}, "a base without weights must be trained"),
        ({"checkpoint": {"path": "x", "sha256": {}}}, r"the hash of config\.json is missing"),
        (
            {"checkpoint": {"path": "x", "sha256": {"config.json": "0" * 64, "model.h5": "0" * 64}}},
            "no file of weights",
        ),
    ],
)
def test_params_that_name_no_model_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        package.Params.model_validate({"name": "transformers", **values})


@pytest.mark.parametrize(
    ("config", "kind", "message"),
    [
        ({"model_type": "bert"}, ("tokens", "next token"), "bert cannot go from tokens to next token"),
        ({"model_type": "roberta"}, ("pixels", "labels"), "roberta cannot go from pixels to labels"),
        ({"model_type": "vit"}, ("tokens", "labels"), "vit cannot go from tokens to labels"),
        ({"model_type": "mamba"}, ("token windows", "span"), "mamba cannot go from token windows to span"),
        ({"model_type": "xlnet"}, ("tokens", "labels"), "xlnet cannot go from tokens to labels"),
        ({"model_type": "bret"}, ("tokens", "labels"), "no model_type 'bret'; did you mean 'bert'"),
        (
            {"auto_map": {"AutoModel": "own.Model"}, "model_type": "own"},
            ("tokens", "labels"),
            "own needs code of its own",
        ),
        ({"model_type": "llama", "quantization_config": {}}, ("tokens", "next token"), "this llama is quantised"),
        ({"model_type": "bert", "is_decoder": True}, ("tokens", "next token"), None),
        ({"model_type": "gpt2"}, ("tokens", "labels"), None),
    ],
)
def test_what_an_architecture_cannot_do_is_known_from_its_config(
    config: dict[str, Any], kind: Any, message: str | None
) -> None:
    found = package.Params.model_validate({"name": "transformers", "config": config}).unfit(kind)
    assert (found is None) if message is None else (found is not None and message in found)


def test_a_checkpoint_that_is_not_here_yet_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for path in (str(tmp_path), "someone/something", "someone/something@main", "not//an id"):
        pin = {"path": path, "sha256": {"config.json": "0" * 64}}
        params = package.Params.model_validate({"name": "transformers", "checkpoint": pin})
        assert params.unfit(("tokens", "labels")) is None
        with pytest.raises(TidemillError):
            networks.build(params, KINDS["labels"].spec)


@pytest.mark.parametrize(
    ("config", "spec", "message"),
    [
        ({}, {"vocabulary": 91}, r"the tokenizer has 91 ids, but the model knows 90"),
        ({}, {"length": 41}, r"tokenize\.length 41 is more than the 40 tokens"),
        ({"model_type": "gpt2", "n_positions": 30}, {"length": 31}, r"more than the 30 tokens"),
        (
            {"model_type": "roberta", **checkpoints.ENCODER, "pad_token_id": 1},
            {"length": 39},
            "more than the 38 tokens",
        ),
        ({"hidden_size": "wide"}, {}, r"model\.config of bert: .*hidden_size"),
        ({"hidden_size": 30}, {}, r"model: bert: .*30"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    tmp_path: Path, config: dict[str, Any], spec: dict[str, Any], message: str
) -> None:
    _, params = checkpoint(tmp_path, "bert", "labels")
    with pytest.raises(TidemillError, match=message):
        begun(params | {"config": config}, "labels", **spec)


def test_pictures_for_a_checkpoint_need_its_preprocessor(tmp_path: Path) -> None:
    _, params = checkpoint(tmp_path, "vit", "pixels")
    spec = {name: value for name, value in KINDS["pixels"].spec.items() if name not in ("mean", "deviation")}
    with pytest.raises(TidemillError, match=r"preprocessor_config\.json in tokenize\.preprocessor"):
        networks.begin(package.Params.model_validate(params), spec)


@pytest.mark.skipif(not MINILM.exists(), reason="data/minilm is not here: `tidemill fetch minilm` brings it")
@pytest.mark.parametrize("kind", ["labels", "span"])
def test_minilm_gives_the_logits_of_the_library_and_of_our_own_bert(kind: str) -> None:
    import transformers

    spec = KINDS[kind].spec | {"vocabulary": 30522}
    params = {"name": "transformers", "checkpoint": pinned(MINILM, "config.json", "model.safetensors")}
    network = networks.begin(package.Params.model_validate(params), spec).eval()
    head = {name: value for name, value in network.state_dict().items() if not name.startswith("bert.")}
    for value in head.values():
        value.mul_(10).add_(0.1)
    theirs = getattr(transformers, KINDS[kind].auto).from_pretrained(
        MINILM, **({"num_labels": 3} if kind == "labels" else {})
    )
    theirs.load_state_dict(head, strict=False)
    pin = {"path": str(MINILM), "sha256": params["checkpoint"]["sha256"]["model.safetensors"]}
    own = networks.begin(bert.Params.model_validate({"name": "bert", "pretrained": pin}), spec).eval()
    own.load_state_dict(head, strict=False)
    found = our_logits(network, kind)
    assert_close(found, their_logits(theirs.eval(), kind))
    assert_close(found, our_logits(own, kind))


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_training_that_is_stopped_ends_in_the_same_weights(tmp_path: Path, precision: str) -> None:
    """With dropout, batches of like lengths and frozen blocks."""
    _, params = checkpoint(tmp_path / "published", "roberta", "labels", hidden_dropout_prob=0.3)
    given = batch(64)
    tokens = [row[:length].numpy() for row, length in zip(given["tokens"], given["lengths"], strict=True)]
    rows = MemoryShards({"tokens": tokens, "labels": (given["tokens"][:, 0] % 3).int().numpy()})
    training = Training(epochs=3, batch=8, lr=1e-3, precision=precision, save_every=3, log_every=2, accelerator="cpu")

    def weights(folder: Path, report: Any = lambda points: None) -> dict[str, torch.Tensor]:
        determinism.apply(training)
        network = begun(params | {"unfreeze": 2}, "labels")
        train = Batches(rows, training.batch, shuffle=True, bucket=learning.BUCKET)
        return fit(network, learning, train, Batches(rows, 32), training, folder, report).network.state_dict()

    def stop(points: Any) -> None:
        if points and points[-1].step > 10:  # in the second epoch, just after a checkpoint
            raise KeyboardInterrupt

    undisturbed = weights(tmp_path / "undisturbed")
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        weights(tmp_path / "stopped", stop)
    resumed = weights(tmp_path / "stopped")
    assert all(torch.equal(value, undisturbed[name]) for name, value in resumed.items())


@pytest.mark.skipif(
    None in map(importlib.util.find_spec, ("peft", "accelerate")),
    reason="peft, or accelerate which it needs, is not in this environment: requirements/ lacks it so far",
)
class TestLora:
    """Adapters instead of the base."""

    LORA: ClassVar = {"rank": 4, "alpha": 8}
    CASES: ClassVar = [
        ("bert", "labels", []),
        ("gpt2", "next", []),
        ("llama", "labels", ["q_proj", "down_proj"]),
        ("roberta", "span", ["query", "dense"]),
        ("vit", "pixels", ["q_proj", "v_proj"]),
    ]

    @staticmethod
    def begun(tmp_path: Path, architecture: str, kind: str, targets: list[str]) -> tuple[Any, dict[str, Any], Wrapped]:
        model, params = checkpoint(tmp_path / "published", architecture, kind)
        params |= {"lora": TestLora.LORA | {"targets": targets}}
        return model, params, begun(params, kind)

    @pytest.mark.parametrize(("architecture", "kind", "targets"), CASES)
    def test_adapters_alone_are_trained_and_a_version_has_them_in_its_weights(
        self, tmp_path: Path, architecture: str, kind: str, targets: list[str]
    ) -> None:
        import transformers

        model, params, network = self.begun(tmp_path, architecture, kind, targets)
        assert_close(our_logits(network.eval(), kind), their_logits(model, kind))
        network.train()
        before = {name: value.clone() for name, value in network.state_dict().items()}
        trained(network, kind)
        changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
        heads = tuple(network.heads())
        assert all("lora_" in name or name.startswith(heads) for name in changed) and len(changed) >= 4
        assert any(name.startswith(heads) for name in changed) == (kind != "next")
        after = our_logits(network.eval(), kind)
        saved(network, params, kind, tmp_path / "model")
        weights = load_file(tmp_path / "model" / "model.safetensors")
        assert not [name for name in weights if "lora" in name or "base_layer" in name]
        again = getattr(transformers, KINDS[kind].auto).from_pretrained(tmp_path / "model").eval()
        torch.testing.assert_close(counted(their_logits(again, kind)), counted(after), rtol=1e-4, atol=1e-5)
        ours = networks.build(networks.params_of(checkpoints.read(tmp_path / "model")["model"]), KINDS[kind].spec)
        ours.load_state_dict(weights)
        torch.testing.assert_close(counted(our_logits(ours.eval(), kind)), counted(after), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(("architecture", "kind", "targets"), CASES)
    def test_the_adapter_names_its_base_by_hash_and_peft_loads_it(
        self, tmp_path: Path, architecture: str, kind: str, targets: list[str]
    ) -> None:
        import peft

        model, params, network = self.begun(tmp_path, architecture, kind, targets)
        trained(network, kind)
        after = our_logits(network.eval(), kind)
        saved(network, params, kind, tmp_path / "model")
        config = checkpoints.read_json(tmp_path / "model/adapter/adapter_config.json")
        assert config["base_sha256"] == params["checkpoint"]["sha256"]
        again = peft.PeftModel.from_pretrained(model, tmp_path / "model/adapter").eval()
        with torch.inference_mode():
            found = their_logits(again, kind)
        torch.testing.assert_close(counted(found), counted(after), rtol=1e-4, atol=1e-5)

    def test_layers_that_are_not_there_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(TidemillError, match=r"model\.lora\.targets: .*no_such"):
            self.begun(tmp_path, "bert", "labels", ["no_such"])
        with pytest.raises(TidemillError, match=r"model\.lora\.targets: .*target_modules"):
            self.begun(tmp_path / "other", "swin", "pixels", [])


@pytest.mark.parametrize("values", [{}, {"unfreeze": 1}])
def test_adapters_need_weights_to_add_to(tmp_path: Path, values: dict[str, Any]) -> None:
    _, params = checkpoint(tmp_path, "bert", "labels")
    params |= values or {"checkpoint": pinned(tmp_path, "config.json")}
    with pytest.raises(ValueError, match="lora needs a checkpoint with weights"):
        package.Params.model_validate(params | {"lora": {}})
