"""The toy world's writer: a program that answers the real prompts of proposer, repair and judge as a model would.

It knows nothing but the messages: facts, target, verdict and the solver's work are parsed from them. It makes mistakes,
at rates that were measured with a real model and are not tuned (see README.md).
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from questwell.llm.client import Completion, Request

NAME = "toy-writer"
WRONG = 0.2
"""Share of pairs whose answer differs from the facts: 80 % of a real model's first questions were correct
(docs/log.md, twenty seeds with the embedded 1.5B model)."""
SHORT = 0.5
"""Share of questions that need fewer searches than requested: 40 % of all met their target in that run, half of the
correct ones."""

_FACT = re.compile(r"^\[(\d+)\] (?:\w+: )?(\w+) of (\w+) is (\w+)$", re.MULTILINE)
_TARGET = re.compile(r"^Needed: (?:exactly |at least )?(\d+) search steps?$", re.MULTILINE)
_PAIR = re.compile(r"^Your question: (.+)\nYour answer: (.+)$", re.MULTILINE)
_JUDGED = re.compile(r"Reference answers:\n- (.+)\nGiven answer: (.+)\s*\Z")


@dataclass(frozen=True, slots=True)
class Fact:
    """`relation of subject is found`, as passage `number`."""

    number: int
    relation: str
    subject: str
    found: str

    @property
    def query(self) -> str:
        """The search that finds the fact."""
        return f"{self.relation} of {self.subject}"


Chain = tuple[Fact, ...]
"""Facts each of which begins where the one before ends."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A question, by the facts that lead to its true answer, and the answer that is given."""

    chain: Chain
    answer: str
    cited: Chain = ()
    """The facts that the answer claims to rest on; may differ from the chain."""


class Writer:
    """Answers a request; the script of a `ScriptedLLM`."""

    def __init__(self, relations: Sequence[str]) -> None:
        """Write in the language of these relations: like a model, it knows the words and not the facts."""
        self._relations = relations

    def __call__(self, request: Request) -> Completion:
        """The reply; equal requests get equal replies."""
        system = request.messages[0].content
        draw = random.Random(f"{request.seed}/{request.digest()}")
        if system.startswith("You write search questions"):
            text = self._propose(request, draw)
        elif system.startswith("Solvers tried a question of yours, and it was too easy"):
            text = self._harder(request, draw)
        elif system.startswith("Solvers tried a question of yours, and too few"):
            text = self._right(request, draw)
        else:
            text = _judge(request)
        return Completion(text, model=NAME, cost_usd=0.0)

    def _propose(self, request: Request, draw: random.Random) -> str:
        """Go outward from the seed's fact, one search per message, until there is a chain of the wanted length."""
        target = _target(request)
        facts = _facts(request)
        chains = [chain for chain in _chains(facts) if chain[0].number == 1]
        if not any(len(chain) >= target for chain in chains):
            tried = _searched(request)
            for chain in sorted(chains, key=len, reverse=True):
                used = {fact.relation for fact in chain}
                queries = [f"{relation} of {chain[-1].found}" for relation in self._relations if relation not in used]
                if new := [query for query in queries if query not in tried]:
                    return f"<think>What follows from {chain[-1].found}?</think><search>{draw.choice(new)}</search>"
        most = min(target, max(map(len, chains)))
        return _written(draw.choice([chain for chain in chains if len(chain) == most]), facts, draw)

    def _harder(self, request: Request, draw: random.Random) -> str:
        """Too easy: say one thing by what leads to it, or ask one fact further, if what was retrieved has the fact."""
        facts = _facts(request)
        question, answer = _pair(request)
        chain = _follow(question, facts)
        chains = _chains(facts)
        longer = [one for one in chains if len(one) == len(chain) + 1 and chain in (one[1:], one[:-1])]
        if chain and not longer:
            return _said(Pair(chain, answer), "Nothing that was retrieved leads further.")
        return _written(draw.choice(longer or chains), facts, draw, keep=chain or None)

    def _right(self, request: Request, draw: random.Random) -> str:
        """Not solved: check the answer. It is corrected if it was wrong, otherwise another chain is asked."""
        facts = _facts(request)
        question, answer = _pair(request)
        chain = _follow(question, facts)
        if chain and chain[-1].found != answer:
            return _said(_slip(chain, facts, draw), f"The passages lead to {chain[-1].found}, not to {answer}.")
        target = _target(request)
        chains = _chains(facts)
        most = min(target, max(map(len, chains)))
        return _written(draw.choice([one for one in chains if len(one) == most]), facts, draw)


