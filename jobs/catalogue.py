"""Which module holds which command of `python -m jobs`, so that a process loads the one that it was asked for."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from importlib import import_module

# In the order in which `--help` lists them.
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "imports": ("import-stations", "import-prices", "remove-demo-stations"),
    "audit": ("audit-ledger",),
    "finance": ("finance-status", "rebuild-journal"),
    "finance_report": ("finance-report", "close-finance-days"),
    "epochs": ("new-epoch",),
    "ledger_partitions": ("prepare-partitions",),
    "operators": ("add-staff", "remove-staff", "staff-token", "add-offer", "story"),
    "access": ("client", "signing-keys", "enrol-staff"),
    "acting": ("audit-staff", "staff-actions"),
    "manual_queue": ("manual-queue", "retry", "dismiss"),
    "work_status": ("work-status",),
    "held_prices": ("held-prices", "release-price", "refuse-price"),
    "reconcile": ("reconcile", "suspense-ageing"),
    "funds": ("sweep", "escrow"),
    "issuers": ("issuer-status",),
    "abnormal_refunds": ("pay-abnormal-refund",),
    "channels": ("channel-status",),
    "switches": ("switch", "switches"),
    "organisations": ("organisation",),
    "check_config": ("check-config",),
    "deprecated_usage": ("deprecated-usage",),
}
MODULE_OF = {command: module for module, commands in COMMANDS.items() for command in commands}


def modules_for(arguments: list[str]) -> Iterable[str]:
    """Return the modules whose commands can be meant: one where the first word is a command, or else all of them."""
    if arguments and (module := MODULE_OF.get(arguments[0])):
        return (module,)
    return COMMANDS


def add_commands_of(module: str, commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Load one module of the table and let it register its commands."""
    import_module(f"jobs.{module}").add_commands(commands)
