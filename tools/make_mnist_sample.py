"""Draw the MNIST sample of the package: python tools/make_mnist_sample.py DIR

DIR contains the four official MNIST files. Writes python/sense/data/mnist_sample: 10,000 training
and 2,000 test images, drawn without replacement with seed 2022, in the order of the draw. Images
are compressed by xz, which takes 0.2 MB less than gzip.
"""

import lzma
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))

from sense.data.idx import idx_bytes, read_idx, write_idx  # noqa: E402
from sense.files import write_atomically  # noqa: E402

SEED = 2022
# Larger dictionaries do not help: the training images have 7.8 MB.
XZ = {
    "id": lzma.FILTER_LZMA2,
    "preset": 9 | lzma.PRESET_EXTREME,
    "dict_size": 1 << 23,
    "lc": 4,
    "pb": 0,
}
SIZES = {"train": 10_000, "t10k": 2_000}


def main(source: Path) -> None:
    target = ROOT / "python/sense/data/mnist_sample"
    target.mkdir(exist_ok=True)
    draw = np.random.default_rng(SEED)
    for part, size in SIZES.items():
        images = read_idx(source / f"{part}-images-idx3-ubyte.gz")
        labels = read_idx(source / f"{part}-labels-idx1-ubyte.gz")
        chosen = draw.choice(len(images), size, replace=False)
        content = lzma.compress(idx_bytes(images[chosen]), filters=[XZ])
        write_atomically(target / f"{part}-images-idx3-ubyte.xz", content)
        write_idx(target / f"{part}-labels-idx1-ubyte.gz", labels[chosen])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
