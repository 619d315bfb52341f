"""The raw data in DVC: `data.dvc` pins `data/`, and DVC's cache keeps its bytes."""

from pathlib import Path

from tidemill.repository.dvc import dvc


def keep(data: Path) -> None:
    """Add `data/` to DVC's cache if it is what `data.dvc` next to it pins; otherwise report that and keep the pin.

    Without this, DVC would report fetched data as missing from its cache, and could not push it.
    """
    pin = data.with_suffix(".dvc")
    if not pin.is_file():
        return
    done = dvc(
        "commit", "--quiet", pin.name, folder=pin.parent
    )  # without --force: only bytes that have the pinned hash
    if done.returncode:
        print(
            f"{data} differs from what {pin} pins: `dvc status {pin}` shows how, `dvc add {data}` updates the pin",
            flush=True,
        )
