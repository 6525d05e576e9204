"""Videos and pictures: spoilt bytes, damaged frames, texts and headers that pretend."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from hypothesis import strategies as st

from .cases import Case, infer
from .mutations import BYTE_EDITS, edit_bytes
from .seeds import FRAMES
from video_files import damaged

VIDEOS = ('whole.mp4', 'whole.mkv', 'whole.mov', 'whole.ts', 'whole.avi', 'old.avi', 'whole.webm',
          'times.mkv', 'turned.mp4', 'whole.gif')  # fmt: skip
IMAGES = ('one.png', 'one.jpg', 'one.bmp', 'one.tiff', 'one.webp')


class SpoiltVideo:
    """Any video with up to three edits of its bytes."""

    name = 'video, bytes'
    specs = st.fixed_dictionaries(
        dict(seed=st.sampled_from(VIDEOS), edits=st.lists(BYTE_EDITS, min_size=1, max_size=3))
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """In place of the video."""
        _spoil(case, seeds / 'video')
        infer(case, seeds, case.into / case.spec['seed'])


class DamagedFrames:
    """A video some of whose frames are noise: what is missing must be told."""

    name = 'video, frames'
    specs = st.fixed_dictionaries(
        dict(
            seed=st.sampled_from(['whole.mp4', 'whole.mkv', 'whole.mov', 'whole.avi', 'old.avi']),
            frames=st.sets(st.integers(0, FRAMES - 1), min_size=1, max_size=4).map(sorted),
            begin=st.sampled_from(['', '00000010 01', 'ff', '00', '00000002']),
        )
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """In place of the frames."""
        path = case.into / case.spec['seed']
        path.write_bytes((seeds / 'video' / path.name).read_bytes())
        damaged(path, case.spec['frames'], bytes.fromhex(case.spec['begin']))
        case.frames = FRAMES
        infer(case, seeds, path)


class SpoiltImage:
    """A picture with up to three edits of its bytes, alone or among the frames of a folder."""

    name = 'image, bytes'
    specs = st.fixed_dictionaries(
        dict(
            seed=st.sampled_from(IMAGES),
            edits=st.lists(BYTE_EDITS, min_size=1, max_size=3),
            folder=st.booleans(),
        )
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """As the picture, or the second frame."""
        _spoil(case, seeds / 'image')
        path = case.into / case.spec['seed']
        if not case.spec['folder']:
            infer(case, seeds, path)
            return
        folder = case.into / 'frames'
        folder.mkdir()
        path.rename(folder / f'1{path.suffix}')
        whole = (seeds / 'image' / path.name).read_bytes()
        for number in (0, 2):
            (folder / f'{number}{path.suffix}').write_bytes(whole)
        case.named = [f'1{path.suffix}', 'frames']
        infer(case, seeds, folder)


def _spoil(case: Case, folder: Path) -> None:
    name = case.spec['seed']
    data = (folder / name).read_bytes()
    for edit in case.spec['edits']:
        data = edit_bytes(data, edit)
    (case.into / name).write_bytes(data)


PRETENDERS = ('playlist', 'playlist url', 'concat', 'subtitles', 'sdp', 'script', 'empty', 'zeros',
              'png bomb', 'bmp bomb', 'jpeg bomb', 'tiff bomb', 'gif bomb')  # fmt: skip
ENDINGS = ('.mp4', '.m3u8', '.avi', '.mkv', '.txt', '.png', '.jpg', '.ffconcat', '.gif')
NAMES = ('plain', '2024-01-01T10:30:00', 'pipe:0', 'http:', 'a b\tc', '-i', '%d', '[1]', 'é', '*',
         'concat:a', '~', '$HOME', "it's", 'x' * 200)  # fmt: skip


class Pretender:
    """A text or a header under a name that promises something else."""

    name = 'media, pretended'
    specs = st.fixed_dictionaries(
        dict(
            what=st.sampled_from(PRETENDERS),
            name=st.sampled_from(NAMES),
            ending=st.sampled_from(ENDINGS),
        )
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """With a video of somebody else in reach."""
        secret = case.into.parent / 'home/secret.ts'
        secret.write_bytes((seeds / 'video/whole.ts').read_bytes())
        path = case.into / f'{case.spec["name"]}{case.spec["ending"]}'
        path.write_bytes(_pretended(case.spec['what'], secret))
        case.must = 'refusal'
        infer(case, seeds, path)


class Named:
    """A good video under any name that a file system allows."""

    name = 'video, names'
    specs = st.fixed_dictionaries(
        dict(
            name=st.one_of(
                st.sampled_from(NAMES),
                st.text(
                    st.characters(codec='utf-8', exclude_characters='/\0'), min_size=1, max_size=20
                ).filter(lambda text: text.strip('.') and not text.startswith('.')),
            ),
            bytes=st.booleans(),
            folder=st.booleans(),
        )
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """Alone, or in a folder of that name; ``bytes`` are no UTF-8."""
        stem = case.spec['name'] + ('\udcff\udc80' if case.spec['bytes'] else '')
        path = case.into / f'{stem}.avi'
        if case.spec['folder']:
            path = case.into / stem / 'a.avi'
            path.parent.mkdir()
        path.write_bytes((seeds / 'video/whole.avi').read_bytes())
        case.named = [path.name, path.parent.name, repr(path.name)[1:-1]]
        infer(case, seeds, path.parent if case.spec['folder'] else path)


def _pretended(what: str, secret: Path) -> bytes:
    """The content of a pretender."""
    head = '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1.2,\n'
    texts = {
        'playlist': f'{head}{secret}\n#EXT-X-ENDLIST\n',
        'playlist url': f'{head}file://{secret}\n#EXT-X-ENDLIST\n',
        'concat': f"ffconcat version 1.0\nfile '{secret}'\n",
        'subtitles': '1\n00:00:00,000 --> 00:00:01,000\nhello\n',
        'sdp': 'v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\n'
        'm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n',
        'script': '#!/bin/sh\ntouch canary\n',
        'empty': '',
        'zeros': '\0' * 3000,
    }
    if what in texts:
        return texts[what].encode()
    side = 60_000
    if what == 'png bomb':
        chunks = [(b'IHDR', struct.pack('>IIBBBBB', side, side, 8, 0, 0, 0, 0)),
                  (b'IDAT', zlib.compress(bytes(100_000))), (b'IEND', b'')]  # fmt: skip
        return b'\x89PNG\r\n\x1a\n' + b''.join(
            struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
            for name, data in chunks
        )
    if what == 'bmp bomb':
        return (
            b'BM' + struct.pack('<IHHI', 60, 0, 0, 54)
            + struct.pack('<IiiHHIIiiII', 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(90)
        )  # fmt: skip
    if what == 'jpeg bomb':
        frame = struct.pack('>HBHHB', 11, 8, side, side, 1) + b'\x01\x11\x00'
        scan = b'\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00'
        return b'\xff\xd8\xff\xc0' + frame + scan + bytes(50) + b'\xff\xd9'
    if what == 'gif bomb':
        return (
            b'GIF89a' + struct.pack('<HHBBB', side, side, 0x80, 0, 0) + bytes(6)
            + b',' + struct.pack('<HHHHB', 0, 0, side, side, 0) + b'\x02\x02\x44\x01\x00;'
        )  # fmt: skip
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
            (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, side), (279, 4, 1, 100)]  # fmt: skip
    entries = b''.join(struct.pack('<HHII', *tag) for tag in tags)
    return b'II*\0' + struct.pack('<IH', 8, len(tags)) + entries + bytes(104)
