"""The manifest of an archive: a row for each video, in one Parquet file that any tool reads.

    OUT/manifest.parquet       state, frames, seconds, error, ... of every video
    OUT/repetitions.parquet    of `rpstn assess`: a row for each repetition
    OUT/angles.parquet         of `rpstn assess`: a row for each angle of a repetition
    OUT/manifest.parts/        what came since these were written, while a command runs or after
                               it was killed

A part is written at least every second, and what it tells of a video belongs together: its row
here, its repetitions, its angles. At the end, and now and then, the parts are folded into the
files above, which are replaced one by one; until all are, the parts stay, and folding them again
changes nothing. So no kill leaves half a video, or one twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rpstn.errors import SettingError, one_line

from .storage import Folder

if TYPE_CHECKING:
    import pyarrow as pa

WAITING, DONE, NOTHING, FAILED = 'waiting', 'done', 'nothing', 'failed'
"""States of a video; NOTHING is done, too, but there was nothing to assess in it."""
FINISHED = (DONE, NOTHING)
NAME, PARTS = 'manifest.parquet', 'manifest.parts'
TABLES = ('repetitions', 'angles')
_EVERY, _MOST_PARTS = 1.0, 1000  # seconds that a row waits, parts until they are folded
_COLUMNS = dict(
    video='string',
    name='string',
    state='string',
    error='string',
    summary='string',
    frames='int64',
    seconds='float64',
    memory='float64',
    worker='string',
    tries='int64',
    bytes='int64',
    version='string',
    sha256='string',
    model='string',
    settings='string',
    rpstn='string',
    finished='timestamp',
)
_REPETITION = dict(
    repetition='int64',
    start_frame='int64',
    bottom_frame='int64',
    end_frame='int64',
    start_s='float64',
    bottom_s='float64',
    end_s='float64',
    down_s='float64',
    pause_s='float64',
    up_s='float64',
    partial='bool',
    reason='string',
    form='string',
)
_ANGLE = dict(
    repetition='int64',
    angle='string',
    moment='string',
    unit='string',
    value='float64',
    left='float64',
    right='float64',
    error='float64',
)


def _fields(columns: Mapping[str, str]) -> list[pa.Field]:
    import pyarrow as pa

    kinds = dict(timestamp=pa.timestamp('ms', 'UTC'), bool=pa.bool_())
    kinds.update({name: getattr(pa, name)() for name in ('string', 'int64', 'float64')})
    return [pa.field(name, kinds[kind]) for name, kind in columns.items()]


class Manifest:
    """Of one folder of results; one process at a time.

    Args:
        folder: of the results.
        model: sha256 of the model of this run.
        settings: of this run, as JSON has them.
        key: sha256 of the settings.
        files: that are in the folder, as :meth:`Folder.files` tells.
    """

    def __init__(
        self,
        folder: Folder,
        model: str,
        settings: Mapping[str, Any],
        key: str,
        files: Iterable[str],
    ) -> None:
        self.folder, self.model, self.key = folder, model, key
        self.rows: dict[str, dict[str, Any]] = {}
        """Video -> its row."""
        self._settings: dict[str, Any] = {}
        self._new: list[dict[str, Any]] = []
        self._parts: list[str] = []
        self._since_fold: dict[str, dict[str, Any]] = {}
        files = set(files)
        self._tables = {name for name in TABLES if f'{name}.parquet' in files}
        if NAME in files:
            table = _read(folder, NAME)
            self._settings = json.loads((table.schema.metadata or {}).get(b'settings', b'{}'))
            self.rows = {row['video']: row for row in table.to_pylist()}
        for part in sorted(name for name in files if name.startswith(f'{PARTS}/')):
            self._parts.append(part)
            self._take(_read(folder, part).to_pylist())
        self._settings[key] = dict(settings)
        self._flushed = time.monotonic()

    def refuse_others(self, overwrite: bool) -> None:
        """See that what is there was made by the model and the settings of this run.

        Raises:
            SettingError: it was not, and is not to be replaced; one line that names the first.
        """
        others = [
            row
            for row in self.rows.values()
            if row['state'] in FINISHED and not self.is_current(row)
        ]
        if not others or overwrite:
            return
        first = others[0]
        if first['model'] != self.model:
            said = f'another model (sha256 {first["model"][:12]} instead of {self.model[:12]})'
        else:
            before, now = self._settings.get(first['settings'], {}), self._settings[self.key]
            names = [one for one in {**before, **now} if before.get(one) != now.get(one)]
            name = names[0] if names else 'setting'
            old, new = (json.dumps(one.get(name))[:40] for one in (before, now))
            said = f'another {name} ({old} instead of {new})'
        count = f'{len(others)} video{"s were" if len(others) > 1 else " was"}'
        raise SettingError(
            f'{self.folder}: {count} done there by {said}; add --overwrite to do those of this '
            'command again, or choose another --out'
        )

    def is_current(self, row: Mapping[str, Any]) -> bool:
        """Whether a row was made by the model and the settings of this run."""
        return (row['model'], row['settings']) == (self.model, self.key)

    def expect(self, rows: Iterable[dict[str, Any]]) -> None:
        """Note videos that will be looked at, whose results may be replaced from now on."""
        self._take([{**row, 'state': WAITING} for row in rows])
        self.fold()

    def put(
        self,
        row: Mapping[str, Any],
        repetitions: Sequence[Mapping[str, Any]] | None = None,
        angles: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Note what came of a video; a second later at most it is in the storage.

        Args:
            row: of the video.
            repetitions, angles: its rows of the other tables; None leaves those that are there.
        """
        whole = {**row, 'repetitions': repetitions, 'angles': angles}
        self._take([whole])
        self._new.append(whole)
        self.tick()

    def tick(self) -> None:
        """Write what has waited for long enough."""
        if self._new and time.monotonic() - self._flushed > _EVERY:
            self.flush()
            if len(self._parts) >= _MOST_PARTS:
                self.fold()

    def flush(self) -> None:
        """Write a part of what is new."""
        if self._new:
            last = int(self._parts[-1].rpartition('/')[2].partition('.')[0]) if self._parts else 0
            name = f'{PARTS}/{last + 1:08d}.parquet'
            self.folder.write(name, _written(self._new, _part_schema()))
            self._parts.append(name)
            self._new = []
        self._flushed = time.monotonic()

    def fold(self) -> None:
        """Write the files that others read, and remove the parts."""
        import pyarrow as pa

        self.flush()
        done = {
            video: row for video, row in self._since_fold.items() if row.get('angles') is not None
        }
        for name, columns in zip(TABLES, (_REPETITION, _ANGLE)):
            rows = [{'video': video, **one} for video, row in done.items() for one in row[name]]
            if done and (rows or name in self._tables):
                self._replace(name, set(done), rows, dict(video='string', **columns))
        schema = pa.schema(_fields(_COLUMNS), {'settings': json.dumps(self._settings)})
        self.folder.write(NAME, _written(self.rows.values(), schema))
        for part in self._parts:
            self.folder.remove(part)
        self._parts, self._since_fold = [], {}
        if self.folder.local is not None and (self.folder.local / PARTS).is_dir():
            (self.folder.local / PARTS).rmdir()

    def _replace(
        self, name: str, videos: set[str], rows: list[dict[str, Any]], columns: Mapping[str, str]
    ) -> None:
        """Put rows of videos into a table, in place of those that it has."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = pa.Table.from_pylist(rows, pa.schema(_fields(columns)))
        if name in self._tables:
            old = _read(self.folder, f'{name}.parquet', columns)
            others = pc.invert(pc.is_in(old['video'], pa.array(sorted(videos), pa.string())))
            table = pa.concat_tables([old.filter(others), table])
        self.folder.write(f'{name}.parquet', _bytes(table))
        self._tables.add(name)

    def _take(self, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            self.rows[row['video']] = {name: row.get(name) for name in _COLUMNS}
            self._since_fold[row['video']] = row


def _part_schema() -> pa.Schema:
    import pyarrow as pa

    nested = [
        pa.field(name, pa.list_(pa.struct(_fields(columns))))
        for name, columns in zip(TABLES, (_REPETITION, _ANGLE))
    ]
    return pa.schema([*_fields(_COLUMNS), *nested])


def _written(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> bytes:
    import pyarrow as pa

    return _bytes(pa.Table.from_pylist(list(rows), schema))


def _bytes(table: pa.Table) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression='zstd')
    return sink.getvalue().to_pybytes()


def _read(folder: Folder, name: str, columns: Iterable[str] = _COLUMNS) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = folder.read(name)
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise SettingError(f'{folder}/{name}: cannot be read: {one_line(error)}') from None
    if missing := set(columns) - set(table.column_names):
        raise SettingError(f'{folder}/{name}: is of something else, it has no {min(missing)}')
    return table
