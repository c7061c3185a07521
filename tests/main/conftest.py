"""One installation for all tests of the main job, with a capture on every node from beginning to end."""
import pytest

from lab import Lab, drills


@pytest.fixture(scope="session")
def lab():
    """The installation, up and ready, captures proven to see a leak."""
    with Lab(save="/byway/build/lab/main") as installation:
        for node, capture in installation.capture().items():
            capture.prove(installation.pods[f"plain-{node[-1]}"])
        yield installation
        installation.stop_captures()


@pytest.fixture
def flows(lab):
    """300 TCP connections from both client pods, 150 each."""
    with drills.Conversations(lab, 300) as conversations:
        yield conversations


@pytest.fixture(autouse=True)
def nothing_leaks(lab):
    """Whatever a test does: no packet on its way to the internet outside of a tunnel."""
    before = len(lab.leaked())
    yield
    assert lab.leaked()[before:] == []