def _written(chain: Chain, facts: Sequence[Fact], draw: random.Random, keep: Chain | None = None) -> str:
    """The pair for `chain`, with the mistakes that happen.

    A question falls short by naming something that it should describe; in a repair, by staying as it was (`keep`).
    """
    wanted = len(chain)
    if draw.random() < SHORT:
        chain = keep or chain[-draw.randint(1, max(1, len(chain) - 1)) :]
    return _said(_slip(chain, facts, draw), f"This should take {wanted} searches.")


def _slip(chain: Chain, facts: Sequence[Fact], draw: random.Random) -> Pair:
    """The pair with its true answer, or, with probability `WRONG`, with one that was misread from another fact."""
    known = {chain[0].subject, chain[-1].found}
    others = [(fact, name) for fact in facts for name in (fact.subject, fact.found) if name not in known]
    if others and draw.random() < WRONG:
        misread, name = draw.choice(others)
        return Pair(chain, name, (*chain[:-1], misread))
    return Pair(chain, chain[-1].found)


def _said(pair: Pair, thought: str) -> str:
    """A pair as a model writes it."""
    question = " of ".join([*(fact.relation for fact in reversed(pair.chain)), pair.chain[0].subject])
    steps = "\n".join(f"{fact.query} | {fact.found} | [{fact.number}]" for fact in pair.cited or pair.chain)
    return (
        f"<think>{thought}</think><question>{question}</question><answer>{pair.answer}</answer><steps>{steps}</steps>"
    )


def _chains(facts: Sequence[Fact]) -> list[Chain]:
    """Every chain of `facts` that uses no relation and meets no entity twice: the toy has no other questions."""
    found: list[Chain] = [(fact,) for fact in facts if fact.found != fact.subject]
    for chain in found:  # grows during the loop
        relations = {fact.relation for fact in chain}
        met = {chain[0].subject, *(fact.found for fact in chain)}
        found += [
            (*chain, fact)
            for fact in facts
            if fact.subject == chain[-1].found and fact.relation not in relations and fact.found not in met
        ]
    return found


def _follow(question: str, facts: Sequence[Fact]) -> Chain:
    """The facts that answer `question`; empty when one is not among `facts`."""
    *relations, at = question.split(" of ")
    chain: list[Fact] = []
    for relation in reversed(relations):
        fact = next((one for one in facts if (one.relation, one.subject) == (relation, at)), None)
        if fact is None:
            return ()
        chain.append(fact)
        at = fact.found
    return tuple(chain)


def _facts(request: Request) -> list[Fact]:
    """The passages that the request shows, each once."""
    shown = [
        found for message in request.messages if message.role == "user" for found in _FACT.findall(message.content)
    ]
    facts = [Fact(int(number), *words) for number, *words in shown]
    return list({fact.number: fact for fact in facts}.values())


def _searched(request: Request) -> set[str]:
    """The queries of this rollout so far."""
    said = "\n".join(message.content for message in request.messages if message.role == "assistant")
    return set(re.findall(r"<search>(.+?)</search>", said)) | {fact.query for fact in _facts(request)}


def _target(request: Request) -> int:
    return int(_TARGET.findall(request.messages[1].content)[-1])


def _pair(request: Request) -> tuple[str, str]:
    question, answer = _PAIR.findall(request.messages[1].content)[-1]
    return question, answer


def _judge(request: Request) -> str:
    """Names of the toy world mean the same only if they are the same."""
    found = _JUDGED.search(request.messages[-1].content)
    return f"verdict: {'yes' if found and found[1].strip() == found[2].strip() else 'no'}"
