"""The command line: parses, calls the library, prints, and ends with a code that says how it went.

Results go to stdout; all that is for the person (progress, hints, errors) goes to stderr.

Exit codes:
    0    done
    1    an error of ours: a missing model, a recording that can't be read, a full disk, ...
    2    usage: an option or an argument that makes no sense
    3    trust: files that are no longer what was recorded for them
    130  interrupted; 128 + n where signal n ended it
"""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; None for those of this process.

    Returns:
        The exit code.
    """
    try:
        from vsat.cli.application import run  # here, so that Ctrl-C is heeded while it loads

        return run(arguments)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return 130
