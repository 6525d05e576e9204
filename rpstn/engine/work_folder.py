"""The folder of a training, for one training at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rpstn.errors import one_line
from rpstn.files import WriteError, remove_partials
from rpstn.locks import FolderLock

_RANKS = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def working_in(work_dir: str | Path, launcher: str = 'none') -> Iterator[None]:
    """Keep other trainings out of the folder; what a kill has left half written is removed.

    Args:
        work_dir: made if need be; if the training puts nothing there, it is gone afterwards.
        launcher: of several processes, of which only the first one writes.

    Raises:
        LockedError: another training goes on there.
        WriteError: the disk is full, which names the file, and says that the training can go on.
    """
    if int(os.environ.get(_RANKS.get(launcher, ''), 0)) != 0:
        yield
        return
    folder = Path(work_dir)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder, 'use another --work-dir')
    try:
        remove_partials(folder)
        yield
    except OSError as error:
        if not isinstance(error, WriteError) and error.errno not in _FULL:
            raise
        named = isinstance(error, WriteError) or error.filename
        said = one_line(error) if named else f'{folder}: cannot be written ({error.strerror})'
        raise WriteError(f'{said}; --resume goes on from the last checkpoint') from error
    finally:
        lock.release()
        for path in made:
            if not any(path.iterdir()):
                path.rmdir()
