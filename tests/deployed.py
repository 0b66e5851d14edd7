"""What tests ask of the files in ``deploy/``."""

from __future__ import annotations

from pathlib import Path

from wreckognize.serving.order import Order

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
USER = 10001


def known_options() -> set[str]:
    """The options that ``wreckognize serve`` has."""
    from typer.main import get_command

    from wreckognize.cli.app import app

    command = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def open_routes() -> set[str]:
    """The probes' addresses: they need no key."""
    from wreckognize.serving import app

    return {path for path, _, _ in app._ROUTES if path.endswith("z")}


def options_of(words: list[str]) -> set[str]:
    return {word for word in words if word.startswith("--")}


def value_of(words: list[str], option: str, default: str = "") -> str:
    return words[words.index(option) + 1] if option in words else default


def longest_stop(words: list[str]) -> float:
    """Seconds that a stop may take: the drain, the patience with open requests, and what the parent adds."""
    order = Order.__dataclass_fields__
    return float(value_of(words, "--drain", str(order["drain"].default))) + order["patience"].default + 10
