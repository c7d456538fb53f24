"""python -m cgs: the same as the command cgs."""

import sys

from cgs.cli.main import main

sys.exit(main())
