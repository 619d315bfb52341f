"""The bill of materials of a version, in CycloneDX: the model, what its data and first weights are, and the packages."""

import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import TidemillError
from tidemill.registry.documents import read_object

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from packageurl import PackageURL

FILE = "bom.cdx.json"
PACKAGE_ADDRESS = re.compile(r"(?P<type>pypi|npm|deb):(?P<name>[^=]+?)(==|@|=)(?P<version>[^@=]+)")
Facts = tuple[str, str, frozenset[tuple[str, str]], str, frozenset[Any]]
"""Of a component: type, name, hashes, licence, and those of its own components."""


def write(lineage: dict[str, Any], folder: Path) -> None:
    """Write `bom.cdx.json` of the version that a lineage describes, made in this environment."""
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    text = make_outputter(_bom(lineage), OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def check(lineage: dict[str, Any], folder: Path) -> str:
    """Hold a version's bill of materials against its lineage; return what it lists.

    Raises:
        TidemillError: it cannot be read, or lists other data, weights or packages than the lineage records.
    """
    found = _read(folder / FILE)
    model = found.metadata.component
    if model is None or _facts(model) != _facts(_model(lineage)):
        raise TidemillError(f"{FILE} describes another model than the lineage")
    listed, made = _parts(found)
    recorded = {_facts(component) for component in _materials(lineage)}
    if unlike := sorted(fact[1] for fact in {_facts(component) for component in made} ^ recorded):
        raise TidemillError(f"{FILE} and the lineage differ in {unlike[0]}")
    installed = {str(component.name): component.version for component in listed}
    for package, version in lineage["environment"]["packages"].items():
        if installed.get(package) != version:
            raise TidemillError(f"{FILE} lists {package} {installed.get(package)}, and the lineage {version}")
    return f"{len(made)} components of data and weights as in the lineage, {len(listed)} packages"


def package_url(address: str) -> "PackageURL | None":
    """Return the package URL of a source's address, if it names a package."""
    from packageurl import PackageURL

    if (named := PACKAGE_ADDRESS.fullmatch(address)) is None:
        return None
    scope, _, name = named["name"].rpartition("/")
    return PackageURL(named["type"], "debian" if named["type"] == "deb" else scope or None, name, named["version"])


def _read(path: Path) -> "Bom":
    from cyclonedx.model.bom import Bom

    document = read_object(path, FILE)
    try:
        found: Bom = Bom.from_json(document)  # type: ignore[attr-defined]
    except Exception as error:  # the library's readers raise errors of many kinds
        raise TidemillError(f"{FILE} is no CycloneDX document: {type(error).__name__}") from error
    return found


def _bom(lineage: dict[str, Any]) -> "Bom":
    from cyclonedx.model.bom import Bom

    model = _model(lineage)
    bom = Bom(components=[*_materials(lineage), *_packages()])
    bom.metadata.component = model
    bom.register_dependency(model, bom.components)
    return bom


def _model(lineage: dict[str, Any]) -> "Component":
    from cyclonedx.model.component import ComponentType

    weights = {"sha256": lineage["weights_sha256"]}
    return _component(ComponentType.MACHINE_LEARNING_MODEL, str(lineage["system"]), weights, version=lineage["run_id"])


def _materials(lineage: dict[str, Any]) -> list["Component"]:
    """Return what the sources brought, and the tables that were made of it."""
    from cyclonedx.model.component import ComponentType

    tables = [
        _component(ComponentType.DATA, path, {"md5": value} if algorithm == "md5" and "." not in value else {})
        for path, digest in lineage["data"].items()
        if path not in lineage["sources"]
        for algorithm, _, value in [digest.partition(":")]
    ]
    weights = (lineage["params"].get("model") or {}).get("pretrained") or {}
    first = Path(str(weights.get("path", ""))) if isinstance(weights, dict) else Path()
    return tables + [
        _downloaded(
            f"{folder}#{number}" if len(downloads) > 1 else folder,
            download,
            ComponentType.MACHINE_LEARNING_MODEL if first.is_relative_to(folder) else ComponentType.DATA,
        )
        for folder, downloads in lineage["sources"].items()
        for number, download in enumerate(downloads, start=1)
    ]


def _downloaded(name: str, download: dict[str, Any], kind: Any) -> "Component":
    from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri

    url = package_url(download["from"][0])
    members = (download.get("members") or {}).items()
    return _component(
        kind,
        name,
        {"sha256": download.get("sha256")},
        licence=download.get("licence"),
        version=url.version if url else None,
        purl=url,
        external_references=[
            ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(address))
            for address in download["from"]
        ],
        components=[_component(kind, f"{name}/{file}", {"sha256": one["sha256"]}) for file, one in members],
    )


def _packages() -> list["Component"]:
    """Return the Python packages that are installed, each once."""
    from cyclonedx.model.component import ComponentType
    from packageurl import PackageURL

    found = {one.name.lower().replace("_", "-"): one for one in metadata.distributions()}
    return [
        _component(
            ComponentType.LIBRARY, name, {}, version=one.version, purl=PackageURL("pypi", None, name, one.version)
        )
        for name, one in sorted(found.items())
    ]


def _component(
    kind: Any, name: str, hashes: dict[str, str | None], licence: str | None = None, **more: Any
) -> "Component":
    """Make a component; hashes by the name of their algorithm, those that are not known left out."""
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashType
    from cyclonedx.model.component import Component

    return Component(
        type=kind,
        name=name,
        bom_ref=f"{kind.value}:{name}",
        hashes=[HashType.from_hashlib_alg(algorithm, value) for algorithm, value in hashes.items() if value],
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        **more,
    )


def _parts(bom: "Bom") -> tuple[list["Component"], list["Component"]]:
    """Return the packages, and everything else."""
    from cyclonedx.model.component import ComponentType

    packages = [component for component in bom.components if component.type == ComponentType.LIBRARY]
    return packages, [component for component in bom.components if component.type != ComponentType.LIBRARY]


def _facts(component: "Component") -> Facts:
    return (
        component.type.value,
        str(component.name),
        frozenset((one.alg.value, str(one.content)) for one in component.hashes),
        " AND ".join(sorted(map(_licence, component.licenses))),
        _all_facts(component.components),
    )


def _all_facts(components: Iterable["Component"]) -> frozenset[Facts]:
    return frozenset(map(_facts, components))


def _licence(found: Any) -> str:
    """Return a licence as one text, be it an id, a name or an expression."""
    from cyclonedx.model.license import DisjunctiveLicense

    return str(found.id or found.name) if isinstance(found, DisjunctiveLicense) else str(found.value)
