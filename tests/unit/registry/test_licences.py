"""Licences of what a version is made from: recorded in its lineage, and said in its model card."""

from pathlib import Path

from tidemill.registry import licences

PARAMS = """
sources:
  bars:
  - {from: ["npm:bars@1.0.0"], sha256: null, licence: ISC}
  - {from: ["npm:more-bars@1.0.0"], sha256: null, licence: MIT OR Apache-2.0}
  weights: [{from: ["pypi:weights==1"], sha256: null, licence: Apache-2.0}]
  others: [{from: ["pypi:others==1"], sha256: null, licence: GPL-3.0-only}]
"""
BLOCKS = {
    "source": {"path": "data/bars/train.csv", "format": "csv"},
    "model": {"name": "bert", "pretrained": {"path": "data/weights", "sha256": "0" * 64}, "layers": 2},
}


def lineage(file: Path, blocks: dict[str, object]) -> dict[str, object]:
    return {"params": blocks, "sources": licences.sources(blocks, file)}


def test_the_sources_that_a_system_names_are_recorded_with_their_licences(tmp_path: Path) -> None:
    (file := tmp_path / "params.yaml").write_text(PARAMS)
    found = licences.sources(BLOCKS, file)
    assert list(found) == ["data/bars", "data/weights"]
    assert found["data/weights"] == [{"from": ["pypi:weights==1"], "sha256": None, "licence": "Apache-2.0"}]
    assert licences.by_path(lineage(file, BLOCKS)) == {
        "data/bars": "ISC AND (MIT OR Apache-2.0)",
        "data/weights": "Apache-2.0",
    }


def test_data_of_no_source_have_no_licence_on_record(tmp_path: Path) -> None:
    (file := tmp_path / "params.yaml").write_text("systems: {}\n")
    own = lineage(file, {"source": {"path": "mine/a.csv"}})
    assert licences.by_path(own) == {"mine/a.csv": "not recorded"}
    card = licences.with_section("# bars\n\nA model.\n", own)
    assert card.startswith("# bars\n\nA model.\n\n## Licences") and card.endswith("| `mine/a.csv` | not recorded |\n")
