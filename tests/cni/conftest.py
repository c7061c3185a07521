import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from node import Node  # noqa: E402


@pytest.fixture
def node(request, tmp_path):
    made = Node(f"cni{os.getpid()}", tmp_path / "leases")
    yield made
    made.close()
