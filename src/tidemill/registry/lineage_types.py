"""The types of a lineage's parts, as one of any schema has them once it is upgraded."""

from typing import Any

from pydantic import BaseModel, Field


class Item(BaseModel):
    """What a stage read or wrote; the hash is named as its algorithm."""

    path: str
    hash: str | None = None
    md5: str | None = None


class Stage(BaseModel):
    """An entry of `dvc.lock`."""

    deps: list[Item] = []
    outs: list[Item] = []
    params: dict[str, Any] = {}


class Member(BaseModel):
    """A file taken out of an archive."""

    path: str
    sha256: str


class Download(BaseModel):
    """An entry of `sources:` in `params.yaml`."""

    from_: list[str] = Field(alias="from")
    sha256: str | None = None
    licence: str | None = None
    members: dict[str, Member] | None = None


class Code(BaseModel):
    """Where the code is from."""

    commit: str | None
    dirty: bool | None
    diff: str | None
    untracked: dict[str, str | None]
    experiment: str | None


class Dvc(BaseModel):
    """What DVC recorded."""

    lock_sha256: str | None
    stages: dict[str, Stage]


class Environment(BaseModel):
    """What it was made with."""

    locks: dict[str, str]
    python: str | None
    platform: str | None
    machine: str | None
    processor: str | None
    packages: dict[str, str]


class TestSet(BaseModel):
    """What it was measured on."""

    sha256: str | None
    rows: int | None


class Lineage(BaseModel):
    """The whole document."""

    schema_version: int | None
    system: str | None
    code: Code
    dvc: Dvc
    data: dict[str, str]
    sources: dict[str, list[Download]]
    params: dict[str, Any]
    environment: Environment
    seeds: dict[str, int]
    determinism: str | None
    tolerance: float | None
    device: str | None
    privacy: dict[str, Any] | None
    weights_sha256: str | None
    test_set: TestSet
    run_id: str | None
    parent_run_id: str | None
    flow_run_id: str | None
