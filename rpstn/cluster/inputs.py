"""What an archive is made of: one entry a video, and the name of its results.

    videos/  'videos/*/*.mp4'             as `rpstn infer` takes them
    s3://club/videos/                     all videos below
    's3://club/2026-*/*.mp4'              a glob
    https://club.org/squat.mp4            a file
    @list.txt  @s3://club/list.txt        a list: one of the above on each line

Results are named after the path of a video below its folder or the fixed part of its glob; of
files that are named one by one, below the folder that all of them are in. A name once given to a
video stays.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from rpstn.errors import RPSTNError, SettingError, one_line
from rpstn.files import is_stray, natural
from rpstn.names import hide_password, printable
from rpstn.video.inputs import VIDEOS, expand_inputs, is_live, open_input

from .storage import StorageError, file_name, is_address, open_storage, read_text, tried

_GLOB = re.compile(r'[*?\[]')
P = TypeVar('P', Path, PurePosixPath)


@dataclass(frozen=True)
class Video:
    """One entry of an archive."""

    key: str
    """What it is called in the manifest: its absolute path, or its address without passwords."""
    source: str
    """What is opened."""
    name: str
    """Of its results: their path below the folder of results, without endings."""
    above: tuple[str, ...] = ()
    """Folders above those in the name."""
    bytes: int | None = None
    version: str = ''
    """Changes with the content, as far as the storage tells: an ETag, or a time."""

    @property
    def folder(self) -> tuple[str, ...]:
        """All folders that it lies in."""
        return (*self.above, *self.name.split('/')[:-1])


def find_videos(
    texts: Iterable[str], known: Mapping[str, str], say: Callable[[str], None] = lambda line: None
) -> tuple[list[Video], list[str]]:
    """The videos that are meant, each once, and a line on each text that means none.

    Args:
        texts: of the forms above.
        known: key -> name of the results of those that have one already.
        say: takes lines on what is left out of folders.
    """
    found: dict[str, Video] = {}
    single: list[str] = []
    errors: list[str] = []
    for text in _with_lists(texts, errors):
        try:
            for video in _expand(text, say):
                if found.setdefault(video.key, video).source != video.source:
                    errors.append(f'{video.key}: another address differs in secrets alone')
                elif not video.name:
                    single.append(video.key)
        except (RPSTNError, OSError) as error:
            errors.append(one_line(error))
    single = [key for key in dict.fromkeys(single) if not found[key].name]
    common = len(os.path.commonprefix([found[key].above[:-1] for key in single] or [()]))
    for key in single:
        above = found[key].above
        found[key] = replace(found[key], name='/'.join(above[common:]), above=above[:common])
    return list(_apart(found.values(), known, errors)), errors


def _apart(videos: Iterable[Video], known: Mapping[str, str], errors: list[str]) -> Iterator[Video]:
    """The videos, so named that no results meet.

    Of two in one folder the second keeps its suffix; otherwise it gets more of the folders above.
    """
    used: dict[str, tuple[str, ...]] = {name: () for name in known.values()}
    for video in videos:
        name = known.get(video.key, video.name)
        if video.key in known:
            used.pop(name, None)
        elif used.get(name) == video.folder:
            name = '/'.join([*name.split('/')[:-1], file_name(video.source)])
        for folder in reversed(video.above):
            if name not in used:
                break
            name = f'{folder}/{name}'
        if name in used or not {'', '..'}.isdisjoint(name.split('/')):
            errors.append(f'{video.key}: its results have no name of their own')
            continue
        used[name] = video.folder
        yield replace(video, name=name)


def _with_lists(texts: Iterable[str], errors: list[str]) -> Iterator[str]:
    for text in texts:
        if not text.startswith('@') or Path(text).exists():
            yield text
            continue
        try:
            lines = read_text(text[1:]).splitlines()
        except (RPSTNError, OSError) as error:
            errors.append(f'{hide_password(text)}: cannot be read as a list: {one_line(error)}')
            continue
        yield from filter(None, map(str.strip, lines))


def _expand(text: str, say: Callable[[str], None]) -> Iterator[Video]:
    """Entries; of those named one by one the name is empty, and in ``above`` with all folders."""
    if is_address(text) and not text.lower().startswith('file://'):
        if re.match(r'(rtsps?|rtmps?|udp|tcp)://', text, re.IGNORECASE):
            raise SettingError(f'{hide_password(text)}: a live stream is no part of an archive')
        yield from _expand_address(text)
        return
    text = text.partition('://')[2] if is_address(text) else text
    if is_live(text):
        raise SettingError(f'{text}: a camera is no part of an archive')
    root = _fixed_folder(Path(text)) if _GLOB.search(text) and not Path(text).exists() else None
    for entry in expand_inputs([text], say):
        folder = root or (Path(text) if entry != text else None)
        path = Path(entry).absolute()
        if path.exists():
            name, stat = path.name if path.is_dir() else path.stem, path.stat()
        elif _GLOB.search(entry):  # the images of one video
            name, stat = open_input(entry).name, None
        else:
            raise SettingError(f'{entry}: no such file or folder')
        parents = path.parent.parts[1:]
        below = len(folder.absolute().parts) - 1 if folder else 0
        yield Video(
            printable(path),
            str(path),
            '/'.join((*parents[below:], name)) if folder else '',
            parents[:below] if folder else (*parents, name),
            stat.st_size if stat and path.is_file() else None,
            str(stat.st_mtime_ns) if stat else '',
        )


def _expand_address(text: str) -> Iterator[Video]:
    fs, path = open_storage(text)
    scheme = text.partition('://')[0].lower()
    if scheme in ('http', 'https'):  # whose servers list nothing
        yield _single(text)
        return
    if _GLOB.search(path):
        root = str(_fixed_folder(PurePosixPath(path)))
        infos = tried(text, lambda: fs.glob(path, detail=True))
        infos = {name: info for name, info in infos.items() if info['type'] == 'file'}
    elif PurePosixPath(path).suffix and not text.endswith('/'):
        yield _single(text)
        return
    else:
        root = path.rstrip('/')
        infos = tried(text, lambda: fs.find(path, detail=True))
        infos = {name: one for name, one in infos.items() if _is_video(name)}
    if not infos:
        raise StorageError(f'{hide_password(text)}: there is no video')
    for name in sorted(infos, key=natural):
        info, address = infos[name], f'{scheme}://{name}'
        *parents, last = PurePosixPath(name).parts
        below = len(PurePosixPath(root).parts)
        version = info.get('ETag') or info.get('etag') or info.get('mtime') or ''
        yield Video(
            printable(address),
            address,
            '/'.join((*parents[below:], PurePosixPath(last).stem)),
            tuple(parents[:below]),
            info.get('size'),
            str(version),
        )


def _single(address: str) -> Video:
    name = PurePosixPath(file_name(address)).stem or 'video'
    shown = address if address.lower().startswith(('s3', 'gs')) else hide_password(address)
    place = address.partition('://')[2].partition('?')[0].rpartition('@')[2]
    return Video(printable(shown), address, '', (*PurePosixPath(place).parts[:-1], name))


def _fixed_folder(path: P) -> P:
    """What lies before the first part with a sign of a glob."""
    kept = path.parent
    while _GLOB.search(str(kept)):
        kept = kept.parent
    return kept


def _is_video(name: str) -> bool:
    path = Path(name)
    return path.suffix.lower() in VIDEOS and not is_stray(path)
