"""Conversations as tokens: a chat template writes them as one text, and what it adds for a response is the response.

ChatTemplates are the Jinja text that checkpoints come with, rendered by `transformers` itself, in its sandbox. Tokens that a
template writes are those of the tokenizer; in a message the same characters are text like any other.
"""

import json
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tidemill.core.conversations import ASSISTANT, USER, Message
from tidemill.core.errors import TidemillError
from tidemill.core.params import Params, Sha256
from tidemill.core.pinned import PinnedFile, pinned
from tidemill.core.spec import ChatTemplate

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PLAIN = (
    "{% for message in messages %}{{ message.role + ':\\n' + message.content }}"
    "{{ eos_token if message.role == 'assistant' else '\\n\\n' }}{% endfor %}"
    "{{ 'assistant:\\n' if add_generation_prompt else '' }}"
)
"""The template of tokenizers that come with none: the role on a line, the content below it, and after a response the token
between texts."""
CONFIG, JINJA = "tokenizer_config.json", "chat_template.jinja"
PROBE: list[Message] = [{"role": USER, "content": "a"}, {"role": ASSISTANT, "content": "b"}]
"""A conversation on which a template is tried."""
DATE = "26 Jul 2024"
"""What templates write as today's date if they can be told: the same rows are to give the same tokens on every day."""


class Chat(Params):
    """The chat template of a published checkpoint."""

    path: str = Field(min_length=1)
    """A folder in Hugging Face's layout, or else an id of its Hub (`owner/name`, `owner/name@revision`)."""
    sha256: dict[str, Sha256]
    """The hash of each file that is read: `tokenizer_config.json`, which names the special tokens, `chat_template.jinja`,
    or both."""

    @model_validator(mode="after")
    def _files_are_known(self) -> Self:
        if not self.sha256 or set(self.sha256) - {CONFIG, JINJA}:
            raise ValueError(f"name the hash of {CONFIG}, of {JINJA}, or of both, and of no other file")
        return self


def plain(end: str) -> ChatTemplate:
    """Return our own template.

    Args:
        end: the token between texts.
    """
    return {"jinja": PLAIN, "tokens": {"eos_token": end}}


def published(chat: Chat, end: str) -> ChatTemplate:
    """Return the template of a checkpoint.

    Raises:
        TidemillError: a file is missing or is not the pinned one, or none holds a template.
    """
    files = {name: pinned(PinnedFile(path=chat.path, sha256=sha256), (name,)) for name, sha256 in chat.sha256.items()}
    config: dict[str, Any] = json.loads(files[CONFIG].read_text(encoding="utf-8")) if CONFIG in files else {}
    jinja = files[JINJA].read_text(encoding="utf-8") if JINJA in files else _default(config.get("chat_template"))
    if jinja is None:
        raise TidemillError(f"{chat.path}/{CONFIG} has no chat_template: pin the {JINJA} beside it as well")
    tokens = {name: token for name, value in config.items() if name.endswith("_token") and (token := _content(value))}
    return {"jinja": jinja, "tokens": {"eos_token": end} | tokens}


def encoded(
    tokenizer: "Tokenizer", messages: list[Message], template: ChatTemplate, end: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Return the tokens (T,) of a conversation, and which of them are those of a response, up to the `end` after it.

    Raises:
        TidemillError: the template cannot write it, or writes a response in another way than after its prompt.
    """
    whole = _tokens(tokenizer, messages, template)
    counted = np.zeros(len(whole), np.uint8)
    for place, message in enumerate(messages):
        if message["role"] == ASSISTANT:
            first = _shared(whole, _tokens(tokenizer, messages[:place], template, responds=True))
            last = _shared(whole, _tokens(tokenizer, messages[: place + 1], template))
            stop = whole.index(end, first, last) + 1 if end in whole[first:last] else last
            counted[first:stop] = 1
    return np.array(whole, np.uint32), counted


def prompt(tokenizer: "Tokenizer", messages: list[Message], template: ChatTemplate) -> list[int]:
    """Return the tokens after which a response to the messages begins.

    Raises:
        TidemillError: the template cannot write them.
    """
    return _tokens(tokenizer, messages, template, responds=True)


def check(tokenizer: "Tokenizer", template: ChatTemplate, end: int) -> None:
    """Check on a small conversation that the template ends a response with a token, and leaves its prompt as it was.

    Raises:
        TidemillError: it does not, or cannot be rendered.
    """
    tokens, counted = encoded(tokenizer, PROBE, template, end)
    if end not in tokens[counted == 1]:
        last = tokenizer.id_to_token(int(tokens[counted == 1][-1])) if counted.any() else "nothing"
        raise TidemillError(
            f"tokenize.end: the chat template ends a response with {last}, and not with {tokenizer.id_to_token(end)}"
        )


def _shared(whole: list[int], part: list[int]) -> int:
    """Return how many tokens begin both; the last of the part may have grown into one with what follows.

    Raises:
        TidemillError: earlier ones differ.
    """
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(whole, part, strict=False)))
    if shared < len(part) - 1:
        raise TidemillError("the chat template writes a response in another way than after its prompt: use another one")
    return shared


def _tokens(
    tokenizer: "Tokenizer", messages: list[Message], template: ChatTemplate, responds: bool = False
) -> list[int]:
    from jinja2 import TemplateError

    theirs = _library(tokenizer, template["jinja"], tuple(sorted(template["tokens"].items())))
    try:
        found: list[int] = theirs.apply_chat_template(
            messages,
            add_generation_prompt=responds,
            return_dict=False,
            sanitize_control_tokens=True,
            date_string=DATE,
        )
    except (TemplateError, ValueError, TypeError) as error:
        roles = ", ".join(message["role"] for message in messages) or "no message"
        raise TidemillError(f"the chat template cannot write {roles}: {' '.join(str(error).split())}") from error
    return found


@lru_cache(maxsize=2)
def _library(tokenizer: "Tokenizer", jinja: str, tokens: tuple[tuple[str, str], ...]) -> Any:
    """Return a tokenizer of the library, made of ours and a template."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=jinja, **dict(tokens))


def _default(given: Any) -> str | None:
    """Return the template of a `tokenizer_config.json`, which may be one of several with names."""
    if isinstance(given, list):
        return next((str(one["template"]) for one in given if one.get("name") == "default"), None)
    return given if isinstance(given, str) else None


def _content(value: Any) -> str | None:
    """Return a special token, which may be an object with its content."""
    found = value.get("content") if isinstance(value, dict) else value
    return found if isinstance(found, str) else None
