"""Pictures as a checkpoint's preprocessor prepares them: the values of the library, from bytes that are decoded once."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tidemill.core.errors import TidemillError
from tidemill.core.files import sha256_file
from tidemill.core.pinned import PinnedFile
from tidemill.models.common.transfer import Normalised
from tidemill.tasks.image_classification import encoding
from tidemill.tokens import preprocessors
from tidemill.tokens.pixels import scaled

STATISTICS = {"image_mean": [0.48, 0.45, 0.40], "image_std": [0.26, 0.25, 0.27]}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "ViT, squeezed": {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "resample": 2},
    "ViT, an older file": {"feature_extractor_type": "ViTFeatureExtractor", "size": 32, "resample": 3, **STATISTICS},
    "ConvNeXt, cut to 7 of 8": {
        "feature_extractor_type": "ConvNextFeatureExtractor",
        "size": {"shortest_edge": 32},
        "crop_pct": 0.875,
        **STATISTICS,
    },
    "CLIP, the middle": {
        "feature_extractor_type": "CLIPFeatureExtractor",
        "size": 40,
        "crop_size": 32,
        "do_center_crop": True,
        **STATISTICS,
    },
    "EfficientNet, normalised twice": {
        "image_processor_type": "EfficientNetImageProcessor",
        "size": {"height": 32, "width": 32},
        "include_top": True,
        **STATISTICS,
    },
    "not normalised": {
        "image_processor_type": "ViTImageProcessor",
        "size": {"height": 32, "width": 32},
        "do_normalize": False,
    },
}


def pinned(folder: Path, document: Any) -> PinnedFile:
    path = folder / preprocessors.FILE
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return PinnedFile(path=str(folder), sha256=sha256_file(path))


def pictures() -> list[bytes]:
    """Colour and grey, wide and high, as PNG."""
    chance, found = np.random.default_rng(0), []
    for shape in ((50, 81, 3), (77, 45, 3), (60, 60)):
        stream = io.BytesIO()
        Image.fromarray(chance.integers(0, 256, shape, dtype=np.uint8)).save(stream, "PNG")
        found.append(stream.getvalue())
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_network_reads_the_values_of_the_library(tmp_path: Path, name: str) -> None:
    from transformers import AutoImageProcessor

    params = encoding.Tokenize(preprocessor=pinned(tmp_path, DOCUMENTS[name]))
    table = pd.DataFrame({"image": pictures(), "label": ["a", "b", "a"]})
    spec = encoding.specify(iter([table]), params, None)
    assert spec["shape"] == [32, 32, 3]
    encoded = encoding.encode(table, None, spec)["pixels"]
    assert encoded.dtype == np.uint8
    found = Normalised(spec["mean"], spec["deviation"])(scaled(torch.from_numpy(encoded)))
    theirs = AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    images = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures()]
    expected = torch.from_numpy(np.stack(theirs(images, return_tensors="np")["pixel_values"]))
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"image_processor_type": "ViTImageProcessor", "do_resize": False}, "pictures of one size"),
        ({"image_processor_type": "NoSuchProcessor"}, "no known preprocessor"),
        ({"image_processor_type": "ViTImageProcessor", "auto_map": {}}, "needs code of its own"),
        ("{", "is not JSON"),
    ],
)
def test_a_preprocessor_that_cannot_be_followed_is_refused(tmp_path: Path, document: Any, message: str) -> None:
    params = encoding.Tokenize(preprocessor=pinned(tmp_path, document))
    with pytest.raises(TidemillError, match=message):
        encoding.specify(iter([pd.DataFrame({"label": ["a", "b"]})]), params, None)


def test_another_preprocessor_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    file = pinned(tmp_path, DOCUMENTS["ViT, squeezed"])
    pinned(tmp_path, DOCUMENTS["not normalised"])
    with pytest.raises(TidemillError, match="but the params ask for"):
        preprocessors.read(file)


def test_without_a_preprocessor_pictures_are_cut_as_before() -> None:
    table = pd.DataFrame({"image": pictures(), "label": ["a", "b", "a"]})
    spec = encoding.specify(iter([table]), encoding.Tokenize(size=[20, 30]), None)
    assert spec == {"labels": ["a", "b"], "outputs": 1, "shape": [20, 30, 3]}
