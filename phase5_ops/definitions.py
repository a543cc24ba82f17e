"""The stable entry of the code location: `defs`; of each environment of a list in PHASE5_CONFIG an attribute with its name.

Where the file lists environments, each has a code location of its own, in a process of its own, so that one that cannot be loaded
takes no other with it. There, `defs` is the environment that PHASE5_ENVIRONMENT names.
"""

import dagster as _dg

from phase5_ops.build import build_defs as _build_defs
from phase5_ops.settings import ConfigurationError as _ConfigurationError
from phase5_ops.settings import listed_environments as _listed_environments
from phase5_ops.settings import load_served_settings as _load_served_settings

_LISTED = _listed_environments()

if _LISTED is None:
    defs = _build_defs()


def __getattr__(name: str) -> _dg.Definitions:
    """The definitions of an environment of the list, made when Dagster asks for them; asked again, they are the same."""
    if _LISTED is None or name.startswith("_"):
        raise AttributeError(f"module {__name__} has no attribute {name}")
    if name != "defs" and name not in _LISTED:
        raise _ConfigurationError(f"no environment {name} in the list of PHASE5_CONFIG: it has {', '.join(_LISTED)}")
    made = _build_defs() if name == "defs" else _build_defs(settings=_load_served_settings(name))
    globals()[name] = made
    return made


def __dir__() -> list[str]:
    """What Dagster finds that looks for definitions without a name."""
    return ["defs"]
