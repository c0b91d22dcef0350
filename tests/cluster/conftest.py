"""Studies on several executors. Beside `make test`, which they would slow down: `make test-cluster`."""

import os

collect_ignore_glob = [] if os.environ.get("LIMBECK_TEST_CLUSTER") else ["test_*.py"]
