"""How large a picture says that it is, read before anything is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator

# Markers of JPEG (ITU T.81, table B.1) that begin a frame, whose size follows, and those that
# have no length.
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = {0x01, *range(0xD0, 0xD9)}
_TIFF_SIDES = (256, 257)  # ImageWidth, ImageLength
_TIFF_TYPES = {1: 'B', 3: 'H', 4: 'I', 16: 'Q'}


def picture_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a BMP, GIF, JPEG, PNG, TIFF or WebP, as it is stored; None of all else.

    Args:
        data: the file; of all but JPEG and TIFF the first 64 bytes are enough.
    """
    try:
        return next(_sizes(data), None)
    except struct.error:  # ends too early
        return None


def _sizes(data: bytes) -> Iterator[tuple[int, int]]:
    if data.startswith(b'\x89PNG\r\n\x1a\n'):
        yield struct.unpack('>II', data[16:24])
    elif data.startswith(b'\xff\xd8'):
        yield from _jpeg(data)
    elif data[:4] in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'):
        yield _tiff(data)
    elif data.startswith(b'BM'):
        yield _bmp(data)
    elif data[:6] in (b'GIF87a', b'GIF89a'):
        yield struct.unpack('<HH', data[6:10])
    elif data.startswith(b'RIFF') and data[8:12] == b'WEBP':
        yield from _webp(data)


def _jpeg(data: bytes) -> Iterator[tuple[int, int]]:
    place = 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:  # the decoder, too, looks for the next marker
            place = data.find(b'\xff', place)
            if place < 0:
                return
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack('>HH', data[place + 5 : place + 9])
            yield width, height
            return
        elif marker in _JPEG_BARE or marker == 0:
            place += 2
        else:
            place += 2 + max(2, *struct.unpack('>H', data[place + 2 : place + 4]))


def _tiff(data: bytes) -> tuple[int, int]:
    order, big = '<' if data[:2] == b'II' else '>', 43 in data[2:4]
    offset, count, entry, word = ('Q', 'Q', 20, 8) if big else ('I', 'H', 12, 4)
    (place,) = _at(data, word, order + offset)
    (entries,) = _at(data, place, order + count)
    place += struct.calcsize(count)
    sides: dict[int, int] = {}
    for start in range(place, min(place + entries * entry, len(data)), entry):
        tag, kind = _at(data, start, f'{order}HH')
        if tag in _TIFF_SIDES:
            (value,) = _at(data, start + 4 + word, order + _TIFF_TYPES.get(kind, 'I'))
            sides[tag] = max(value, sides.get(tag, 0))
    width, height = (sides.get(tag, 0) for tag in _TIFF_SIDES)
    return width, height


def _at(data: bytes, place: int, form: str) -> tuple[int, ...]:
    return struct.unpack(form, data[place : place + struct.calcsize(form)])


def _bmp(data: bytes) -> tuple[int, int]:
    if _at(data, 14, '<I') == (12,):  # the header of OS/2
        width, height = _at(data, 18, '<HH')
        return width, height
    width, height = _at(data, 18, '<ii')
    return abs(width), abs(height)


def _webp(data: bytes) -> Iterator[tuple[int, int]]:
    kind = data[12:16]
    if kind == b'VP8X':  # two numbers of 3 bytes, less one
        width, height = (int.from_bytes(data[place : place + 3], 'little') for place in (24, 27))
        yield width + 1, height + 1
    elif kind == b'VP8L':  # two of 14 bits, less one
        (bits,) = _at(data, 21, '<I')
        yield (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b'VP8 ':
        width, height = _at(data, 26, '<HH')
        yield width & 0x3FFF, height & 0x3FFF
