from __future__ import annotations

import stack


def test_all_servers_answer_and_a_second_up_leaves_them_alone() -> None:
    env = stack.up()
    pids = {name: stack.server(name).pids() for name in stack.NAMES}
    assert stack.up() == env
    assert {name: stack.server(name).pids() for name in stack.NAMES} == pids
    assert all(stack.server(name).healthy() for name in stack.NAMES)
    assert set(env) >= {
        "KAFKA_BOOTSTRAP_SERVERS",
        "MYSQL_PORT",
        "MARIADB_PORT",
        "REDIS_URL",
        "CASSANDRA_PORT",
        "KUDU_MASTERS",
        "KUDU_CLIENT_JARS",
    }
