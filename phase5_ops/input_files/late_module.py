"""Modules that take long to load and make large work fast: loaded once there is enough of it. Pure."""

import importlib
import logging
import threading
from types import ModuleType

_LOG = logging.getLogger(__name__)


class LateModule:
    """A module that is loaded once so much work was done that it is worth it; safe to use from several threads.

    The thread whose work reaches that point loads it; the others go on without it.

    Where it cannot be loaded, the work goes on without it.

    Attributes:
        loaded: the module; None before.
    """

    def __init__(self, name: str, worth_from: int) -> None:
        """Loads nothing yet.

        Args:
            name: of the module; its function `prepare` is called once.
            worth_from: how much work is done before it is loaded.
        """
        self._name, self._left = name, worth_from
        self._started = threading.Lock()
        self.loaded: ModuleType | None = None

    def after(self, work: int) -> ModuleType | None:
        """Counts work that is about to be done, and loads the module if that is enough. Returns the module, if it is there."""
        self._left -= work
        if self._left < 0 and self._started.acquire(blocking=False):
            self.load()
        return self.loaded

    def load(self) -> None:
        """Loads it, however much was done."""
        try:
            module = importlib.import_module(self._name)
            module.prepare()
        except Exception as error:  # noqa: BLE001 - the work goes on without it, which takes longer and finds the same
            _LOG.warning("%s cannot be loaded; the work goes on without it, and takes longer: %r", self._name, error)
        else:
            self.loaded = module


#: The loops over the bytes of files.
BYTE_LOOPS = LateModule("phase5_ops.input_files.loops", worth_from=16 << 20)
