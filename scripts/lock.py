"""Regenerate the four hash-checked lock files from pyproject.toml; `--upgrade` lets pins move.

uv.lock    the installer of the rest
torch.lock torch alone, with the hashes of the registry's build and of a CPU build, if this machine has one
cuda.lock  packages that the registry's build of torch needs
base.lock  all others
"""

import re
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "requirements"
LOCKS = ("uv", "torch", "cuda", "base")
COMPILE = "pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --no-annotate"


def main() -> None:
    """Compile once, then distribute the packages to the lock files."""
    blocks = compiled(constraints="" if "--upgrade" in sys.argv else "\n".join(pins()))
    packages: dict[str, list[str]] = {lock: [] for lock in LOCKS}
    for block in blocks:
        packages[lock_of(block)].append(block)
    packages["torch"] = [with_cpu_build(block) for block in packages["torch"]]
    for lock, lines in packages.items():
        (FOLDER / f"{lock}.lock").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{lock}.lock: {len(lines)} packages")


def pins() -> list[str]:
    """Return `name==version` of every locked package."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.lock")))
    return re.findall(r"^[\w.-]+==[^\s;\\]+", text, re.MULTILINE)


def compiled(constraints: str) -> list[str]:
    """Return one block of text for each package, with its hashes."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(constraints)
        file.flush()
        command = [sys.executable, "-m", "uv", *COMPILE.split(), "--no-header", "--quiet", "--constraint", file.name]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.findall(r"^[^\s#].*(?:\n +.*)*", text, re.MULTILINE)


def lock_of(block: str) -> str:
    """Return the lock file that a package belongs to, by its name."""
    name = re.split(r"[=\s;]", block)[0]
    if name in LOCKS:
        return name
    return "cuda" if name.startswith(("nvidia-", "cuda-")) or name == "triton" else "base"


def with_cpu_build(block: str) -> str:
    """Add the hashes of CPU builds: those locked before for this version, and that of this machine's pip, if any."""
    version = block.split()[0]
    before = (FOLDER / "torch.lock").read_text(encoding="utf-8")
    hashes = re.findall(r"sha256:(\w+)", before) if version in before else []
    with tempfile.TemporaryDirectory() as folder:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-index", "--no-deps", "--dest", folder]
        subprocess.run([*download, version], check=False, capture_output=True)
        hashes += [sha256(wheel.read_bytes()).hexdigest() for wheel in Path(folder).glob("*.whl")]
    new = [digest for digest in dict.fromkeys(hashes) if digest not in block]
    return " \\\n".join([block, *(f"    --hash=sha256:{digest}" for digest in new)])


if __name__ == "__main__":
    main()
