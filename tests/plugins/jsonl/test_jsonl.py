import json
from pathlib import Path

import pytest
from faust_connect_jsonl import JsonLinesSink

from connectors.testing import SinkConformance


class TestJsonLinesSink(SinkConformance):
    connector = JsonLinesSink

    @pytest.fixture
    def props(self, tmp_path):
        return {"path": str(tmp_path / "out.jsonl")}

    def value(self, number):
        return {"n": number}

    def stored(self, props):
        path = Path(props["path"])
        return sorted(json.loads(line)["value"]["n"] for line in path.read_text().splitlines()) if path.exists() else []

    def bad_value(self):
        return "no object"
