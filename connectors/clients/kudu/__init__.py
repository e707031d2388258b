"""Apache Kudu behind one small port, by the official Java client in this process or by kudu-python."""
