"""Every mistake in the YAML file names file, line and key."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from agents.async_io import AdaptiveCapacity, AsyncBatchFunction, RateLimit
from agents.config_file import load_config
from agents.steps import build_steps
from connectors.api.errors import ConfigError

GOOD = """
    application: {id: shop}
    stages:
      - name: pojo
        input: m.pojo
        output: m.pojo.enriched
        dead_letter: m.pojo.dead
        mode: ordered
        capacity: 7
        timeout_s: 3
        retry: {kind: exponential, max_retries: 2, initial_s: 0.1, max_s: 1, multiplier: 3}
        steps:
          - function: pprint:pprint
            options: {url: "${URL}/${DB:-0}", nested: {list: ["${URL}"]}}
"""


@pytest.fixture
def load(tmp_path: Path):
    def write(text: str, **env: str):
        path = tmp_path / "enrich.yaml"
        path.write_text(dedent(text).lstrip("\n"))
        return load_config(path, env)

    return write


def test_good_file(load) -> None:
    config = load(GOOD, URL="redis://r").config
    stage = config.stages[0]
    assert config.application.id == "shop"
    assert (stage.mode, stage.capacity, stage.timeout_s, stage.failure_policy) == ("ordered", 7, 3.0, "dead-letter")
    assert stage.retry is not None
    assert stage.retry.strategy().delay_s(2) == pytest.approx(0.3)
    assert stage.steps[0].options == {"url": "redis://r/0", "nested": {"list": ["redis://r"]}}


def test_defaults(load) -> None:
    stage = load("stages: [{name: s, input: i, steps: [{function: f}]}]").config.stages[0]
    assert (stage.mode, stage.capacity, stage.persist, stage.failure_policy) == ("unordered", 100, "checkpoint", "fail")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("capacity: 7", "capcity: 7", r"yaml:8: stages\[0\]\.capcity: unknown key; did you mean capacity\?"),
        ("capacity: 7", "capacity: none", r"yaml:8: stages\[0\]\.capacity: .*integer.* \(it is 'none'\)"),
        ("capacity: 7", "capacity: 0", r"yaml:8: stages\[0\]\.capacity: .*greater than or equal to 1 \(it is 0\)"),
        ("mode: ordered", "mode: sorted", r"yaml:7: stages\[0\]\.mode: .*'unordered' or 'ordered' \(it is 'sorted'\)"),
        ("max_retries: 2", "retries: 2", r"yaml:10: stages\[0\]\.retry\.retries: unknown key; did you mean max_retr"),
        ("kind: exponential", "kind: expo", r"yaml:10: stages\[0\]\.retry"),
        ("timeout_s: 3", "timeout_s: 0", r"yaml:3: stages\[0\]: retry needs timeout_s above 0"),
        ("input: m.pojo", "inputs: m.pojo", r"yaml:3: stages\[0\]\.input: this key is missing"),
        ("output: m.pojo.enriched", "output: m.pojo", r"yaml:3: stages\[0\]: output and dead_letter must differ"),
        ("input: m.pojo", "input: 'm pojo'", r"yaml:4: stages\[0\]\.input: .*pattern"),
        ("- name: pojo", "- {name: pojo", r"yaml:\d+: not valid YAML"),
        ("application", "aplication", r"yaml:1: aplication: unknown key; did you mean application\?"),
        ("${URL}/", "${OTHER}/", r"yaml:13: stages\[0\]\.steps\[0\]\.options\.url: the environment variable OTHER is"),
    ],
)
def test_mistakes_name_file_line_and_key(load, old, new, message) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=message):
        load(GOOD.replace(old, new, 1), URL="x")


def test_all_mistakes_are_told_at_once(load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(GOOD.replace("capacity", "capcity").replace("mode: ordered", "mode: x"), URL="x")
    assert len(str(caught.value).splitlines()) == 2


def test_two_stages_of_one_input(load) -> None:
    with pytest.raises(ConfigError, match="two stages have the input i"):
        load("stages: [{name: a, input: i, steps: [{function: f}]}, {name: b, input: i, steps: [{function: f}]}]")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_config(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("text", ["", "[]", "just text"])
def test_file_that_is_no_mapping(load, text) -> None:
    with pytest.raises(ConfigError, match="a mapping with the key stages is needed"):
        load(text)


def steps(function: str, options: str = "{}") -> str:
    return f"stages:\n  - name: s\n    input: i\n    steps:\n      - function: {function}\n        options: {options}\n"


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        ("rediss", "{}", r"yaml:5: stages\[0\]\.steps\[0\]\.function: unknown function 'rediss'; did you mean redis\?"),
        ("no.such.module:f", "{}", r"yaml:5: .*cannot be imported: No module named 'no'"),
        ("asyncio:sleeep", "{}", r"yaml:5: .*asyncio has no sleeep"),
        ("pprint:pprint", "{}", r"yaml:5: .*pprint must be a coroutine function"),
        ("asyncio:sleep", "{dely: 1}", r"yaml:6: stages\[0\]\.steps\[0\]\.options\.dely: unknown option; did you mean"),
        ("sys:maxsize", "{}", r"yaml:5: .*is a int, a class or an async function is needed"),
    ],
)
def test_functions_that_cannot_be_used(load, function, options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        build_steps(load(steps(function, options)), 0)


def test_function_found_by_module_and_name(load) -> None:
    built = build_steps(load(steps("asyncio:sleep", "{result: []}")), 0)
    assert built.__qualname__ == "sleep"


OPTIONS = """
    stages:
      - name: s
        input: a
        output: b
        dead_letter: dead
        on_failure: drop
        on_timeout: dead-letter
        rate_limit: {records_per_s: 500, burst: 50}
        adaptive: {latency_s: 0.05, initial: 10, minimum: 5, increase: 2, decrease: 0.7}
        watermarks: {timestamp: field, field: at, unit: ms, max_out_of_orderness_s: 5, idle_s: 60, interval_s: 1}
        retry:
          {kind: fixed, max_retries: 2, delay_s: 0.1, retry_if_result: empty, retry_if_exception: "builtins:callable"}
        steps:
          - {function: "json:loads", threads: 4}
          - {function: "asyncio:gather", cache: {key: [style], columns: [name], ttl_s: 30, negative_ttl_s: 1}}
