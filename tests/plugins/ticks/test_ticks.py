import pytest
from faust_connect_ticks import TickSource

from connectors.testing import SourceConformance


class TestTickSource(SourceConformance):
    connector = TickSource

    @pytest.fixture
    def props(self):
        return {"topic": "ticks", "count": str(self.count)}
