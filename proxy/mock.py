"""The mock of a proxy: with cassettes, its model is what was recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mockserver.config.settings import Settings

if TYPE_CHECKING:
    from mockserver.transport.app import MockApp


def make_mock(settings: Settings) -> MockApp:
    """The mock's app; raises SettingError for a store or a cassette that can't be opened."""
    from mockserver.transport.app import create_app

    if not settings.cassette or settings.default_mode != "mock":
        return create_app(settings)
    from proxy.cassettes.canonical import read_match
    from proxy.cassettes.file import load
    from proxy.recorded_model import RecordedModel

    cassettes = [load(path) for path in settings.cassette]
    model = RecordedModel(cassettes, read_match(settings.match), strict=settings.strict)
    # an unmatched turn is the model's to refuse: it knows what differs
    return create_app(replace(settings, strict=False), model)