"""


def test_options_reach_the_operator(load) -> None:
    stage = load(OPTIONS).config.stages[0]
    assert stage.rate_limit.limit() == RateLimit(500, 50)
    assert stage.adaptive.adaptive() == AdaptiveCapacity(0.05, 10, 5, 2, 0.7)
    retry = stage.retry.strategy()
    assert retry.wants_retry(1, [], None)
    assert not retry.wants_retry(1, [1], None)
    assert retry.retry_if_exception is callable
    assert stage.steps[1].cache.columns == ["name"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dead_letter: dead", "timeout_s: 1", "on_timeout: dead-letter needs a topic in dead_letter"),
        ("records_per_s: 500", "records_per_s: 0", "rate_limit.records_per_s: input should be greater than 0"),
        ("initial: 10", "initial: 1", r"initial \(1\) is below minimum \(5\)"),
        ("field: at, ", "", "timestamp: field and the name in field go together"),
        ("timestamp: field, field: at", "timestamp: header", "in the watermarks of the stage before already"),
        ("builtins:callable", "builtins:nothing", "builtins has no nothing"),
        ("retry_if_result: empty", "retry_if_result: emtpy", "unknown function 'emtpy'"),
        ("threads: 4", "threads: 4, batch: {}", "threads is for a blocking function of one message"),
        ("key: [style]", "key: []", "cache.key: list should have at least 1 item"),
        ("ttl_s: 30", "ttl: 30", "unknown key; did you mean ttl_s"),
    ],
)
def test_mistake_in_an_option(old, new, message, load) -> None:
    with pytest.raises(ConfigError, match=message):
        load(OPTIONS.replace(old, new))


def test_step_options_that_do_not_fit_the_function(load) -> None:
    def step(text: str) -> None:
        build_steps(load(f"stages: [{{name: s, input: a, output: b, steps: [{text}]}}]"), 0)

    with pytest.raises(ConfigError, match=r"threads is for a blocking function \(def\)"):
        step("{function: 'asyncio:sleep', threads: 2}")
    with pytest.raises(ConfigError, match="must be a coroutine function"):
        step("{function: 'json:loads', batch: {}}")
    with pytest.raises(ConfigError, match="batch is for an AsyncBatchFunction"):
        step("{function: 'agents.async_io:AsyncFunction', batch: {}}")
    text = "stages: [{name: s, input: a, output: b, on_timeout: fallback, steps: [{function: 'asyncio:sleep'}]}]"
    file = load(text)
    with pytest.raises(ConfigError, match=r"\.on_timeout: on_timeout is fallback, and sleep has no timeout\(\)"):
        build_steps(file, 0)


def test_batch_of_the_file_replaces_that_of_the_class(load) -> None:
    text = "{function: 'agents.async_io:AsyncBatchFunction', batch: {max_size: 7, max_wait_s: 0}}"
    steps = build_steps(load(f"stages: [{{name: s, input: a, output: b, steps: [{text}]}}]"), 0)
    assert (steps.steps[0].max_size, steps.steps[0].max_wait_s) == (7, 0)
    assert AsyncBatchFunction.max_size == 100
