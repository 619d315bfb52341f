"""Changes of texts and pictures: they change what they name, and nothing else."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import ValidationError

from tidemill.tasks.common.probes import texts
from tidemill.tasks.common.probes.params import PictureProbeParams, TextProbeParams
from tidemill.tasks.common.probes.probe import Edit
from tidemill.tasks.image_classification.probes import probes


def edit(**params: object) -> Edit:
    return texts.edit_of(TextProbeParams.model_validate({"name": "own"} | params))


@pytest.mark.parametrize(
    ("params", "text", "becomes"),
    [
        ({"replace": {"he": "she", "she": "he"}}, "he saw the shed; she left", "she saw the shed; he left"),
        ({"replace": {"喜欢": "不喜欢", "不喜欢": "不喜欢"}}, "我喜欢，他不喜欢", "我不喜欢，他不喜欢"),
        ({"replace": {"U.S.": "UK"}}, "in the U.S. today", "in the UK today"),
        ({"prepend": "No! ", "append": "?"}, "yes", "No! yes?"),
        ({"replace": {"no": "yes"}, "append": "!"}, "knob", "knob"),
    ],
    ids=["whole words, swapped", "Chinese, the longest first", "ends in a sign", "around", "nothing to replace"],
)
def test_texts(params: dict[str, object], text: str, becomes: str) -> None:
    assert edit(**params)(text) == becomes


def test_rows_that_stay_are_left_out_and_the_others_keep_their_place() -> None:
    rows = pd.DataFrame({"text": ["a b", "ab", "b c"]}, index=[7, 8, 9])
    changed = texts.edited(["text"], texts.forms_of_text()["white space"])(rows.assign(text=rows["text"]))
    assert changed.index.tolist() == [7, 8, 9]
    assert texts.edited(["text"], str.lower)(rows).empty
    assert texts.edited(["text"], lambda text: text.replace(" ", ""))(rows).index.tolist() == [7, 9]


@pytest.mark.parametrize(("text", "without"), [("Yes!?\n", "Yes"), ("好。", "好"), ("…", "…"), ("a.b", "a.b")])
def test_final_punctuation(text: str, without: str) -> None:
    assert texts.forms_of_text()["no final punctuation"](text) == without


@pytest.mark.parametrize("wrong", [{"append": "x", "raises": "a", "lowers": "b"}, {"lowers": "b"}, {"appendix": "x"}])
def test_params_that_say_nothing_or_too_much_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TextProbeParams.model_validate({"name": "own"} | wrong)


def changed(picture: np.ndarray, **params: object) -> np.ndarray:
    probe = probes({"labels": ["a"]}, [PictureProbeParams.model_validate({"name": "own"} | params)]).probes[-1]
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    (found,) = probe.change(pd.DataFrame({"image": [buffer.getvalue()]}))["image"]
    return np.asarray(Image.open(io.BytesIO(found)))


def test_pictures() -> None:
    picture = np.arange(40, dtype=np.uint8).reshape(4, 10) * 5
    assert np.array_equal(changed(picture, mirror=True), picture[:, ::-1])
    assert np.array_equal(changed(picture, brightness=0.5), picture // 2)
    assert np.array_equal(changed(picture, shift=0.2)[1:, 2:], picture[:-1, :-2])
    assert np.array_equal(changed(picture, shift=0.2)[0, :3], picture[[0], [0]].repeat(3)), "the edge is stretched"
    assert np.array_equal(changed(picture, shift=-0.2)[:-1, :-2], picture[1:, 2:])
    assert np.array_equal(changed(picture, cover=0.25), np.vstack([picture[:3], np.zeros((1, 10))]))
    assert np.array_equal(changed(picture.repeat(2, 0), rotation=180.0), picture.repeat(2, 0)[::-1, ::-1])
