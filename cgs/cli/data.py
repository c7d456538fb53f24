"""Takes out of an experiment what other tools read: Lhotse manifests of its data, Praat TextGrids of its alignments."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cgs.base.errors import ConfigError, DataError
from cgs.base.files import write_text

FORMS = ("textgrid", "lhotse")


def add_command(commands: Any) -> None:
    """Add `data` to the commands of cgs."""
    told = "take out of an experiment what other tools read: alignments as Praat TextGrids, or data as Lhotse manifests"
    p = commands.add_parser("data", help=told, description=f"{told[0].upper()}{told[1:]}.", allow_abbrev=False)
    p.add_argument("form", choices=FORMS, help="textgrid: words and phones of stage 4; lhotse: recordings and supervisions of stage 1")
    p.add_argument("exp", type=Path, metavar="EXP", help="the experiment's directory, e.g. exp/mini_rm")
    p.add_argument("out", type=Path, metavar="OUT", help="where to write; made where it is not there")
    p.add_argument("--split", action="append", default=[], metavar="NAME", help="e.g. dev; may be repeated (default: all there are)")
    p.set_defaults(run=main)


def main(args: argparse.Namespace) -> int:
    """Write what is asked for and say how much. Raises: ConfigError: nothing to export. DataError: an unreadable file."""
    data, align = args.exp / "1-data", args.exp / "4-align"
    if args.form == "textgrid":
        there, stage = sorted(p.name.removesuffix(".phones.ctm") for p in align.glob("*.phones.ctm") if (data / p.name.removesuffix(".phones.ctm")).is_dir()), 4
    else:
        there, stage = sorted(path.parent.name for path in data.glob("*/wav.scp")), 1
    lacking = [split for split in args.split if split not in there]
    if lacking or not there:
        what = f"no split {lacking[0]!r} to export; there are: {', '.join(there) or 'none'}" if lacking else f"nothing to export for {args.form}"
        raise ConfigError(f"{args.exp}: {what}", f"name one of those, or run stage {stage} first" if there else f"run stage {stage} first")
    for split in args.split or there:
        if args.form == "textgrid":
            print(_text_grids(data / split, align, args.out / split))
        else:
            from cgs.data.export_lhotse import export_split

            print(f"{split}: {' and '.join(str(path) for path in export_split(data / split, args.out))}")
    return 0


def _text_grids(data_dir: Path, align: Path, out: Path) -> str:
    """Write a TextGrid for each aligned utterance of a split; returns what was done, in words."""
    from cgs.data.datadir import read_durations
    from cgs.data.textgrid import read_ctm, text_grid

    words, phones = (read_ctm(align / f"{data_dir.name}{kind}") for kind in (".ctm", ".phones.ctm"))
    seconds = read_durations(data_dir)
    odd = next((name for name in phones if name not in seconds or "/" in name), "")
    if odd:
        raise DataError(f"{align}: utterance {odd!r} is not one of {data_dir}, or no name for a file", "run stages 1 to 4 again")
    for name, intervals in phones.items():
        write_text(out / f"{name}.TextGrid", text_grid(seconds[name], {"words": words.get(name, []), "phones": intervals}))
    lacking = f"; {len(seconds) - len(phones)} utterances have no alignment" if len(seconds) > len(phones) else ""
    return f"{data_dir.name}: {len(phones)} TextGrids in {out}{lacking}"

