"""How a command ends when something went wrong: a message, a hint, an exit code."""

import sys

import click

from vsat.cli.output import plain
from vsat.errors import Cancelled, DamagedError, UsageError, VsatError

FAILED, WRONG_USAGE, NOT_TRUSTED, INTERRUPTED = 1, 2, 3, 130


def exit_code(error: Exception) -> int:
    """The exit code for an error.

    An argument that the library refuses, such as an impossible model id, counts as usage like one
    that click refuses; a model that isn't there does not.
    """
    match error:
        case Cancelled():
            return INTERRUPTED
        case DamagedError():
            return NOT_TRUSTED
        case UsageError() | click.UsageError():
            return WRONG_USAGE
        case _:
            return FAILED


def report(error: Exception) -> int:
    """Print an error and its hint on stderr; return the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return WRONG_USAGE
    message, hint = explain(error)
    click.echo(f"{click.style('error:', fg='red', bold=True)} {plain(message)}", err=True)
    if hint:
        click.echo(f"{click.style('hint:', fg='cyan')} {plain(hint)}", err=True)
    return exit_code(error)


def explain(error: Exception) -> tuple[str, str]:
    """The message and the hint (or empty) of any error."""
    match error:
        case VsatError():
            return error.message, error.hint
        case click.ClickException():
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "vsat"
            return error.format_message(), f"Run: {command} --help"
        case MemoryError():
            return "There is not enough memory.", "Close other programs and run it again."
        case OSError():
            reason = error.strerror or type(error).__name__
            place = f": {error.filename}" if error.filename else ""
            return f"{reason}{place}.", "Check the path, its permissions and the free space."
    return (
        f"This should not have happened ({type(error).__name__}: {error}).",
        f"Report it with what this shows: vsat --debug {' '.join(sys.argv[1:])}",
    )
