"""What commands say: in lines that any terminal takes, and without passwords."""

import sys
from typing import TextIO

from rpstn.names import hide_passwords, printable


def say(text: object, file: TextIO | None = None) -> None:
    """Print lines, by default on standard output.

    Names of files may hold anything: bytes that are no text, or signs that steer a terminal.
    Addresses may hold passwords.
    """
    lines = hide_passwords(str(text)).split('\n')
    print('\n'.join(map(printable, lines)), file=file or sys.stdout)
