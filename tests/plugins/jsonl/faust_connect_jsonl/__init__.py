"""A sink and a transform of another distribution: a line of JSON for each record."""

import json
import os
from dataclasses import replace
from pathlib import Path

from connectors import ConfigDef, ConfigProvider, DataError, SinkConnector, SinkTask, Transform, Type


class JsonLinesSink(SinkConnector):
    version = "0.3.0"

    @classmethod
    def task_class(cls):
        return JsonLinesTask

    @classmethod
    def config(cls):
        return ConfigDef().define("path", Type.STRING, doc="File to append to.")


class JsonLinesTask(SinkTask):
    """Lines carry the record's place, so that a reader can drop what a crash wrote twice; this one does so itself."""

    def start(self, props):
        self.path = Path(JsonLinesSink.parse(props)["path"])
        self.seen = set()
        if self.path.exists():
            self.seen = {tuple(json.loads(line)["place"]) for line in self.path.read_text().splitlines()}
        self.file = self.path.open("a")

    def put(self, records):
        for record in records:
            place = (record.topic, record.partition, record.offset)
            if not isinstance(record.value, dict):
                error = DataError(f"{record.where}: an object is needed, not {type(record.value).__name__}")
                self.context.errant_record_reporter.report(record, error)
            elif place not in self.seen:
                self.seen.add(place)
                self.file.write(json.dumps({"place": place, "value": record.value}) + "\n")

    def flush(self, offsets):
        self.file.flush()
        os.fsync(self.file.fileno())

    def stop(self):
        if hasattr(self, "file"):
            self.file.close()


class Shout(Transform):
    """Writes all text in capitals."""

    def apply(self, record):
        value = {name: each.upper() if isinstance(each, str) else each for name, each in record.value.items()}
        return replace(record, value=value)


class ScratchProvider(ConfigProvider):
    """`${scratch:FILE}`: the path of a file in the folder `SCRATCH`."""

    def get(self, reference):
        return f"{self.environment['SCRATCH']}/{reference}"
