"""`rpstn test` as a script, as launchers such as torchrun start it."""

import sys

from rpstn.cli.main import main

if __name__ == '__main__':
    sys.exit(main(['test', *sys.argv[1:]]))
