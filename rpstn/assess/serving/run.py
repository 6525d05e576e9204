"""What `rpstn serve` does: the page, until it is stopped."""

from __future__ import annotations

import secrets
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

from rpstn.errors import RPSTNError, SettingError

from .jobs import Jobs, Limits


def serve(
    port: int = 8642, limits: Limits | None = None, say: Callable[[str], None] = lambda line: None
) -> None:
    """Serve the page on this machine, for this machine alone, until Ctrl-C.

    Args:
        port: of 127.0.0.1; 0 takes any that is free.
        limits: what is taken.
        say: takes a line with the address, and in it the token without which nobody is let in.

    Raises:
        SettingError: the port cannot be had.
        RPSTNError: FastAPI or uvicorn is not installed.
    """
    try:
        import uvicorn

        from .app import build_app
        from .door import ADDRESS, Door
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
            door = Door(port, secrets.token_urlsafe(16))
            jobs = Jobs(Path(folder), limits or Limits())
            app = build_app(jobs, door, lambda: server.should_exit)
            config = uvicorn.Config(
                app, log_level='warning', timeout_graceful_shutdown=2, server_header=False
            )
            server = uvicorn.Server(config)
            say(f'{door.address} (Ctrl-C ends; videos and reports are removed then)')
            server.run(sockets=[listener])
