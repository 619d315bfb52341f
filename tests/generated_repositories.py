"""DVC repositories drawn at random, for holding the flow against a serial `dvc repro`: each mixes what DVC's files can say."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.dvc_repositories import DVC, DvcRepository

IGNORED = (None, b"# ours\r\n/other\r\n", b"# \xe4hren\n/other", b"*.tmp\n\n!kept.tmp\n")
"""What `.gitignore` holds before a run: nothing, CRLF, no UTF-8, a rule taken back."""
PARAMS = {
    "params.yaml": "rate: {seed}\nsystems: [one, two]\nsubsystems: {{deep: [1, null]}}\n",
    "more.toml": "rate = {seed}\n[deep]\nvalue = 'x'\n",
    "more.json": '{{"rate": {seed}, "deep": {{"value": [1, 2]}}}}\n',
    "more.py": "rate = {seed}\n\n\nclass Deep:\n    value = 1\n",
}

Stage = dict[str, Any]


class Drawn:
    """The files of one repository, the same for the same number, and how to change them."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)
        self.git = self._random.random() < 0.8
        self.below = "project/inner" if self._random.random() < 0.3 else ""
        self._ignored = self._random.choice(IGNORED)
        self._sources = ["seed", "added", "imported"]
        self._kept: list[str] = []
        self._pipelines: dict[str, dict[str, Stage]] = {"": {}, "sub": {}}
        kinds = self._random.sample(list(KINDS), len(KINDS))
        for place, kind in enumerate(kinds[: self._random.randint(6, len(kinds))]):
            name = f"{kind.__name__.strip('_')}{place}"
            folder = "sub" if self._random.random() < 0.2 and kind not in NEED_THE_TOP else ""
            self._pipelines[folder][name] = kind(self, name, "../" if folder else "")

    def make(self, repository: DvcRepository) -> None:
        """Write the files into a repository that was made for it."""
        if self._ignored is not None:
            (repository.folder / ".gitignore").write_bytes(self._ignored)
        repository.write("seed", "corn\n")
        repository.write("added", "barley\n")
        repository.command(str(DVC), "add", "--quiet", "added")
        (repository.folder.parent / "outside").write_text("far\n")
        repository.command(str(DVC), "import-url", "--quiet", "../outside", "imported")
        (repository.folder / "inner").mkdir()
        for name in self._kept:
            repository.write(name, "kept\n")
        self._write_params(repository, 1)
        repository.write("vars.yaml", "word: rye\n")
        for folder, stages in self._pipelines.items():
            if stages:
                top: dict[str, Any] = {} if folder else {"vars": ["vars.yaml", {"letters": ["a", "b"]}]}
                text = yaml.safe_dump(top | {"stages": stages}, sort_keys=False)
                repository.write(str(Path(folder, "dvc.yaml")), text)

    def change(self, repository: DvcRepository, how: int) -> None:
        """Change the source, the params, or a word that commands are made of."""
        if how == 0:
            repository.write("seed", "oats\n")
        elif how == 1:
            self._write_params(repository, 2)
        else:
            repository.write("vars.yaml", "word: millet\n")

    def _write_params(self, repository: DvcRepository, seed: int) -> None:
        for name, text in PARAMS.items():
            repository.write(name, text.format(seed=seed))

    def source(self) -> str:
        """Return a file that a stage may read."""
        return self._random.choice(self._sources)

    def makes(self, *targets: str) -> None:
        """Let stages that follow read what this one makes, where their pipeline is the one at the top."""
        self._sources += targets

    def keeps(self, name: str) -> None:
        """Have an output there from the beginning: DVC asks for that of a frozen stage."""
        self._kept.append(name)

    def one_of(self, *choices: Any) -> Any:
        """Return one of them."""
        return self._random.choice(choices)


def plain(drawn: Drawn, name: str, up: str) -> Stage:
    source = up + drawn.source()
    if not up:
        drawn.makes(name)
    return {"cmd": f"cat {source} > {name}", "deps": [source], "outs": [name]}


def frozen(drawn: Drawn, name: str, up: str) -> Stage:
    drawn.keeps(name if not up else f"sub/{name}")
    return {**plain(drawn, name, up), "frozen": drawn.one_of(True, False)}


