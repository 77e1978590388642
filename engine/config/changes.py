"""What a reload changes.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from engine.config.model import Channel, Configuration


@dataclass(frozen=True, slots=True)
class ConfigurationChange:
    """Names of channels, sorted.  Channels that are in none of them keep running untouched, with
    their connections; routes and mappings are always the new ones."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    routes: tuple[str, ...]  # routes that are new, changed or gone, or whose mappings changed

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.routes)


def diff(old: Configuration, new: Configuration) -> ConfigurationChange:
    """A channel is changed when its file, a secret in it, the TLS profile it names, or the content
    of a certificate is."""
    both = old.channels.keys() & new.channels.keys()
    return ConfigurationChange(
        added=tuple(sorted(new.channels.keys() - old.channels.keys())),
        changed=tuple(sorted(name for name in both if _differs(name, old, new))),
        removed=tuple(sorted(old.channels.keys() - new.channels.keys())),
        routes=_routes(old, new),
    )


def _differs(name: str, old: Configuration, new: Configuration) -> bool:
    before, after = old.channels[name], new.channels[name]
    return (
        before.version != after.version
        or before.settings != after.settings
        or before.spec != after.spec
        or before.certificates != after.certificates
        or _profile(before, old) != _profile(after, new)
    )


def _profile(channel: Channel, configuration: Configuration) -> object:
    tls = getattr(channel.settings, "tls", None)
    return configuration.tls.get(tls) if isinstance(tls, str) else None


def _routes(old: Configuration, new: Configuration) -> tuple[str, ...]:
    before, after = _versions(old), _versions(new)
    return tuple(
        sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    )


def _versions(configuration: Configuration) -> dict[str, tuple[str, ...]]:
    return {
        route.name: (
            route.version,
            *(target.mapping.version for target in route.targets if target.mapping is not None),
        )
        for route in configuration.routes
    }
