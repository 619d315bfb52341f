"""Whether a request is allowed by the table."""

from tidemill.registry.guard.requests import Request
from tidemill.registry.guard.rights import Right, holds
from tidemill.registry.guard.table import TABLE, Allowed

FORBIDDEN = "Permission denied"
"""As MLflow says it."""


def is_allowed(request: Request) -> bool:
    """Whether one line of the table allows a request.

    Raises:
        MlflowException: it names a run, an experiment or a version that does not exist.
    """
    return any(_allows(line, request) for line in TABLE if line.route == request.route)


def _allows(line: Allowed, request: Request) -> bool:
    if line.right is Right.PUBLIC:
        return True
    if not request.account:
        return False
    resource = line.on(request)
    return resource is not None and line.provided(request) and holds(request.account, line.right, resource)
