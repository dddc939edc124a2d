"""The layer of the environment variables. Others than ours may begin like ours."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from scylla_store.settings.catalogue import PREFIX, Option
from scylla_store.settings.layers import Given, Layer
from scylla_store.settings.suggestions import did_you_mean, nearest

log = logging.getLogger(__name__)

FILE_VARIABLE = PREFIX + "SETTINGS_FILE"
TEST_PREFIX = PREFIX + "TEST_"

_SERVICE = re.compile(r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
_NEAR, _NEAR_SHORT = 0.7, 0.75


def from_environment(environ: Mapping[str, str], known: Mapping[str, Option]) -> Layer:
    """What the variables say.

    A name that is unknown is a problem when it is built like ours (`__` between section and name) or near to one of ours;
    Kubernetes' variables for Services named scylla-store… are neither, and others are ignored.
    """
    layer = Layer()
    by_variable = {option.variable: name for name, option in known.items()}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable == FILE_VARIABLE or variable.startswith(TEST_PREFIX):
            continue
        if variable in by_variable:
            layer.values[by_variable[variable]] = Given(environ[variable], variable)
        elif not is_of_kubernetes(variable, environ[variable]):
            layer.problems += _unknown(variable, known)
    return layer


def is_of_kubernetes(variable: str, value: str) -> bool:
    """Whether it is one of those that Kubernetes sets in each pod for each Service.

    https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    name = variable.removeprefix(PREFIX)
    if name == "PORT" or _SERVICE.fullmatch(name):
        return True
    return name.endswith("_PORT") and _ADDRESS.match(value) is not None


def _unknown(variable: str, known: Mapping[str, Option]) -> list[str]:
    name = variable.removeprefix(PREFIX)
    is_built_like_ours = "__" in name
    near = nearest(
        name.lower().replace("__", "."),
        [*known, "settings_file"],
        cutoff=_NEAR if is_built_like_ours else _NEAR_SHORT,
    )
    if near is None and not is_built_like_ours:
        log.info("%s is no option of scylla_store and is ignored.", variable)
        return []
    suggestion = FILE_VARIABLE if near == "settings_file" else known[near].variable if near else None
    return [f"{variable} is no option{did_you_mean(suggestion)}"]
