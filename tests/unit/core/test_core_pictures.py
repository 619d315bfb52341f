"""Pictures as they come: the bytes of a file, base64 in a request, or values."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tidemill.core.errors import TidemillError
from tidemill.core.pictures import decoded, from_input

VALUES = np.arange(12, dtype=np.uint8).reshape(3, 4)


def encoded() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(VALUES).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("given", [encoded(), base64.b64encode(encoded()).decode(), VALUES, VALUES.tolist()])
def test_every_form_of_a_picture_decodes_to_the_same(given: Any) -> None:
    assert np.array_equal(np.asarray(decoded(from_input(given))), VALUES)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("no base64!", "is not the base64 of a picture"),
        (None, "not a picture: 'None'"),
        (3.5, "not a picture"),
        ([[1, 2], [3]], "not a picture"),
        ([[1, 300]], "values from 0 to 255"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(given: Any, message: str) -> None:
    with pytest.raises(TidemillError, match=message) as error:
        from_input(given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"text", encoded()[:50]])
def test_damaged_pictures_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a readable picture"):
        decoded(content)


def test_a_picture_that_unpacks_to_too_much_is_refused() -> None:
    stream = io.BytesIO()
    Image.new("1", (20_000, 4_000)).save(stream, "PNG")
    with pytest.raises(ValueError, match="20000x4000 pixels is too large"):
        decoded(stream.getvalue())
