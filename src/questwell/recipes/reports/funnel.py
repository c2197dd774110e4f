"""From seeds to items: each played seed is accepted or has exactly one reason, so the counts add up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from questwell.store.reader import RunReader
from questwell.store.records import PlayCount
from questwell.types.game import Reason


@dataclass(frozen=True, slots=True)
class Funnel:
    """What happened to the seeds. `candidates == accepted + sum(rejected.values())`."""

    drawn: int
    """Number of seeds saved for playing; `candidates` of them are played."""
    candidates: int
    accepted: int
    rejected: dict[Reason, int]
    """Each reason that occurred, most frequent first."""
    unfinished: int
    """Number of seeds drawn but not played to an outcome yet."""

    @property
    def acceptance(self) -> float | None:
        """Share of candidates that are accepted, a fraction in [0, 1]; None without candidates."""
        return self.accepted / self.candidates if self.candidates else None


def funnel(counts: Sequence[PlayCount], drawn: int, duplicates: int) -> Funnel:
    """Return the funnel of a run of `drawn` seeds from its counts; `duplicates` accepted plays are not items."""
    ended = [count for count in counts if count.final]
    reasons: Counter[Reason] = Counter()
    for count in ended:
        if count.reason is not None:
            reasons[count.reason] += count.plays
    if duplicates:
        reasons[Reason.DUPLICATE] += duplicates
    candidates = sum(count.plays for count in ended)
    ordered = dict(sorted(reasons.items(), key=lambda pair: (-pair[1], list(Reason).index(pair[0]))))
    return Funnel(drawn, candidates, candidates - reasons.total(), ordered, drawn - candidates)


def funnel_of(run: RunReader) -> Funnel:
    """Return the funnel of the run behind `run`."""
    return funnel(run.play_counts(), run.drawn(), run.duplicates())


ADVICE: Mapping[Reason, str] = {
    Reason.NO_PROPOSAL: "the proposer ended without a question: a stronger proposer, more proposer_turns, fewer steps",
    Reason.NO_REPAIR: "a proposal failed and could not be repaired: a stronger proposer, fewer steps",
    Reason.UNCHANGED_REPAIR: "repairs came back as they were: a stronger proposer, or --variant resample",
    Reason.BAD_FORM: "the pairs broke a rule of form (questwell show RUN sNNNNN says which): a stronger proposer",
    Reason.WRONG_KIND: "the questions were not of the kind asked for (questwell show RUN sNNNNN says why): a stronger "
    "proposer, or other --kinds",
    Reason.TOO_EASY: "the questions took fewer searches, or were solved more often, than asked: ask for less, or allow "
    "more rounds",
    Reason.TOO_HARD: "too few attempts were right: widen the band, or use a stronger solver",
    Reason.UNSOLVED: "no attempt was right: lower the steps, use a stronger solver, or allow more solver_turns",
    Reason.CLOSED_BOOK: "the model knew the answers without searching: a corpus that it has not read",
    Reason.UNSUPPORTED: "the evidence did not give the answers: a stronger proposer",
    Reason.SHORTCUT: "one search with the question itself was enough: more rounds, a stronger proposer, higher steps",
    Reason.AMBIGUOUS: "other answers fit too: a stronger proposer",
    Reason.SINGLE_DOCUMENT: "one document held the whole answer: a stronger proposer, more rounds",
    Reason.UNNEEDED_EVIDENCE: "a document of the evidence was not needed: a stronger proposer, more rounds",
    Reason.NOT_FINDABLE: "the retriever does not find the evidence: another retriever (hybrid), shorter passages",
    Reason.UNDATED: "answers may change with time: a corpus of facts that do not, or a stronger proposer",
    Reason.WEAK_SOLVED: "the weak solver answered too: a stronger proposer, more rounds, a weaker weak solver",
    Reason.HARD_OR_BROKEN: "no attempt gave the answer, so it is very hard or wrong: a stronger solver, or read them",
    Reason.DUPLICATE: "the same questions came again: a larger corpus",
    Reason.NEAR_DUPLICATE: "nearly the same questions came again: a larger corpus, --topics, or --near-duplicates keep",
    Reason.UNSCORED: "the judge gave no readable verdict: a stronger judge (judge_llm)",
    Reason.NO_MOVES: "the model does not play: see a reply (questwell show RUN sNNNNN); try the other --protocol, or "
    "--style staged for a small model",
    Reason.LOOPING: "the proposer searches for the same again and again: use a larger model, or --style staged",
    Reason.FILTERED: "the endpoint's content filter refuses passages of the corpus: use another model for the proposer",
    Reason.ERRORED: "calls failed (questwell show RUN sNNNNN says how): mend that, then go on with --resume",
}
"""Advice for each reason."""


WHY: Mapping[Reason, str] = {
    Reason.NO_PROPOSAL: "the proposer ended without a question that could be tried",
    Reason.NO_REPAIR: "its question failed, and the proposer could not repair it",
    Reason.UNCHANGED_REPAIR: "its question failed, and the repair was the same again",
    Reason.NO_MOVES: "the proposer's messages held no move",
    Reason.LOOPING: "the proposer searched for the same again and again",
    Reason.FILTERED: "the content filter of the proposer's endpoint refused the text",
    Reason.BAD_FORM: "the question or its answer broke a rule of form",
    Reason.WRONG_KIND: "the question is not of the kind that was asked for",
    Reason.TOO_EASY: "a right attempt needed fewer searches than wanted",
    Reason.TOO_HARD: "too few attempts were right",
    Reason.UNSOLVED: "no attempt was right",
    Reason.CLOSED_BOOK: "it was answered without any passage",
    Reason.UNSUPPORTED: "its own evidence does not give the answer",
    Reason.SHORTCUT: "one search with the question itself was enough",
    Reason.AMBIGUOUS: "another answer fits too",
    Reason.SINGLE_DOCUMENT: "one document of the evidence was enough",
    Reason.UNNEEDED_EVIDENCE: "a document of the evidence was not needed",
    Reason.NOT_FINDABLE: "the retriever does not find a document of the evidence",
    Reason.UNDATED: "its answer may change with time, and it does not say for when",
    Reason.WEAK_SOLVED: "the weak solver answered it too",
    Reason.HARD_OR_BROKEN: "no attempt gave the answer: it is very hard, or the answer is wrong",
    Reason.DUPLICATE: "an earlier seed has the same question",
    Reason.NEAR_DUPLICATE: "an earlier item asks nearly the same",
    Reason.UNSCORED: "the judge gave no verdict that could be read",
    Reason.ERRORED: "calls failed: this says nothing about the question",
}
"""Reasons why a seed gave no item, for readers who do not know the names."""


def explain(counts: Funnel) -> list[str]:
    """Explain why nothing, or not more, was accepted: each reason with its count and advice."""
    return [f"{count} {reason.value}: {ADVICE[reason]}" for reason, count in counts.rejected.items()]
