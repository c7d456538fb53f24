"""HMM topologies in Kaldi's text form."""

from __future__ import annotations

from collections.abc import Sequence

SPEECH_STATES = 3
SILENCE_STATES = 5


def _state(index: int, transitions: dict[int, float]) -> str:
    arcs = " ".join(f"<Transition> {target} {probability:g}" for target, probability in transitions.items())
    return f"<State> {index} <PdfClass> {index} {arcs} </State>"


def _entry(phones: Sequence[int], states: list[str]) -> str:
    numbers = " ".join(str(phone) for phone in phones)
    body = "\n".join([*states, f"<State> {len(states)} </State>"])
    return f"<TopologyEntry>\n<ForPhones>\n{numbers}\n</ForPhones>\n{body}\n</TopologyEntry>\n"


def topology_text(speech: Sequence[int], silence: Sequence[int]) -> str:
    """Topology of all phones.

    Args:
        speech: numbers of phones with three states from left to right, each with a loop: at least 3 frames.
        silence: numbers of silence and noise: five states, the inner three connected to each other, so that a long pause
            may wander among them; at least 3 frames too.
    Returns: the text that `HmmTopology` reads.
    """
    left_to_right = [_state(index, {index: 0.75, index + 1: 0.25}) for index in range(SPEECH_STATES)]
    first, last = 0, SILENCE_STATES - 1
    inner = range(1, last)
    pause = [_state(first, {first: 0.25, **dict.fromkeys(inner, 0.25)})]
    pause += [_state(index, dict.fromkeys([*inner, last], 0.25)) for index in inner]
    pause.append(_state(last, {last: 0.75, last + 1: 0.25}))
    return f"<Topology>\n{_entry(speech, left_to_right)}{_entry(silence, pause)}</Topology>\n"
