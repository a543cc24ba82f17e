"""`python -m phase5_ops_tests.faults`."""

import sys

from phase5_ops_tests.faults.campaign import main

sys.exit(main())
