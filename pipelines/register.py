"""Model, evaluation, gates and the champion → a version in the registry."""

from pipelines import artifacts, stage
from tidemill.config import load_system
from tidemill.files import write_json
from tidemill.registry.registration import register


@stage
def main(name: str) -> None:
    """Write `registration.json`."""
    folder = artifacts(name, "register")
    registration = register(name, load_system(name), folder.parent)
    write_json(folder / "registration.json", registration)
    outcome = "is the challenger" if registration["passed"] else "did not pass its gates"
    print(f"{name}: version {registration['version']} {outcome}")
    for gate in registration["gates"]:
        print(f"  {'passed' if gate['passed'] else 'NOT PASSED'}: {gate['sentence']}")


if __name__ == "__main__":
    main()
