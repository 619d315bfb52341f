"""`model-card.md`: what a model is for, what it was made from and how far it can be trusted, by Hugging Face's headings.

Mitchell et al., Model Cards for Model Reporting, 2019.
"""

from pathlib import Path
from typing import Any

from tidemill.evaluation.facts import Facts, number, param, span, verdict, words

UNSAFE = str.maketrans({character: f"\\{character}" for character in "\\`*_[]|#"} | {"<": "&lt;", "\n": " "})


def render(facts: Facts) -> str:
    """The card, in Markdown with metadata on top; the same for the same model and test set."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # Markdown, not HTML: `plain` escapes what comes from the data
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"words": words, "number": number, "span": span, "param": param, "plain": plain}
    return environment.get_template("model-card.md.j2").render(_shown(facts))


def plain(text: Any) -> str:
    """Text of the data with whatever Markdown would take as markup made plain."""
    return str(text).translate(UNSAFE)


def _shown(facts: Facts) -> dict[str, Any]:
    by_class = facts.evaluation["per_class"]
    weakest = min(by_class, key=lambda name: by_class[name]["recall"]["value"]) if by_class else None
    return {
        "facts": facts,
        "evaluation": facts.evaluation,
        "metric": facts.evaluation["main_metric"],
        "percent": round(100 * facts.evaluation["confidence"]),
        "verdict": verdict(facts),
        "weakest": weakest,
    }
