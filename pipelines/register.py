"""Model, evaluation, gates and the champion → a version in the registry."""

from pipelines import artifacts, stage
from tidemill.core.files import write_json
from tidemill.core.params import read_system
from tidemill.registry.registration import register

NOT_OF_A_STAGE = ("sweep", "monitor")
"""Blocks of a system that no stage reads."""


@stage
def main(name: str) -> None:
    """Write `registration.json`."""
    folder = artifacts(name, "register")
    params = {block: value for block, value in read_system(name).items() if block not in NOT_OF_A_STAGE}
    registration = register(name, params, folder.parent)
    write_json(folder / "registration.json", registration)
    outcome = "is the challenger" if registration["passed"] else "did not pass its gates"
    print(f"{name}: version {registration['version']} {outcome}")
    for gate in registration["gates"]:
        print(f"  {'passed' if gate['passed'] else 'NOT PASSED'}: {gate['sentence']}")


if __name__ == "__main__":
    main()
