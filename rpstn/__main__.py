"""``python -m rpstn``: the command line."""

import sys

from rpstn.cli.main import main

if __name__ == '__main__':
    sys.exit(main())
