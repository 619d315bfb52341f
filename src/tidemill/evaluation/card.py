"""`model-card.md`: intended use, limitations, data, training, evaluation and lineage, under Hugging Face's headings.

Mitchell et al., Model Cards for Model Reporting, 2019.
"""

from pathlib import Path
from typing import Any

from tidemill.evaluation import membership, recitation
from tidemill.evaluation.results import Results, number, param, span, verdict, words

UNSAFE = str.maketrans({character: f"\\{character}" for character in "\\`*_[]|#"} | {"<": "&lt;", "\n": " "})


def render(results: Results) -> str:
    """Render the card as Markdown with metadata on top; the same for the same model and test set."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # Markdown, not HTML: `plain` escapes what comes from the data
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"words": words, "number": number, "span": span, "param": param, "plain": plain}
    return environment.get_template("model-card.md.j2").render(_shown(results))


def plain(text: Any) -> str:
    """Escape text of the data so that Markdown takes none of it as markup."""
    return str(text).translate(UNSAFE)


def _shown(results: Results) -> dict[str, Any]:
    by_class = results.evaluation["per_class"]
    weakest = min(by_class, key=lambda name: by_class[name]["recall"]["value"]) if by_class else None
    return {
        "results": results,
        "evaluation": results.evaluation,
        "metric": results.evaluation["main_metric"],
        "percent": round(100 * results.evaluation["bootstrap"]["confidence"]),
        "verdict": verdict(results),
        "weakest": weakest,
        "remembered": membership.named(results.evaluation["membership"]),
        "recited": recitation.named(results.evaluation["recitation"]),
        "worst_first": results.sign < 0,
    }
