"""How the worker of `make deploy` starts a run: it takes the flow's parameters from the server, and never a command.

Prefect's server lets whoever may write to it name a run's command, environment and folder, and steps that come before
the flow. Here all of that comes from this folder's `prefect.yaml`, and a run that asks for anything else is refused.
"""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from prefect import Flow
from prefect.client.schemas.objects import FlowRun
from prefect.workers import process
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker
from pydantic import PrivateAttr

from tidemill.core.errors import TidemillError
from tidemill.core.params import read_yaml

if TYPE_CHECKING:
    from prefect.client.schemas.responses import DeploymentResponse

ROOT = Path(__file__).resolve().parents[1]
COMMAND = shlex.join([sys.executable, "-m", "prefect.engine"])
HARMLESS = "prefect.deployments.steps.set_working_directory"
"""The step that Prefect gives a deployment that has none: it is not run, as runs work in this folder."""


class OwnJob(ProcessJobConfiguration):
    """The job of a run, whatever the work pool's template, the deployment on the server or the run ask for."""

    _asked: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    async def from_template_and_values(
        cls, base_job_template: dict[str, Any], values: dict[str, Any], client: Any = None
    ) -> Self:
        """Return the job without looking at the template; what deployment and run ask for is checked with the run."""
        job = cls(command=COMMAND, working_dir=ROOT)
        job._asked = {name: value for name, value in values.items() if value}
        return job

    def prepare_for_flow_run(
        self, flow_run: FlowRun, deployment: "DeploymentResponse | None" = None, *rest: Any, **named: Any
    ) -> None:
        """Add what the process of this run needs.

        Raises:
            TidemillError: the run, or its deployment, is not one of `prefect.yaml`.
        """
        own = own_deployment(deployment)
        variables = own.get("work_pool", {}).get("job_variables", {})
        if self._asked != variables:
            raise TidemillError(
                f"refused: the run asks for the job variables {self._asked}, prefect.yaml has {variables} for {own['name']}"
            )
        self.env = dict(variables.get("env", {}))
        super().prepare_for_flow_run(flow_run, deployment, *rest, **named)
        self.env["PREFECT__FLOW_ENTRYPOINT"] = own["entrypoint"]  # the flow is loaded from here, after no other step


class OwnJobWorker(ProcessWorker):
    """Prefect's process worker with jobs of its own."""

    job_configuration = OwnJob

    @staticmethod
    def __dispatch_key__() -> str:
        return "tidemill"  # beside Prefect's own, which is known by its type

    async def setup(self) -> None:
        """Begin; hooks of a flow are left to its own process."""
        # to look for hooks, Prefect would load the flow in this process, and run the server's steps before
        setattr(process, "load_flow_from_flow_run", _without_hooks)  # noqa: B010
        await super().setup()


def own_deployment(deployment: "DeploymentResponse | None") -> dict[str, Any]:
    """Return what `prefect.yaml` says of a deployment.

    Raises:
        TidemillError: it is not there, or on the server it has another flow or steps that would run before it.
    """
    if deployment is None:
        raise TidemillError("refused: the run belongs to no deployment")
    declared: list[dict[str, Any]] = read_yaml(ROOT / "prefect.yaml")["deployments"]
    for own in declared:
        if (own["name"], own["entrypoint"]) == (deployment.name, deployment.entrypoint):
            steps = {name for step in deployment.pull_steps or () for name in step}
            if steps <= {HARMLESS}:
                return own
            raise TidemillError(
                f"refused: on the server {own['name']} has steps of its own: {', '.join(sorted(steps))}"
            )
    raise TidemillError(f"refused: prefect.yaml has no deployment {deployment.name} of {deployment.entrypoint}")


async def _without_hooks(flow_run: FlowRun) -> Flow[..., Any]:
    return Flow(lambda: None, name="without hooks")
