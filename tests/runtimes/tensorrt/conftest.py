"""What the tests of this folder share."""

import pytest
from support.fake_tensorrt import SIZE, FakeCuda, make_api, write_engine

from edge_convnext.runtimes.tensorrt import runner as module
from edge_convnext.runtimes.tensorrt.runner import EngineRunner


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write an engine, and run it on a fake GPU."""

    def make(batch=1, dtype="FLOAT", shape=None, cuda=None, options=None, log=None, **changes):
        cuda = cuda or FakeCuda()
        shape = shape or (batch or -1, 3, SIZE, SIZE)
        api = make_api(cuda, shape, dtype, log=log)
        monkeypatch.setattr(module, "open_api", lambda name: api)
        monkeypatch.setattr(module, "open_cuda", lambda: cuda)
        path = write_engine(tmp_path / "m.engine", batch, **changes)
        return EngineRunner(path, options, cuda)

    return make
