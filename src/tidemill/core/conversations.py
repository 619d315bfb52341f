"""Conversations: messages of roles, in one normal form as a text, so that a column, a hash and a request can hold them."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from tidemill.core import text

USER, ASSISTANT = "user", "assistant"
"""Roles of who asks and of who responds."""
Message = dict[str, str]
"""`role` and `content`."""


def written(messages: Sequence[Any]) -> str:
    """Return the normal form of messages: JSON, each content tidied.

    Args:
        messages: objects with `role` and `content`; what else they hold must be null.

    Raises:
        ValueError: there are none, or one is something else.
    """
    if not messages:
        raise ValueError("there are no messages")
    return json.dumps([_message(one) for one in messages], ensure_ascii=False)


def read(written: str) -> list[Message] | None:
    """Return the messages of a text in the normal form; None where it is another text."""
    if not written.startswith("["):
        return None
    try:
        found = json.loads(written)
        return [_message(one) for one in found] or None
    except (ValueError, RecursionError):
        return None


def whole(text: str) -> list[Message]:
    """Return the messages of a text: those of its normal form, or the text as the only one, by the user."""
    return read(text) or [{"role": USER, "content": text}]


def asked(text: str) -> list[Message]:
    """Return the messages of a text up to those that a response is due to: without a last response."""
    messages = whole(text)
    return messages[:-1] if messages[-1]["role"] == ASSISTANT else messages


def parts(text: str) -> list[tuple[str, bool]]:
    """Return the contents of a text, each with whether a model is to predict it; those of a conversation are its responses."""
    messages = read(text)
    return [(text, True)] if messages is None else [(one["content"], one["role"] == ASSISTANT) for one in messages]


def edited(text: str, edit: Callable[[str], str]) -> str:
    """Return an edited text; of a conversation, all but its responses is edited."""
    messages = read(text)
    if messages is None:
        return edit(text)
    changed = [one if one["role"] == ASSISTANT else one | {"content": edit(one["content"])} for one in messages]
    return json.dumps(changed, ensure_ascii=False)


def _message(given: Any) -> Message:
    if not isinstance(given, dict) or not all(isinstance(given.get(name), str) for name in ("role", "content")):
        raise ValueError("a message is no {role, content} of two texts")
    if others := sorted(name for name in given if name not in ("role", "content") and given[name] is not None):
        raise ValueError(f"a message has {others[0]}, which is neither role nor content")
    return {"role": given["role"], "content": text.tidied(given["content"])}
