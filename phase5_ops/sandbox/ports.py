"""Ports of this machine that something is to listen on."""

import socket

from phase5_ops.settings import ConfigurationError

HOST = "127.0.0.1"


def free_port(port: int, what: str) -> int:
    """The port, or a free one for 0. Found out before anything is run, and not when the result is there and nobody can see it.

    Args:
        port: as `--port` says.
        what: is to listen there, e.g. "the UI".

    Raises:
        ConfigurationError: the port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigurationError(
                f"--port {port}: {what} cannot listen on {HOST}:{port}: {error.strerror}; give another port, or 0 for a free one"
            ) from error
        return int(probe.getsockname()[1])
