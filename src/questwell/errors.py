"""Every error that Questwell raises on purpose, named after the boundary that was crossed.

QuestwellError
├── ConfigError             what the user asked for cannot be done as written
├── AssetError              a public file (weights, a corpus) could not be fetched, or is not the expected one
├── CorpusError             a corpus file is malformed; says which file and line
├── BenchmarkError          a benchmark file is malformed; says which file and record
├── RetrievalError          the retriever failed; the query got no answer
│   ├── IndexMismatch       an index was built with other settings than it is opened with
│   ├── RetrievalTimeout    no hits before the deadline
│   ├── RetrievalBusy       too many queries are waiting; says when to try again
│   ├── RetrievalUnavailable  it could not be reached, or kept failing after all retries
│   ├── RetrievalRefused    it refused the query and a retry cannot help (key, quota, bad request)
│   └── MalformedHits       its reply is not a list of passages
├── LLMError                a model endpoint gave no usable completion
│   ├── LLMUnavailable      it could not be reached, or kept failing after all retries
│   ├── LLMTimeout          it did not answer in time after all retries
│   ├── LLMRefused          it refused the request and a retry cannot help (key, model name, bad request)
│   │   └── LLMFiltered     its content filter rejected the text
│   ├── ContextOverflow     the request is longer than the model's context; a retry cannot help
│   └── MalformedReply      its reply is not a completion
├── Untrainable             a rollout errored or could not be scored: an engine must leave it out of training
├── BudgetReached           money, tokens or minutes are used up; the run can be resumed
├── WorkerLost              a process of this run on a cluster died, and is not started again; the run can be resumed
├── TrainingError           training cannot continue
│   ├── TrainingCollapsed   a metric passed its alarm; says which, and what to do
│   ├── NothingJudged       no attempt of a step could be judged, so there is nothing to learn from
│   └── CheckpointError     a checkpoint is missing, incomplete or from another run
└── StoreError              the run file cannot be used
    ├── RunLocked           another process is writing it
    ├── ReviewConflict      somebody else reviewed the item in the meantime
    └── ConfigChanged       it was started with another config; names the keys that differ

`RetrievalError` and `LLMError` are the two that a game turns into data (an errored attempt, an
errored seed); everything else ends the command.
"""


class QuestwellError(Exception):
    """Base of every error above; its message says what, which value, and what to do."""


class ConfigError(QuestwellError):
    """The user's request cannot be carried out as written."""


class AssetError(QuestwellError):
    """A public file could not be fetched, or its content is not the expected one."""


class CorpusError(QuestwellError):
    """A corpus file is malformed."""


class BenchmarkError(QuestwellError):
    """A benchmark file is malformed, or contains nothing that can be scored."""


class RetrievalError(QuestwellError):
    """The retriever failed; the query got no answer."""


class IndexMismatch(RetrievalError):
    """An index was built with other settings than it is opened with."""


class RetrievalTimeout(RetrievalError):
    """The retriever gave no hits before the deadline."""


class RetrievalBusy(RetrievalError):
    """Too many queries are waiting already."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Seconds to wait before trying again."""


class RetrievalUnavailable(RetrievalError):
    """The retriever could not be reached, or kept failing after all retries."""


class RetrievalRefused(RetrievalError):
    """The retriever refused the query, and a retry cannot help."""


class MalformedHits(RetrievalError):
    """The retriever's reply is not a list of passages."""


class LLMError(QuestwellError):
    """A model endpoint gave no usable completion."""

    paid_tokens: tuple[int, int] = (0, 0)
    """Prompt and completion tokens of replies that were paid for but unusable."""
    paid_usd: float | None = 0.0
    """What they cost; None when the price is not known."""


class LLMUnavailable(LLMError):
    """The endpoint could not be reached, or kept failing after all retries."""


class LLMTimeout(LLMError):
    """The endpoint did not answer in time after all retries."""


class LLMRefused(LLMError):
    """The endpoint refused the request, and a retry cannot help."""


class LLMFiltered(LLMRefused):
    """The endpoint's content filter rejected the text; a retry cannot help."""


class ContextOverflow(LLMError):
    """The request is longer than the model's context."""


class MalformedReply(LLMError):
    """The endpoint's reply is not a completion."""


class Untrainable(QuestwellError):
    """A rollout errored or could not be scored: an engine must leave it out of training."""


class BudgetReached(QuestwellError):
    """Money, tokens or minutes are used up; the run can be resumed."""


class WorkerLost(QuestwellError):
    """A process of this run on a cluster died, and is not started again; the run can be resumed."""


class TrainingError(QuestwellError):
    """Training cannot continue."""


class TrainingCollapsed(TrainingError):
    """A metric passed its alarm."""


class NothingJudged(TrainingError):
    """No attempt of a step could be judged, so there is nothing to learn from."""


class CheckpointError(TrainingError):
    """A checkpoint is missing, incomplete or from another run."""


class StoreError(QuestwellError):
    """The run file cannot be used."""


class RunLocked(StoreError):
    """Another process is writing the run file."""


class ReviewConflict(StoreError):
    """Somebody else reviewed the item after this page was loaded."""


class ConfigChanged(StoreError):
    """The run was started with another config."""
