from typing import Any

from django.core.management.base import CommandError

from providers.doctor import Finding, Level, examine
from talkover.environments.management.base import OperatorCommand


class Command(OperatorCommand):
    help = (
        "Look whether this installation is sound: settings, database, keys, broker, workers, beat,"
        " mail, clocks, addresses, providers and syncs. Changes nothing; ends with 1 on errors."
    )
    # What they would refuse is to be reported here.
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **options: Any) -> None:
        findings = examine()
        errors = sum(finding.level == Level.ERROR for finding in findings)
        self.report(
            options,
            {
                "errors": errors,
                "warnings": sum(finding.level == Level.WARNING for finding in findings),
                "findings": [
                    {
                        "check": finding.check,
                        "level": finding.level,
                        "what": finding.what,
                        "remedy": finding.remedy,
                    }
                    for finding in findings
                ],
            },
            "\n".join(_describe(finding) for finding in findings),
        )
        if errors:
            raise CommandError(f"{errors} errors.")


def _describe(finding: Finding) -> str:
    line = f"{finding.level.value:8} {finding.check}: {finding.what}"
    return f"{line}\n{'':8} → {finding.remedy}" if finding.remedy else line
