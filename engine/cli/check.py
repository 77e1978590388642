"""``carebus check``: can this machine reach what the channels name, before anything runs?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.exits import Exit
from engine.cli.output import print_table
from engine.cli.project import PROJECT, Project

if TYPE_CHECKING:
    from engine.config.model import Channel, Configuration
    from engine.contract import Check

_SECONDS = 20.0


def check(
    channels: Annotated[
        list[str] | None, typer.Argument(help="Channels; all of the project when left out.")
    ] = None,
    config: Project = PROJECT,
) -> None:
    """Try names, ports, TLS and credentials of channels; sends no message and keeps nothing open.

    Exit code 0 when every check passes, else 1.
    """
    from engine.cli.project import configuration_of
    from engine.syntax.nearest import nearest

    configuration = configuration_of(config)
    for name in channels or ():
        if name not in configuration.channels:
            near = nearest(name, configuration.channels)
            hint = f"; did you mean {near}?" if near else ""
            raise typer.BadParameter(f"there is no channel '{name}'{hint}")
    wanted = [configuration.channels[name] for name in channels or sorted(configuration.channels)]
    results = asyncio.run(_all(configuration, wanted))
    print_table(
        ("channel", "check", "result", "detail"),
        [
            (channel.name, one.name, "ok" if one.ok else "failed", one.detail)
            for channel, found in results
            for one in found
        ],
    )
    if not all(one.ok for _, found in results for one in found):
        raise typer.Exit(Exit.FAILED)


async def _all(
    configuration: Configuration, channels: Sequence[Channel]
) -> list[tuple[Channel, Sequence[Check]]]:
    found = await asyncio.gather(*(_one(configuration, channel) for channel in channels))
    return list(zip(channels, found, strict=True))


async def _one(configuration: Configuration, channel: Channel) -> Sequence[Check]:
    from engine.contract import Check, Checkable, EngineError
    from engine.flow.services import ChannelServices

    try:
        services = ChannelServices(channel, configuration.tls, configuration.root)
        component = channel.role.create(channel.settings, services)
        if not isinstance(component, Checkable):
            return [Check("settings", ok=True, detail="this connector has nothing else to check")]
        async with asyncio.timeout(_SECONDS):
            return await component.check()
    except EngineError as error:
        return [Check("settings", ok=False, detail=str(error))]
    except TimeoutError:
        return [Check("answer", ok=False, detail=f"nothing within {_SECONDS:g} seconds")]
