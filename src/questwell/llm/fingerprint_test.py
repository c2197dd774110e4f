from pathlib import Path

from questwell.llm.fingerprint import fingerprints, hash_of
from questwell.llm.folder import FolderLLM
from questwell.llm.local import LocalLLM
from questwell.llm.scripted import ScriptedLLM
from questwell.llm.weights import QWEN_CODER_0_5B


def checkpoint(folder: Path, weights: bytes) -> Path:
    """A model folder as training leaves it, by the name that all of them have."""
    model = folder / "checkpoints" / "step-000002" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(weights)
    return model


def test_two_checkpoints_of_one_name_are_two_models(tmp_path: Path) -> None:
    a, b, same = (checkpoint(tmp_path / name, weights) for name, weights in (("a", b"1"), ("b", b"2"), ("c", b"1")))
    clients = {"one": FolderLLM(a), "other": FolderLLM(b), "copy": FolderLLM(same)}
    assert len({client.name for client in clients.values()}) == 1
    found = fingerprints(clients)
    assert found["one weights"] == found["copy weights"] != found["other weights"]
    (a / "config.json").write_text('{"tie": true}')
    assert hash_of(a) != found["one weights"]
    (same / "README.md").write_text("notes")
    assert hash_of(same) == found["copy weights"]


def test_a_file_is_hashed_and_what_is_trusted_or_elsewhere_is_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.gguf").write_text(name)
    a, b = (LocalLLM(tmp_path / name / "m.gguf") for name in ("a", "b"))
    assert a.name == b.name
    found = fingerprints({"a": a, "b": b, "embedded": LocalLLM(QWEN_CODER_0_5B), "elsewhere": ScriptedLLM(str)})
    assert found.keys() == {"a weights", "b weights"} and found["a weights"] != found["b weights"]
