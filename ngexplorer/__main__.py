"""`python -m ngexplorer`."""

import sys

from ngexplorer.cli import main

sys.exit(main())
