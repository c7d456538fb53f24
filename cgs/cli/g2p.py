"""How words are said, guessed from a lexicon: `python -m cgs.cli.g2p --lexicon FILE WORD ...`."""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Any

from cgs.base.errors import CgsError, DataError

TOLD = "guess how words are said, by a model learnt from a lexicon"


def add_command(commands: Any) -> None:
    """Add `g2p` to the commands of cgs."""
    add_arguments(commands.add_parser("g2p", help=TOLD, description=f"{TOLD[0].upper()}{TOLD[1:]}.", allow_abbrev=False))


def add_arguments(p: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    p.add_argument("--lexicon", type=Path, required=True, metavar="FILE", help="lines of a word and its phones, or a dictionary in CMUdict's format")
    p.add_argument("--n-best", type=int, default=1, metavar="N", help="guesses of each word (default: 1)")
    p.add_argument("--held-out", type=int, default=0, metavar="N", help="keep N words of the lexicon apart and tell how many of them are guessed wrongly")
    p.add_argument("words", nargs="*", metavar="WORD", help="words to guess; each line told is word, phones, and the guess's share of the probability")
    p.set_defaults(run=main)


def main(args: argparse.Namespace) -> int:
    """Learn, then tell. Raises: DataError: a bad lexicon, nothing left to learn from, or a word with letters that it lacks."""
    from cgs.data.graphemes import read_pronunciations
    from cgs.lang.g2p import guess_errors, learn_spelling

    lexicon, note = read_pronunciations(args.lexicon)
    print(f"{args.lexicon}: {note}", file=sys.stderr)
    if args.held_out:
        if not 0 < args.held_out < len(lexicon):
            raise DataError(f"{args.lexicon}: {args.held_out} of {len(lexicon)} words cannot be kept apart", "use fewer")
        kept = set(random.Random(0).sample(sorted(lexicon), args.held_out))
        model, _ = learn_spelling({word: ways for word, ways in lexicon.items() if word not in kept})
        phones, words = guess_errors(model, {word: lexicon[word] for word in sorted(kept)})
        print(f"{args.held_out} words kept apart: {100 * phones:.1f} % of their phones and {100 * words:.1f} % of the words guessed wrongly")
    if args.words:
        model, _ = learn_spelling(lexicon)
        for word in args.words:
            guesses = model.guess(word.casefold(), args.n_best)
            if not guesses:
                raise DataError(f"{word!r} has a letter that no word of {args.lexicon} has", "write it with the letters of the lexicon")
            for guess in guesses:
                print(f"{word}\t{' '.join(guess.phones)}\t{guess.share:.3f}")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m cgs.cli.g2p", description=f"{TOLD[0].upper()}{TOLD[1:]}.", allow_abbrev=False)
    add_arguments(parser)
    try:
        sys.exit(main(parser.parse_args()))
    except CgsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
