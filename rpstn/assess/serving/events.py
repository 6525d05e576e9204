"""What changes on the page, told to each page that is open in one stream of server-sent events.

One for all reports and what is counted live, as a browser keeps six connections to a host. Every
event holds the whole of its kind, so that nothing is missed by who connects again, and so that a
page that has no stream may ask for the same now and then.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

LISTENERS = 16
"""Streams at a time."""
RETRY, HEARTBEAT = 2.0, 15.0
"""Seconds after which a page connects again, and between signs of life where nothing changes."""
_LOOK = 0.2  # seconds between looks at what is told of


class Crowded(Exception):
    """As many listen as may."""


class Events:
    """The stream.

    Args:
        kinds: name of an event -> what it holds now, as JSON has it.
        stopping: whether the page is being stopped.
    """

    def __init__(self, kinds: dict[str, Callable[[], Any]], stopping: Callable[[], bool]) -> None:
        self._kinds, self._stopping = kinds, stopping
        self.listeners = 0

    def listen(self) -> AsyncIterator[str]:
        """Events from now on: of each kind what it is, and again whenever it has changed.

        Raises:
            Crowded: too many listen.
        """
        if self.listeners >= LISTENERS:
            raise Crowded
        return self._tell()

    async def _tell(self) -> AsyncIterator[str]:
        self.listeners += 1
        number, told, last = 0, dict[str, str](), monotonic()
        try:
            yield f'retry: {1000 * RETRY:.0f}\n\n'
            while not self._stopping():
                for kind, now in self._kinds.items():
                    data = json.dumps(now())
                    if told.get(kind) != data:
                        number, told[kind], last = number + 1, data, monotonic()
                        yield f'id: {number}\nevent: {kind}\ndata: {data}\n\n'
                if monotonic() - last > HEARTBEAT:
                    last = monotonic()
                    yield ': nothing new\n\n'
                await asyncio.sleep(_LOOK)
        finally:
            self.listeners -= 1
