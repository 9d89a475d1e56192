"""Export a trained network to ONNX, for programs that know neither this package nor torch."""

import tempfile
from dataclasses import replace
from pathlib import Path

import onnxruntime

import sense
from sense.data import load_data, to_float

folder = Path(tempfile.mkdtemp())
small = replace(sense.recipe("mnist-demo"), method="nt", train_size=3000, pretrain=0, epochs=4)
sense.fit(small, folder / "run")

# The logits of the exported network are compared with those of the run before the file is written.
print(sense.export(folder / "run", folder / "network.onnx"))

session = onnxruntime.InferenceSession(folder / "network.onnx")
images = to_float(load_data("mnist-sample").test_x[:3]).numpy()
(logits,) = session.run(None, {session.get_inputs()[0].name: images})
print("predicted by onnxruntime:", logits.argmax(1))
