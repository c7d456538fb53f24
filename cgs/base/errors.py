"""The errors a user can meet: one line each, and an exit code for each family."""

from __future__ import annotations


class CgsError(Exception):
    """A problem the user can mend.

    Args:
        message: where (file and line, utterance or key), what, and the offending value.
        remedy: what to do about it, as an instruction; empty where the message already says so.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(message, remedy)

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class ConfigError(CgsError):
    """An option or a recipe that cannot be used."""

    exit_code = 2


class CorpusError(CgsError):
    """A corpus tree that is missing, incomplete or in another layout."""

    exit_code = 3


class DataError(CgsError):
    """A data directory, transcript, lexicon or recording that breaks the contract."""

    exit_code = 4


class ShapeError(CgsError):
    """Arrays whose shapes do not fit each other."""

    exit_code = 5


class FormatError(CgsError):
    """A file of ours, or an archive, that is truncated, altered or of another version."""

    exit_code = 6


class ToolError(CgsError):
    """A program or library that is missing or does not work here."""

    exit_code = 7


class DiskError(CgsError):
    """No space, or no permission to write."""

    exit_code = 8


class TrainError(CgsError):
    """Training or alignment that diverged or has nothing to train on."""

    exit_code = 9


class ProblemsError(CgsError):
    """Several problems found in one pass, one line each."""

    def __init__(self, heading: str, problems: list[str], exit_code: int) -> None:
        self.heading, self.problems, self.exit_code = heading, problems, exit_code
        told = [f"{heading}: {len(problems)} problems", *(f"  - {p}" for p in problems)] if len(problems) > 1 else problems
        super().__init__("\n".join(told))

    def __reduce__(self) -> tuple:
        return type(self), (self.heading, self.problems, self.exit_code)
