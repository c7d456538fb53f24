"""The language of mini_rm: a naval command and query grammar of our own, and sentences drawn from it.

Owns the rules, the vocabulary and the ten keywords. Standard library only."""

from __future__ import annotations

import random
import re
from functools import cache

from cgs.base.errors import ConfigError

Sentence = tuple[str, ...]
START = "sentence"
KEYWORDS = ("anchor", "convoy", "emergency", "fuel", "harbor", "helicopter", "position", "radar", "rendezvous", "torpedo")
"""Words to spot. Each stands inside sentences, has one form only (no plural), and is like no other word of the vocabulary."""

RULES: dict[str, str] = {
    "sentence": "7 <status query> | 7 <distance query> | 7 <fleet query> | 7 <movement query> | 5 <supply query> | 6 <display> | 11 <order> | "
    "6 <weapons> | 6 <air> | 8 <report> | 5 <settings>",
    "status query": "4 what is the <attribute> of <the ship> | 3 what is the position of <the ship> <time> | 2 is <the ship> <state> | "
    "is the <system> aboard <the ship> working | 2 which <classes> have a <condition> <system> | "
    "has <the ship> reported any damage to the <system> | who commands <the ship> | 2 what is the call sign of <the ship>",
    "distance query": "4 how far is <the ship> from <place> | 3 how far is <the ship> from the convoy | 2 what is the distance between <ship> and <ship> | "
    "2 which <class> is nearest to <place> | 2 how <degree> is <the ship> | are there any <classes> within <quantity> miles of <place>",
    "fleet query": "4 how many <classes> are <where> | 4 which <classes> are <where> | 2 how many <classes> in the <fleet> fleet <ability> | "
    "list all <classes> <where> | 2 are any <classes> <where> <time> | is there a <class> <where>",
    "movement query": "4 when will <the ship> reach <place> | 3 when did <the ship> leave <place> | 2 where was <the ship> <time> | "
    "2 can <the ship> reach <place> by <clock> | 2 why is <the ship> late for the rendezvous | will <the ship> arrive <time> | "
    "3 how long will <the ship> stay in the harbor at <port>",
    "supply query": "4 how much fuel does <the ship> have left | 2 how much <supply> is aboard <the ship> | "
    "2 does <the ship> have enough fuel to reach <place> | 2 which <classes> need <supply> before <day> | "
    "what is the fuel reserve of <the ship> in tons",
    "display": "3 <show> the track of <the ship> <since> | 3 <show> the position of every <class> <where> | "
    "3 <show> all <classes> <where> sorted by <attribute> | 2 <show> a chart of <place> with <overlay> | "
    "2 draw a circle of <quantity> miles around <place> | 2 <show> the <attribute> of <the ship> and <the ship>",
    "order": "4 order <the ship> to proceed to <place> at <knots> knots | 3 order <the ship> to join the convoy <where> | "
    "4 send <the ship> to the rendezvous with <ship> <time> | 3 turn to heading <bearing> | 4 let <the ship> drop anchor <near> | "
    "4 tell <the ship> to raise the anchor at <clock> | 2 return <the ship> to the harbor <time> | 2 escort the convoy from <port> to <port> | "
    "2 have <the ship> refuel at <port> <time> | 2 cancel the rendezvous between <ship> and <ship>",
    "weapons": "4 load a torpedo into tube <small> of <the ship> | 3 fire one torpedo at bearing <bearing> | "
    "2 has <the ship> launched a torpedo at the <class> | "
    "2 track the target at bearing <bearing> | 2 a torpedo was seen <quantity> yards <direction> of <the ship> | "
    "hold all <weapon> fire until <clock>",
    "air": "3 launch the helicopter from <the ship> at <clock> | 2 is a helicopter aboard <the ship> | "
    "2 the helicopter of <the ship> is <direction> of <place> | 2 how many miles can the helicopter of <the ship> fly with this fuel | "
    "recall every helicopter before <clock>",
    "report": "4 report an emergency aboard <the ship> | 3 <the ship> has an emergency in the <compartment> | "
    "3 radar contact at bearing <bearing> range <quantity> miles | 2 report the position of the <class> to <port> | "
    "3 declare an emergency and <respond> | 2 <the ship> has lost radar contact with the <class> | <the ship> is at anchor <near>",
    "settings": "3 turn the radar <switch> | 2 set the radar range to <quantity> miles | 2 set the speed to <knots> knots | "
    "change the scale to <quantity> miles | 2 clear the <screen> display of <the ship> | 2 center the <screen> display on <the ship>",
    "the ship": "5 the <ship> | 3 <ship> | the <class> <ship>",
    "ship": "adventure | albatross | arcturus | badger | bastion | cormorant | corsair | crusader | dauntless | defiance | eclipse | endeavor | "
    "falcon | gannet | halcyon | horizon | intrepid | javelin | juniper | kestrel | lancer | leopard | liberty | magellan | mariner | "
    "meridian | nautilus | osprey | panther | pelican | pioneer | raven | resolute | sentinel | shearwater | tempest | trident | valiant | "
    "viking | wolverine | zephyr",
    "class": "carrier | cruiser | destroyer | frigate | minesweeper | submarine | tanker | tender | tug",
    "classes": "2 carriers | 3 cruisers | 3 destroyers | 3 frigates | 2 minesweepers | 3 submarines | 2 tankers | tugs | 3 ships | 2 vessels",
    "attribute": "3 position | 3 speed | 2 course | length | range | displacement | cargo | readiness | destination | 2 status | home port",
    "system": "3 radar | 2 sonar | engine | rudder | propeller | radio | winch",
    "condition": "broken | damaged | faulty | working | spare",
    "state": "2 ready | 2 at anchor | in the harbor | 2 under repair | leaving <port> | <direction> of <place> | safe | delayed",
    "degree": "fast | long | deep | old | heavy",
    "ability": "carry a helicopter | have sonar | can reach <place> | are ready | are under repair",
    "fleet": "northern | southern | eastern | western | reserve",
    "where": "3 in the <sea> | 2 in the harbor at <port> | 3 within <quantity> miles of <place> | 2 <direction> of <place> | 2 <near> | in the convoy | "
    "on the way to <port> | in radar range",
    "near": "2 near <port> | off <port> | outside the harbor",
    "place": "5 <port> | 2 the <sea> | the convoy",
    "port": "aberdeen | auckland | bergen | boston | brisbane | cadiz | dakar | darwin | durban | halifax | honolulu | kingston | lisbon | malta | "
    "manila | mombasa | naples | osaka | oslo | plymouth | rotterdam | seattle | singapore | sydney | valencia | yokohama",
    "sea": "baltic sea | coral sea | red sea | tasman sea | north atlantic | south atlantic | north pacific | south pacific | indian ocean | "
    "gulf of aden | bering strait | arctic ocean",
    "direction": "north | south | east | west | northeast | northwest | southeast | southwest",
    "time": "today | tomorrow | yesterday | tonight | 2 on <day> | 2 at <clock> | this week | 3 on <month> <number>",
    "since": "since <day> | since <clock> | for the last <number> hours | for the last <small> days",
    "day": "monday | tuesday | wednesday | thursday | friday | saturday | sunday",
    "month": "january | february | march | april | may | june | july | august | september | october | november | december",
    "clock": "noon | midnight | dawn | dusk | 4 <hour> hundred hours",
    "hour": "zero <small> | ten | eleven | twelve | thirteen | fourteen | fifteen | sixteen | seventeen | eighteen | nineteen | twenty | twenty one | "
    "twenty two | twenty three",
    "bearing": "<digit> <digit> <digit>",
    "digit": "zero | <small>",
    "small": "one | two | three | four | five | six | seven | eight | nine",
    "number": "<small> | ten | eleven | twelve | thirteen | fourteen | fifteen | sixteen | seventeen | eighteen | nineteen | twenty",
    "tens": "twenty | thirty | forty | fifty | sixty | seventy | eighty | ninety",
    "quantity": "2 <number> | 3 <tens> | 2 <tens> <small> | 2 <small> hundred | <small> hundred <tens> | <small> thousand",
    "knots": "<small> | ten | twelve | fifteen | eighteen | twenty | twenty <small> | thirty",
    "supply": "3 fuel | fresh water | food | ammunition | medicine | oil",
    "show": "2 show | display | 2 show me | plot",
    "overlay": "all <classes> | the convoy | the depth in fathoms | the <sea>",
    "weapon": "gun | missile | torpedo",
    "compartment": "engine room | galley | radio room | fuel bunker | bridge | stern",
    "respond": "call <port> for help | return to <port> | signal <the ship> | head for the harbor at <port>",
    "switch": "on | off",
    "screen": "radar | sonar | chart | weather",
}
"""Alternatives of each rule, with whole weights in front; a name in angle brackets is another rule."""
_TOKEN = re.compile(r"<[^>]+>|\S+")


