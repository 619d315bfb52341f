"""The weights of a checkpoint, loaded by the library, which knows the names that its architectures had before."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers.utils import logging

from tidemill.core.errors import TidemillError

OPTIONAL = "pooler"
"""A part of the base that many checkpoints leave out, and that stays fresh."""


def loaded(architecture: Any, config: Any, found: dict[str, torch.Tensor]) -> Any:
    """Return a model of the library with these weights, in float32.

    A head that they lack, or that has another shape, is fresh.

    Raises:
        TidemillError: the base is not that of the config.
    """
    with _quiet():
        try:
            model, info = architecture.from_pretrained(
                None,
                config=config,
                state_dict=found,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        except (RuntimeError, ValueError) as error:
            raise TidemillError(f"model.checkpoint: {' '.join(str(error).split())}") from error
    missing = dict.fromkeys(info["missing_keys"], "is missing")
    unfit = missing | {name: f"has the shape {list(theirs)}" for name, theirs, _ in info["mismatched_keys"]}
    of_base = sorted(
        name for name in unfit if name.startswith(f"{architecture.base_model_prefix}.") and OPTIONAL not in name
    )
    if of_base:
        raise TidemillError(
            f"model.checkpoint holds weights of another model than its config: {of_base[0]} {unfit[of_base[0]]}"
        )
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library from reporting on what is checked here."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()
