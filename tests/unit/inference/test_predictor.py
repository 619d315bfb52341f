"""The predictor: a model's folder in, the same predictions out whatever form the rows come in."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tidemill.core.errors import TidemillError
from tidemill.inference.predictor import Predictor
from tidemill.models.common import networks
from tidemill.tokens import bpe
from tidemill.tokens.shards import MemoryShards

TEXTS = ["It is a truth universally acknowledged", "that a single man must be in want of a wife"]
DIGITS = {"labels": ["0", "1", "2"], "outputs": 3, "shape": [6, 5, 1]}


def write_model(folder: Path, task: str, model: dict[str, Any], spec: dict[str, Any], **further: Any) -> Predictor:
    torch.manual_seed(0)
    network = networks.build(networks.params_of(model), spec)
    save_file(network.state_dict(), folder / networks.WEIGHTS)
    config = {"task": task, "model": model, "tokenize": {}, "spec": {"task": task, **spec}, **further}
    (folder / networks.CONFIG).write_text(json.dumps(config))
    return Predictor(folder)


@pytest.fixture
def digits(tmp_path: Path) -> Predictor:
    """A model of pictures, in a folder as earlier versions wrote it, with the device it was trained on."""
    return write_model(tmp_path, "image_classification", {"name": "mlp", "hidden": [4]}, DIGITS, device="cpu")


@pytest.fixture
def novelist(tmp_path: Path) -> Predictor:
    tokenizer = bpe.fit(TEXTS, 300)
    tokenizer.save(str(tmp_path / networks.TOKENIZER))
    spec = {"vocabulary": tokenizer.get_vocab_size(), "length": 16, "end": tokenizer.token_to_id(bpe.END)}
    model = {"name": "gpt2", "width": 16, "heads": 2, "layers": 1}
    return write_model(tmp_path, "text_generation", model, spec)


def pictures(count: int = 3) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 6, 5), dtype=np.uint8))


def encoded(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def test_bytes_base64_and_pixels_get_the_same_predictions(digits: Predictor) -> None:
    content = [encoded(picture) for picture in pictures()]
    expected = digits.predict(pd.DataFrame({"image": content}))
    forms = [content, [base64.b64encode(one).decode() for one in content], pictures(), np.stack(pictures())]
    for form in forms:
        pd.testing.assert_frame_equal(digits.predict(form), expected)
    shards = MemoryShards(digits.encoding.encode(pd.DataFrame({"image": content}), None, digits.spec))
    pd.testing.assert_frame_equal(digits.predict_encoded(shards), expected)


def test_the_index_is_that_of_the_rows(digits: Predictor) -> None:
    rows = pd.DataFrame({"image": pictures()}, index=["x", "y", "z"])
    assert digits.predict(rows).index.tolist() == ["x", "y", "z"]
    assert digits.predict(rows.head(0)).columns.tolist() == ["prediction", "confidence", "probabilities"]


def test_what_a_predictor_knows(digits: Predictor) -> None:
    assert digits.task == "image_classification" and digits.rows.INPUTS == ("image",)
    assert digits.tokenizer is None and not digits.streams and digits.options({}) is None
    with pytest.raises(TidemillError, match="takes no options; there is 'temperature'"):
        digits.predict(pictures(), temperature=1.0)
    with pytest.raises(TidemillError, match="nothing to stream"):
        next(digits.stream(pictures(1)))


def test_options_have_defaults_and_are_checked(novelist: Predictor) -> None:
    assert novelist.streams
    options = novelist.options({"new_tokens": 3})
    assert options is not None and options.model_dump()["new_tokens"] == 3
    with pytest.raises(TidemillError, match=r"the option 'tmperature': .*there are: new_tokens, temperature"):
        novelist.predict(TEXTS, tmperature=1.0)


def test_a_stream_is_the_prediction_in_pieces(novelist: Predictor) -> None:
    whole = novelist.predict(TEXTS[:1], new_tokens=8, seed=3)["prediction"][0]
    assert "".join(novelist.stream(TEXTS[:1], new_tokens=8, seed=3)) == whole


def test_a_missing_tokenizer_is_named(novelist: Predictor) -> None:
    (novelist.folder / networks.TOKENIZER).unlink()
    with pytest.raises(TidemillError, match=r"tokenizer\.json is missing"):
        Predictor(novelist.folder).predict(TEXTS)


def test_bad_input_is_named(digits: Predictor) -> None:
    with pytest.raises(TidemillError, match="no column 'image'; it has: picture"):
        digits.predict(pd.DataFrame({"picture": pictures()}))
    with pytest.raises(TidemillError, match="is not the base64 of a picture"):
        digits.predict(["not base64!"])
    with pytest.raises(TidemillError, match="the input cannot be read: not a readable picture"):
        digits.predict([b"nothing"])


@pytest.mark.parametrize("name", [networks.CONFIG, networks.WEIGHTS])
def test_an_unfinished_folder_is_named(digits: Predictor, name: str) -> None:
    (digits.folder / name).write_bytes(b"{")
    with pytest.raises(TidemillError, match=f"{name}.* damaged"):
        Predictor(digits.folder)
