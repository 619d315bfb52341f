"""Any architecture of Hugging Face's `transformers` that fits the task: a checkpoint by name, or its config alone."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tidemill.core.spec import Kind
from tidemill.models.common.params import ModelParams
from tidemill.models.common.pretrained import Checkpoint
from tidemill.models.transformers.lora import Lora

ACCEPTS: tuple[Kind, ...] = (
    ("tokens", "labels"),
    ("token windows", "span"),
    ("tokens", "next token"),
    ("pixels", "labels"),
    ("tokens", "number"),
    ("pixels", "number"),
)
SOLVED = False


class Params(ModelParams):
    """A network of the library. Its tokenizer or preprocessor is named in `tokenize`."""

    name: Literal["transformers"]
    checkpoint: Checkpoint | None = None
    """The published model to begin with; null trains the network of `config` from scratch."""
    config: dict[str, Any] = Field(default={})
    """Values in place of those in the checkpoint's `config.json`, by the library's names; one with `model_type` takes the
    place of the whole file."""
    unfreeze: Annotated[int, Field(ge=0)] | Literal["all"] = "all"
    """Blocks of the base that are trained, counted from its end, with all that follows them; 0 trains the head alone, for
    pictures on features that are computed once and cached."""
    lora: Lora | None = None
    """Adapters that are trained instead of the base; null trains its weights themselves."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.checkpoint is None and "model_type" not in self.config:
            raise ValueError("name a checkpoint, or a config with model_type")
        if self.pretrained is None and self.unfreeze != "all":
            raise ValueError(
                "a base without weights must be trained: set unfreeze to all, or name those of a checkpoint"
            )
        if self.lora is not None and (self.pretrained is None or self.unfreeze != "all"):
            raise ValueError("lora needs a checkpoint with weights, and freezes these by itself: leave out unfreeze")
        return self

    @property
    def pretrained(self) -> Checkpoint | None:
        """The checkpoint, if it has weights."""
        return self.checkpoint if self.checkpoint is not None and self.checkpoint.weights else None

    def unfit(self, kind: Kind) -> str | None:
        """Return why the architecture cannot do such a task, or cannot be used at all.

        Raises:
            TidemillError: the checkpoint's config is not the pinned one, or is damaged.
        """
        from tidemill.models.transformers import configs

        document = configs.at_hand(self)
        return None if document is None else configs.unfit(document, kind)
