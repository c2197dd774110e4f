import numpy as np
import pytest

from questwell.retrieval.embedders.bert_graph import Shape, write_graph

ort = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def model_of(**sizes):
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=90, max_position_embeddings=40, initializer_range=0.4, attn_implementation="eager", **sizes
    )
    return transformers.BertModel(config, add_pooling_layer=False).eval()


def vector_of(model, ids):
    with torch.no_grad():
        mean = model(torch.tensor([ids])).last_hidden_state[0].mean(0)
    return (mean / mean.norm()).numpy()


@pytest.mark.parametrize(("layers", "heads", "width", "inner"), [(1, 1, 8, 16), (2, 4, 32, 48), (3, 2, 24, 96)])
def test_the_graph_computes_what_transformers_computes(tmp_path, layers, heads, width, inner):
    model = model_of(num_hidden_layers=layers, num_attention_heads=heads, hidden_size=width, intermediate_size=inner)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    write_graph(weights, Shape(layers, heads), tmp_path / "g.onnx")
    session = ort.InferenceSession(str(tmp_path / "g.onnx"), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    for tokens in (1, 2, 7, 40):
        ids = rng.integers(0, 90, tokens)
        (vector,) = session.run(None, {"ids": ids})
        assert vector.shape == (width,)
        assert np.allclose(vector, vector_of(model, ids.tolist()), atol=2e-5)
