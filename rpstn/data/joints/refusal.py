"""How a sequence of joints is refused."""

from __future__ import annotations

from typing import NoReturn

from rpstn.errors import BadSequenceError


class BadSkeletonError(BadSequenceError):
    """A skeleton sequence that cannot be used: one line with file, field, allowed and found."""


def refuse(where: str, field: str, allowed: str, found: object) -> NoReturn:
    """Raise a BadSkeletonError: in ``where``, ``field`` must be ``allowed``, but is ``found``."""
    raise BadSkeletonError(f'{where}: {field} must be {allowed}, got {found}')
