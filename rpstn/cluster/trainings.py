"""Independent trainings, or any other function of many arguments, as tasks of Ray."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from .pool import ClusterError, connected

T = TypeVar('T')
R = TypeVar('R')


def map_tasks(
    function: Callable[[T], R],
    items: Sequence[T],
    address: str | None = None,
    cores: int = 1,
    at_once: int = 1,
) -> Iterator[tuple[T, R]]:
    """Call a function with each item, on the machines of a cluster; results come as they are ready.

    A call whose machine or process dies is made anew, up to three times. Where the function
    raises, or no more results are asked for, the calls that have not begun are taken back.

    Args:
        function: of a module that all machines have.
        items: its arguments, in the order in which calls begin.
        address: of the cluster; None for this machine.
        cores: of each call.
        at_once: calls at a time on this machine; on a cluster as many as there is room for.

    Raises:
        ClusterError: the cluster does not answer, or calls die again and again. What the
            function raises is raised here, too.
    """

    def one(item: T) -> R:
        return function(item)

    with connected(address, cores * at_once, gpus=None) as ray:
        # Modules beside a script are known to it alone.
        found = dict(env_vars=dict(PYTHONPATH=os.pathsep.join(filter(None, sys.path))))
        call = ray.remote(num_cpus=cores, max_retries=3, runtime_env=found)(one)
        calls = {call.remote(item): item for item in items}
        try:
            while calls:
                (ready,), _ = ray.wait(list(calls), num_returns=1)
                try:
                    yield calls[ready], ray.get(ready)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from error
                except ray.exceptions.RayError as error:
                    raise ClusterError(f'{calls[ready]}: {error}') from error
                del calls[ready]
        finally:
            for waiting in calls:
                ray.cancel(waiting, force=False)
