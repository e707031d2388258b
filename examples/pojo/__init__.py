"""The job of the README: `m.pojo` of MySQL, enriched from Redis and Cassandra, into Cassandra and Kudu."""
