"""A folder of files of joints -> the files of :class:`SkeletonFormDataset`.

    <root>/[train|val|test/]<label>/<name>.csv     or .tsv, .json, .npz, .trc: a sequence in a file
    <root>/[train|val|test/]<label>/<name>/*.json  or .csv, .tsv: a file for each of its frames

The formats are described in the modules of :mod:`rpstn.data.joints`.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rpstn.data.joints.joint_files import ENDINGS, JSON, SUFFIXES, TABLES, ending, read_joints
from rpstn.data.joints.joint_people import Person
from rpstn.data.joints.joint_sequence import JointSequence
from rpstn.data.joints.to_skeleton import ToSkeleton
from rpstn.data_files import read_lines
from rpstn.errors import SettingError
from rpstn.files import natural
from rpstn.names import printable

from ..sequence import BadSkeletonError, refuse
from .skeleton_files import LABEL_SEPARATOR, Conversion, SkeletonFiles

SPLITS = ('train', 'val', 'test')
UNREADABLE, UNLABELLED, UNFOUND = 'unreadable', 'without a label', 'labelled but not there'


def convert_joints_folder(
    root: str | Path,
    out: str | Path,
    *,
    skeleton: str | None = None,
    target: str | None = None,
    labels: str | Path | None = None,
    multi_label: bool = False,
    per_frame: bool = False,
    person: Person | None = None,
    min_score: float = 0.0,
    first_frame: int | None = None,
    fps: float | None = None,
    scale: float = 1.0,
    skip_bad: bool = False,
    annotations: bool = False,
) -> Conversion:
    """Convert all sequences below a folder.

    Args:
        root: the folder.
        out: the folder that is written to, see :mod:`.skeleton_files`; not below ``root``.
        skeleton, target, scale: see :class:`ToSkeleton`.
        labels: a CSV table with the columns ``name`` and ``label``, and any others (``split``,
            ``day``, ``subject``), which are handed on. A name is a path below ``root`` without
            its suffix, or its last part alone where that is unique. Without a table the label is
            the name of the folder that a sequence lies in, and its ``split`` that of a folder
            ``train``, ``val`` or ``test`` at the top.
        multi_label: a label in the table may be several, separated by ``;``, or empty.
        per_frame: a folder with files in it is a sequence, each file a frame of it.
        person, min_score, first_frame: see :func:`read_joints`.
        fps: frames per second, in place of what the files say.
        skip_bad: leave out and count what cannot be read, rather than stop at it.
        annotations: write MMAction2's format, too, see :class:`SkeletonFiles`.

    Raises:
        BadSkeletonError: naming the file, the place in it, what was allowed and what came.
        FileNotFoundError: there is no such folder.
        SettingError: ``out`` lies below ``root``, or an option is not allowed.
    """
    root, out = Path(root), Path(out)
    check_arguments(root, out, fps)
    table = None if labels is None else _Labels(Path(labels), multi_label)
    conversion = Conversion(out)
    to_skeleton = ToSkeleton(skeleton, target, scale)
    found = dict(find_sequences(root, per_frame, conversion, exclude=labels))
    if not found:
        raise BadSkeletonError(f'{root}: no files ({", ".join(SUFFIXES)}) in it')
    if table is not None:
        table.match(found, conversion)
    with SkeletonFiles(conversion, annotations, multi_label) as files:
        for name, path in found.items():
            try:
                if table is None:
                    classes, fields = [_folder_label(root, path)], _folder_split(name)
                elif name in table.rows:
                    classes, fields = table.rows[name]
                else:
                    conversion.skip(name, UNLABELLED, f'{path}: not in {labels}')
                    continue
                sequence = read_joints(path, person, min_score, first_frame)
                keypoints, scores = to_skeleton(sequence)
                files.write(name, keypoints, classes, {**fields, **facts(sequence, fps)}, scores)
            except BadSkeletonError as error:
                if not skip_bad:
                    raise
                conversion.skip(name, UNREADABLE, str(error))
                continue
        conversion.skeleton = to_skeleton.written
        conversion.notes += to_skeleton.notes()
    return conversion


def check_arguments(root: Path, out: Path, fps: float | None) -> None:
    """Refuse folders that cannot be read, or would be read and written at once, and no rate."""
    if fps is not None and not 0 < fps <= 1000:
        raise SettingError(f'fps must be above 0 and at most 1000, got {fps}')
    if not root.is_dir():
        raise FileNotFoundError(f'{root}: no such folder')
    if root.resolve() in (out.resolve(), *out.resolve().parents):
        raise SettingError(f'{out}: the output must not lie in the folder that is read, {root}')


def facts(sequence: JointSequence, fps: float | None = None) -> dict[str, object]:
    """What is known of a sequence besides its joints, as columns of its row."""
    fps, size = fps or sequence.fps, sequence.image_size
    found: dict[str, object] = {} if fps is None else {'fps': f'{fps:.6g}'}
    return found if size is None else {**found, 'width': size[0], 'height': size[1]}


def find_sequences(
    root: Path, per_frame: bool, conversion: Conversion, exclude: str | Path | None = None
) -> Iterator[tuple[str, Path]]:
    """Name and path of each sequence, in natural order: '2' before '10'.

    Of files that differ in their ending alone, as a tool writes its results in several formats, the
    first of :data:`~rpstn.data.joints.joint_files.ENDINGS` is taken; others are counted in the
    notes.
    """
    excluded = None if exclude is None else Path(exclude).resolve()
    paths: dict[str, list[Path]] = {}
    others = 0
    for path in sorted(root.rglob('*'), key=lambda p: natural(p.relative_to(root).as_posix())):
        parts = path.relative_to(root).parts
        if any(part.startswith('.') for part in parts) or not path.is_file():
            continue
        if path.suffix.lower() not in ((JSON, *TABLES) if per_frame else SUFFIXES):
            others += 1
        elif path.resolve() != excluded and not (per_frame and len(parts) == 1):
            place = path.parent if per_frame else path
            # Printable, as it stands in tables and archives, which are UTF-8.
            name = printable(place.relative_to(root).as_posix())
            name = name if per_frame else name[: len(name) - len(ending(path))]
            paths.setdefault(name, []).append(place)
    twins = 0
    for name, places in paths.items():
        if not per_frame:
            places.sort(key=lambda p: ENDINGS.index(ending(p)))
            twins += len(places) - 1
        yield name, places[0]
    if twins:
        conversion.notes.append(
            f'{twins:,} files beside one of the same name in another format not read'
        )
    if others:
        conversion.notes.append(f'{others:,} files of other kinds not read')


def _folder_label(root: Path, path: Path) -> str:
    if path.parent.resolve() == root.resolve():
        allowed = 'in a folder named by its label, or in a table of labels'
        refuse(str(path), 'the sequence', allowed, f'it right in {root}')
    return printable(path.parent.name)


def _folder_split(name: str) -> dict[str, str]:
    top, *rest = name.split('/')
    return {'split': top} if top in SPLITS and len(rest) >= 2 else {}


class _Labels:
    """The rows of a table of labels, then by the names of the sequences that are there."""

    def __init__(self, path: Path, multi_label: bool) -> None:
        self.path, self.multi_label = path, multi_label
        self.rows: dict[str, tuple[list[str], dict[str, str]]] = {}
        try:
            rows = csv.DictReader(read_lines(path), restval='')
            columns = rows.fieldnames or []
            if not {'name', 'label'} <= set(columns):
                refuse(f'{path}: line 1', 'columns', 'with name and label', ', '.join(columns))
            for row in rows:
                self._add(row, f'{path}: line {rows.line_num}')
        except BadSkeletonError:
            raise
        except (ValueError, csv.Error) as error:
            refuse(str(path), 'the table', 'CSV in UTF-8', str(error))

    def _add(self, row: dict, where: str) -> None:
        if None in row:
            refuse(where, 'the row', 'as long as the header', f'{len(row[None])} fields more')
        name = row.pop('name').strip().replace('\\', '/')
        if suffix := ending(Path(name)):
            name = name[: -len(suffix)]
        if not name or name in self.rows:
            refuse(where, 'name', 'there and unique', repr(name))
        cell = row.pop('label').strip()
        labels = [cell]
        if self.multi_label:
            labels = [part.strip() for part in cell.split(LABEL_SEPARATOR)] if cell else []
        if '' in labels or len(set(labels)) < len(labels):
            several = f'different classes separated by {LABEL_SEPARATOR!r}, or empty'
            refuse(where, 'label', several if self.multi_label else 'a class', repr(cell))
        row.pop('frames', None)  # counted anew
        self.rows[name] = labels, {key: value.strip() for key, value in row.items() if key}

    def match(self, found: dict[str, Path], conversion: Conversion) -> None:
        """Name the rows as the sequences are named; note those that have none."""
        last = Counter(name.rpartition('/')[2] for name in found)
        short = {name.rpartition('/')[2]: name for name in found}
        rows, self.rows = self.rows, {}
        for given, row in rows.items():
            name = given if given in found else short.get(given)
            if name is None:
                conversion.skip(given, UNFOUND, f'{self.path}: {given} is not in the folder')
            elif given != name and last[given] > 1:
                allowed = 'a path where several sequences have that name'
                refuse(str(self.path), 'name', allowed, repr(given))
            elif name in self.rows:
                refuse(str(self.path), 'name', 'unique', f'{given!r} for {name!r}, a second time')
            else:
                self.rows[name] = row
