"""Names of files, and addresses of streams, as they can be shown: printable, without passwords."""

from __future__ import annotations

import os
import re

_MASK = '***'
# What a camera's address may ask for in the open; the value of anything else may be a secret.
_PLAIN_KEYS = re.compile(
    r'(channels?|ch|stream(type)?|subtype|(sub)?streams?|profile|camera|cam|resolution|res|width|'
    r'height|size|fps|framerate|rate|quality|compression|codec|videocodec|format|proto|transport|'
    r'unicast|multicast|audio|video|duration|start|end|timeout|rotation|real_stream)',
    re.IGNORECASE,
)
_SECRETS = (
    'user(?:name)?|usr|login|account|pass(?:w(?:or)?d)?|pwd?|psw|token|auth|key|secret|sign?'
    '|signature|session|sid|credentials?'
)
# 'user=admin_password=secret_channel=1.sdp', as some recorders want it in the path.
_IN_PATH = re.compile(
    rf'((?:^|[^a-z])(?:{_SECRETS}))=.*?(?=[_&;,/?]\w+=|[_&;,/?](?:stream|channel)\b|$)',
    re.IGNORECASE,
)
# Control characters, ends of lines, and what turns the direction of writing.
_STEERING = re.compile('[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]')
# Without a colon at the end, which belongs to the sentence.
_URL = re.compile(r'\b[a-z][a-z0-9+.-]*://[^\s\'"<>]*[^\s\'"<>:]', re.IGNORECASE)


def hide_password(url: str) -> str:
    """The URL without the names, passwords and tokens that it may hold, for messages and files.

    >>> hide_password('rtsp://admin:se/cret@camera/live?channel=1&pwd=secret')
    'rtsp://camera/live?channel=1&pwd=***'
    """
    scheme, separator, rest = url.partition('://')
    if not separator:
        return url
    rest = _after_user(rest)
    place, mark, query = re.fullmatch(r'([^?#]*)([?#]?)(.*)', rest, re.DOTALL).groups()  # type: ignore[union-attr]
    host, slash, path = place.partition('/')
    path = _IN_PATH.sub(rf'\1={_MASK}', path)
    parts = [_without_value(part) for part in re.split('([&;?#])', query)]
    return f'{scheme}{separator}{host}{slash}{path}{mark}{"".join(parts)}'


def _after_user(rest: str) -> str:
    """What follows ``user:password@``, where the password may hold what should be encoded."""
    place = re.split('[?#]', rest, maxsplit=1)[0]
    host = place.partition('/')[0]
    if re.fullmatch(r'[^:@]*|\[[^@]*\](:\d*)?', host):
        return rest
    if '@' not in place and re.fullmatch(r'[^:]*:\d*', host):
        return rest
    # 'user:pass/word@host', 'user:pass?word@host': up to the last '@'.
    if '@' in place:
        return place.rpartition('@')[2] + rest[len(place) :]
    return rest.rpartition('@')[2]


def _without_value(part: str) -> str:
    """One ``key=value`` of a query."""
    key, equals, value = part.partition('=')
    if not equals:
        return part if len(part) <= 12 or _PLAIN_KEYS.fullmatch(part) else _MASK
    return part if not value or _PLAIN_KEYS.fullmatch(key) else f'{key}={_MASK}'


def hide_passwords(text: str) -> str:
    """A text in which :func:`hide_password` was done to every URL."""
    return _URL.sub(lambda match: hide_password(match[0]), text)


def printable(name: str | os.PathLike[str]) -> str:
    r"""A name as text in valid Unicode that any terminal and any file takes.

    Bytes that are not UTF-8, and signs that steer a terminal, are written as escapes.

    >>> print(printable(os.fsdecode(b'squat-\xff\n.mp4')))
    squat-\xff\n.mp4
    """
    text = os.fspath(name)
    try:
        data = text.encode('utf-8', 'surrogateescape')
    except UnicodeEncodeError:  # half a sign, as Windows allows
        data = text.encode('utf-8', 'backslashreplace')
    text = data.decode('utf-8', 'backslashreplace')
    return _STEERING.sub(lambda match: match[0].encode('unicode_escape').decode(), text)
