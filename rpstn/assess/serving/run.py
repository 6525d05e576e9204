"""What `rpstn serve` does: the page, until it is stopped."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

from rpstn.errors import RPSTNError, SettingError

from .jobs import Jobs, Limits

ADDRESS = '127.0.0.1'


def serve(
    port: int = 8642, limits: Limits | None = None, say: Callable[[str], None] = lambda line: None
) -> None:
    """Serve the page on this machine, for this machine alone, until Ctrl-C.

    Args:
        port: of 127.0.0.1; 0 takes any that is free.
        limits: what is taken.
        say: takes a line with the address.

    Raises:
        SettingError: the port cannot be had.
        RPSTNError: FastAPI or uvicorn is not installed.
    """
    try:
        import uvicorn

        from .app import build_app
    except ImportError as error:
        raise RPSTNError(f'{error}; rpstn serve needs: pip install fastapi uvicorn') from None
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((ADDRESS, port))
        except OSError as error:
            raise SettingError(f'--port {port}: cannot be had, {error.strerror}') from None
        port = listener.getsockname()[1]
        with tempfile.TemporaryDirectory(prefix='rpstn-serve-') as folder:
            app = build_app(Jobs(Path(folder), limits or Limits()), port)
            say(f'http://{ADDRESS}:{port}/ (Ctrl-C ends; videos and reports are removed then)')
            config = uvicorn.Config(
                app, log_level='warning', timeout_graceful_shutdown=2, server_header=False
            )
            uvicorn.Server(config).run(sockets=[listener])
