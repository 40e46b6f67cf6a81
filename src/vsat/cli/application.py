"""The `vsat` command: its global options, its subcommands (loaded when asked for), its end."""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import click

from vsat import __version__
from vsat.cli.failures import INTERRUPTED, report

if TYPE_CHECKING:
    from vsat.registry import ModelRegistry

COMMANDS = {  # in the order of the help: name, module of this package
    "separate": "separating",
    "models": "listing",
    "show": "listing",
    "use": "changing",
    "rollback": "changing",
    "history": "listing",
    "register": "registering",
    "import": "importing",
    "evaluate": "evaluating",
    "compare": "evaluating",
    "testset": "testsets",
    "search": "searching",
    "pull": "pulling",
    "export": "exporting",
    "rm": "changing",
    "verify": "mending",
    "repair": "mending",
    "df": "room",
    "prune": "room",
    "config": "room",
    "backup": "copies",
    "restore": "copies",
    "doctor": "doctor",
}


@dataclass(frozen=True)
class Invocation:
    """What the global options say.

    Attributes:
        home: folder of the registry; None for the default one.
    """

    home: str | None

    def registry(self) -> "ModelRegistry":
        """Open the registry."""
        from vsat.registry import ModelRegistry

        return ModelRegistry(self.home)


class LazyGroup(click.Group):
    """Loads a subcommand's module when it is asked for: `vsat models` needs no other's imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """See `click.Group.list_commands`."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """See `click.Group.get_command`."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"vsat.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(
            module, f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        )
        return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 error, 2 usage, 3 files are not what was recorded, "
    "130 interrupted.",
)
@click.version_option(__version__, "-V", "--version", message="vsat %(version)s")
@click.option(
    "--home",
    metavar="DIR",
    help="Folder of the registry. Default: the variable VSAT_HOME, else your folder for data.",
)
@click.option("--debug", is_flag=True, help="Show where an error comes from, for a report.")
@click.pass_context
def vsat(context: click.Context, home: str | None, debug: bool) -> None:
    """Separate voices, and manage the models that do it, each in numbered versions.

    A model is named ID, for its current version, or ID@VERSION.
    """
    del debug  # looked at where errors end: in `run`
    context.obj = Invocation(home)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; whatever goes wrong becomes a message and an exit code."""
    _heed_termination()
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code: Any = vsat.main(args=given, prog_name="vsat", standalone_mode=False)
        sys.stdout.flush()
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return 1
    except Exception as error:  # the one place where everything ends
        if "--debug" in given:
            raise
        _discard_output_if_broken()
        return report(error)
    return code if isinstance(code, int) else 0


def _heed_termination() -> None:
    """Make a polite request to end unwind like Ctrl-C does, so that nothing stays half-written."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, end)


def _discard_output_if_broken() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _discard_output()


def _discard_output() -> None:
    """Lose what stdout can't take, lest the interpreter fail once more when it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
