"""For authors of plugins: run a plugin in a test without Kafka, and check that it keeps the contract.

`SourceHarness` and `SinkHarness` drive a plugin as the runtime does. `SourceConformance` and `SinkConformance` are
suites for pytest: subclass one, say how your plugin is configured, and its tests run against it. Needs pytest.
"""

from connectors.testing.clock import ManualClock
from connectors.testing.memory import InMemorySink, InMemorySource
from connectors.testing.sink_conformance import SinkConformance
from connectors.testing.sink_harness import SinkHarness
from connectors.testing.source_conformance import SourceConformance
from connectors.testing.source_harness import SourceHarness

__all__ = [
    "InMemorySink",
    "InMemorySource",
    "ManualClock",
    "SinkConformance",
    "SinkHarness",
    "SourceConformance",
    "SourceHarness",
]
