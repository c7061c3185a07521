import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from nodes import Pair  # noqa: E402


@pytest.fixture
def pair(tmp_path):
    made = Pair(f"node{os.getpid()}", tmp_path)
    yield made
    made.close()
