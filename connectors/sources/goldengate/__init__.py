"""`GoldenGateSource`: GoldenGate's JSON, from files or a topic, as Canal's flat messages."""

from connectors.sources.goldengate.connector import GoldenGateSource
from connectors.sources.goldengate.task import GoldenGateTask

__all__ = ["GoldenGateSource", "GoldenGateTask"]
