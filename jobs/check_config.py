"""`python -m jobs check-config`: tells a deployer what is missing or wrong for production, in words."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict

from jobs.config_checks import Finding, of_settings
from jobs.live_checks import of_surroundings
from kernel.settings import Settings, get_settings

READY, WRONG = 0, 1


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("check-config", help="tell what is missing or wrong for production, and what to do")
    parser.add_argument("--json", action="store_true", help="print a list of findings for machines")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every finding. Return 1 where one of them cannot stay, else 0."""
    findings = asyncio.run(check(get_settings()))
    if arguments.json:
        print(json.dumps([asdict(each) for each in findings], indent=2))
    else:
        _tell(findings)
    return WRONG if any(each.must for each in findings) else READY


async def check(settings: Settings) -> list[Finding]:
    """Return what must change first, then what should."""
    findings = [*await of_settings(settings), *await of_surroundings(settings)]
    return sorted(findings, key=lambda each: not each.must)


def _tell(findings: list[Finding]) -> None:
    for each in findings:
        print(f"{'wrong' if each.must else 'note '}  {each.variable} {each.problem}: {each.advice}")
    musts = sum(each.must for each in findings)
    print(f"{musts} to put right, {len(findings) - musts} to think about" if findings else "ready for production")
