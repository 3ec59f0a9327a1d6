"""The command line: ``python -m benchmarks [command]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.common import BenchmarkError, say
from benchmarks.questions import (
    compare,
    defaults,
    denoising,
    documents,
    few_labels,
    generative,
    images,
    likelihood,
    overhead,
    pretraining,
    regularization,
    scaling,
    search,
    sequences,
)

COMMANDS = {
    "compare": compare,
    "overhead": overhead,
    "scaling": scaling,
    "defaults": defaults,
    "regularization": regularization,
    "search": search,
    "few_labels": few_labels,
    "denoising": denoising,
    "pretraining": pretraining,
    "documents": documents,
    "images": images,
    "sequences": sequences,
    "generative": generative,
    "likelihood": likelihood,
}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser, with one subcommand for each question."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Benchmarks of sklearn_ae. Without a command, compare is run.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name, help=module.HELP, description=module.__doc__.splitlines()[0]
        )
        module.add_arguments(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one benchmark; return 2 for a request that cannot be met."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] not in (*COMMANDS, "-h", "--help"):
        words.insert(0, "compare")
    parser = make_parser()
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        hint = f"python -m benchmarks {arguments.command} --help lists what there is"
        if not unknown[0].startswith("-"):
            hint = f"a data set or a file is given by --dataset {unknown[0]}"
        parser.error(f"unrecognized arguments: {' '.join(unknown)}; {hint}")
    try:
        COMMANDS[arguments.command].run(arguments)
    except BenchmarkError as error:
        say(f"error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
