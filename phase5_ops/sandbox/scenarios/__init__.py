"""Named states of the sandbox platform: one module a section, `registry` for what a scenario is, `catalogue` for all of them.

Importing this package imports every module of the folder, which registers its own scenarios.
"""

from importlib import import_module
from pkgutil import iter_modules

#: Modules in the order in which their scenarios are listed; others of the folder come after these.
_ORDER = (
    "platform",
    "observed",
    "slo",
    "alarms",
    "breakers",
    "replay_audit",
    "replay_probes",
    "isolation",
    "audit_export",
    "function_roles",
    "logs",
    "autonomy",
    "changes",
    "costs",
    "reading",
)
for _name in dict.fromkeys((*_ORDER, *(module.name for module in iter_modules(__path__)))):
    import_module(f"{__name__}.{_name}")
