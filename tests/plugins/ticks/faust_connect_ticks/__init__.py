"""A source of another distribution: counts."""

import time

from connectors import ConfigDef, SourceConnector, SourceRecord, SourceTask, Type


class TickSource(SourceConnector):
    version = "1.2.0"

    @classmethod
    def task_class(cls):
        return TickTask

    @classmethod
    def config(cls):
        return (
            ConfigDef()
            .define("topic", Type.STRING, doc="Topic that ticks go to.")
            .define("count", Type.INT, doc="How many ticks.")
        )


class TickTask(SourceTask):
    def start(self, props):
        self.options = TickSource.parse(props)
        stored = self.context.offset_storage_reader.offset({"clock": "wall"})
        self.next = stored["tick"] + 1 if stored else 0

    def poll(self):
        if self.next >= self.options["count"]:
            time.sleep(0.1)
            return None
        tick, self.next = self.next, self.next + 1
        return [
            SourceRecord(
                self.options["topic"],
                {"tick": tick},
                source_partition={"clock": "wall"},
                source_offset={"tick": tick},
            )
        ]

    def stop(self):
        pass
