"""The servers of docker/ take the settings that are written for them there: what they are here."""

from __future__ import annotations

from pathlib import Path

from tests.servers.rabbitmq import PROGRAMS, rabbit_nodes

FOLDER = Path(__file__).parents[2] / "docker"


def test_rabbitmq_starts_with_its_settings() -> None:
    lines = (FOLDER / "rabbitmq" / "rabbitmq.conf").read_text("utf-8").splitlines()
    pairs = [line.partition(" = ") for line in lines if line and not line.startswith("#")]
    settings = {key: value for key, _, value in pairs}
    assert len(settings) == len(pairs) >= 5
    with rabbit_nodes(1, settings=settings) as [node]:
        limit = "{ok, T} = application:get_env(rabbit, consumer_timeout), T."
        assert node.ctl("eval", limit).strip() == settings["consumer_timeout"]
        free = "{ok, T} = application:get_env(rabbit, disk_free_limit), T."
        assert settings["disk_free_limit.absolute"] in node.ctl("eval", free)
        assert settings["vm_memory_high_watermark.relative"] in node.ctl(
            "eval", "{ok, T} = application:get_env(rabbit, vm_memory_high_watermark), T."
        )


def test_rabbitmq_has_the_plugins() -> None:
    text = (FOLDER / "rabbitmq" / "enabled_plugins").read_text("utf-8")
    plugins = text.strip(" \n[].").split(",")
    assert "rabbitmq_prometheus" in plugins, "Prometheus asks it"
    for plugin in plugins:
        assert list(PROGRAMS.parent.glob(f"lib/*/plugins/{plugin}-*")), plugin