def always(drawn: Drawn, name: str, up: str) -> Stage:
    return {**plain(drawn, name, up), "always_changed": True}


def commands(drawn: Drawn, name: str, up: str) -> Stage:
    stage = plain(drawn, name, up)
    return {**stage, "cmd": [stage["cmd"], f"echo 'and: {{more}}' >> {name}"]}


def each(drawn: Drawn, name: str, up: str) -> Stage:
    source = up + drawn.source()
    do = {"cmd": f"cat {source} > {name}.${{item}}", "deps": [source], "outs": [f"{name}.${{item}}"]}
    return {"foreach": drawn.one_of(["x", "{y}", "z w"], "${letters}", [1, 2]), "do": _quoted(do)}


def mapped(drawn: Drawn, name: str, up: str) -> Stage:
    do = {"cmd": f"echo ${{item.how}} > {name}.${{key}}", "outs": [f"{name}.${{key}}"], "desc": "${key}"}
    return {"foreach": {"x": {"how": "much"}, "007": {"how": "long"}}, "do": do}


def matrix(drawn: Drawn, name: str, up: str) -> Stage:
    out = f"{name}.${{item.a}}.${{item.b}}"
    return {"matrix": {"a": ["p", "q"], "b": [1, 2]}, "cmd": f"echo x > {out}", "deps": [up + "seed"], "outs": [out]}


def word(drawn: Drawn, name: str, up: str) -> Stage:
    drawn.makes(name)
    return {"cmd": f"echo ${{word}} > {name}", "outs": [name]}


def folder(drawn: Drawn, name: str, up: str) -> Stage:
    source = up + drawn.source()
    make = f"mkdir -p {name} && cat {source} > {name}/one && echo x > {name}/two"
    return {"cmd": make, "deps": [source], "outs": [{name: {"cache": drawn.one_of(True, False)}}]}


def persist(drawn: Drawn, name: str, up: str) -> Stage:
    return {"cmd": f"echo x >> {name}", "deps": [up + drawn.source()], "outs": [{name: {"persist": True}}]}


def uncached(drawn: Drawn, name: str, up: str) -> Stage:
    stage = plain(drawn, name, up)
    return {**stage, "outs": [{name: {"cache": False}}]}


def params(drawn: Drawn, name: str, up: str) -> Stage:
    file = drawn.one_of(*PARAMS)
    wanted = drawn.one_of(["rate"], None) if file.endswith((".json", ".toml")) else ["rate"]
    return {"cmd": f"echo {file} > {name}", "params": [{up + file: wanted}], "outs": [name]}


def metrics(drawn: Drawn, name: str, up: str) -> Stage:
    text = json.dumps({"accuracy": 0.5})
    more: Stage = {"metrics": [{f"{name}.json": {"cache": False}}], "plots": [{f"{name}.csv": {"x": "step"}}]}
    return {"cmd": f"echo '{text}' > {name}.json; echo step > {name}.csv", "deps": [up + drawn.source()], **more}


def elsewhere(drawn: Drawn, name: str, up: str) -> Stage:
    return {"wdir": "inner", "cmd": f"cat ../seed > {name}", "deps": ["../seed"], "outs": [name]}


def callback(drawn: Drawn, name: str, up: str) -> Stage:
    return {"cmd": "echo x >> calls"}


def braces(drawn: Drawn, name: str, up: str) -> Stage:
    return {"cmd": f"echo x > '{{{name}}}'", "deps": [up + "seed"], "outs": [f"{{{name}}}"], "meta": {"any": ["thing"]}}


KINDS: tuple[Callable[[Drawn, str, str], Stage], ...] = (
    plain,
    frozen,
    always,
    commands,
    each,
    mapped,
    matrix,
    word,
    folder,
    persist,
    uncached,
    params,
    metrics,
    elsewhere,
    callback,
    braces,
)
NEED_THE_TOP = (each, word, elsewhere)
"""They use the variables or the folders of the pipeline at the top."""


def _quoted(do: Stage) -> Stage:
    """Quote what the shell would cut at a space or take for a pattern."""
    command, _, target = do["cmd"].partition(" > ")
    return {**do, "cmd": f"{command} > '{target}'"}
