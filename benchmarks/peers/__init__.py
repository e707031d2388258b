"""The source beside other programs that do the same: Debezium and Canal, from Maven Central."""
