"""Train on a folder of pictures, one subfolder for each class; one in six is a test picture."""

import tempfile
from dataclasses import replace
from pathlib import Path

from PIL import Image

import sense
from sense.data import load_data, load_folder

# A folder of pictures, made for this example from two digits: pictures/three/0.png ...
folder = Path(tempfile.mkdtemp())
sample = load_data("mnist-sample")
for digit, name in ((3, "three"), (8, "eight")):
    (folder / "pictures" / name).mkdir(parents=True)
    chosen = sample.train_x[sample.train_y == digit][:200]
    for i, pixels in enumerate(chosen):
        Image.fromarray(pixels[0].numpy()).save(folder / "pictures" / name / f"{i}.png")

data = load_folder(folder / "pictures", size=(28, 28))
print(len(data.train_x), "training and", len(data.test_x), "test images of", data.classes)

config = replace(
    sense.recipe("mnist-demo"),
    method="sense",
    c=0.5,
    eps=0.1,
    step_size=0.02,
    batch_size=16,
    epochs=8,
)
model = sense.fit(config, folder / "run", data=data, show=True)
print(sense.evaluate(model, data.test_x, data.test_y, eps=0.1, attacks=["pgd"], steps=20))
