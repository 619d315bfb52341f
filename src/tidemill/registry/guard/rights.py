"""The rights an account may hold, as MLflow's basic-auth store knows them."""

from dataclasses import dataclass
from enum import Enum


class Right(Enum):
    """What an account needs, from least to most."""

    PUBLIC = "no account"
    READ = "an account; MLflow itself answers only with what the account may read"
    EDIT = "EDIT on the resource"
    MANAGE = "MANAGE on the resource"
    ADMIN = "an administrator"


@dataclass(frozen=True)
class Resource:
    """What a right is held on."""

    kind: str
    """`registered_model`, `experiment` or `server`."""
    key: str = ""
    """The name of a model, the id of an experiment."""


SERVER = Resource("server")


def holds(account: str, right: Right, resource: Resource) -> bool:
    """Whether an account holds a right; an administrator holds all of them."""
    from mlflow.server import auth

    if right in (Right.PUBLIC, Right.READ) or auth.store.get_user(account).is_admin:
        return True
    permissions = {
        "registered_model": auth._graphql_get_permission_for_model,
        "experiment": auth._graphql_get_permission_for_experiment,
    }
    if right is Right.ADMIN or resource.kind not in permissions:
        return False
    permission = permissions[resource.kind](resource.key, account)
    return bool(permission.can_manage if right is Right.MANAGE else permission.can_update)