@cache
def alternatives(rule: str) -> tuple[tuple[int, Sentence], ...]:
    """Right-hand sides of a rule: (weight, symbols), where a symbol "<name>" is another rule and anything else a word."""
    found = []
    for text in RULES[rule].split("|"):
        tokens = tuple(_TOKEN.findall(text))
        weighted = tokens[0].isdecimal()
        found.append((int(tokens[0]) if weighted else 1, tokens[1:] if weighted else tokens))
    return tuple(found)


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word of the grammar, sorted."""
    return tuple(sorted({symbol for rule in RULES for _, symbols in alternatives(rule) for symbol in symbols if not symbol.startswith("<")}))


@cache
def count_derivations(rule: str = START) -> int:
    """Number of ways to derive a sentence: an upper bound on the number of distinct sentences."""
    total = 0
    for _, symbols in alternatives(rule):
        ways = 1
        for symbol in symbols:
            ways *= count_derivations(symbol[1:-1]) if symbol.startswith("<") else 1
        total += ways
    return total


def draw_sentence(generator: random.Random, rule: str = START) -> Sentence:
    """One sentence, each alternative with its weight's probability."""
    weights, choices = zip(*alternatives(rule), strict=True)
    words: list[str] = []
    for symbol in generator.choices(choices, weights)[0]:
        words.extend(draw_sentence(generator, symbol[1:-1]) if symbol.startswith("<") else (symbol,))
    return tuple(words)


def draw_disjoint(sizes: dict[str, int], seed: int) -> dict[str, list[Sentence]]:
    """Sets of sentences of which no two, within a set or between sets, are equal.

    Args:
        sizes: sentences wanted in each set; drawn in this order.
        seed: the same seed and sizes give the same sentences.
    Returns: the sets, by name.
    Raises: ConfigError: the grammar yields no new sentence in a thousand draws.
    """
    generator = random.Random(f"mini_rm sentences {seed}")
    seen: set[Sentence] = set()
    drawn: dict[str, list[Sentence]] = {}
    for name, size in sizes.items():
        drawn[name] = []
        while len(drawn[name]) < size:
            for _ in range(1000):
                sentence = draw_sentence(generator)
                if sentence not in seen:
                    break
            else:
                total = sum(sizes.values())
                what = f"mini_rm: the grammar has too few sentences for {total} distinct ones"
                raise ConfigError(what, "lower local.lm_sentences or the numbers of utterances")
            seen.add(sentence)
            drawn[name].append(sentence)
    return drawn
