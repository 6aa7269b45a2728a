"""The pipelines: one module per domain, and the engine that runs them."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.engine.model import Domain

NOT_DOMAINS = ("engine", "demo")


def available() -> "Mapping[str, Domain]":
    """The domains of this installation by name: every module beside this file that declares a DOMAIN."""
    names = sorted(module.name for module in iter_modules(__path__) if module.name not in NOT_DOMAINS)
    modules = {name: import_module(f"pipelines.{name}") for name in names}
    return {name: module.DOMAIN for name, module in modules.items() if hasattr(module, "DOMAIN")}
