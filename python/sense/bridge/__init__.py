"""The functions that R calls, and that nothing else uses. Arguments and results are plain: numbers,
strings, lists, dictionaries, arrays and, for weights, bytes."""

import traceback
from typing import Any

from ..devices import one_thread_if_forked
from ..errors import InputError, OtherDataError
from .data import images_from_folder as images_from_folder
from .evaluation import adversarial_examples as adversarial_examples
from .evaluation import compare as compare
from .evaluation import evaluate as evaluate
from .evaluation import export as export
from .evaluation import predict as predict
from .sweeps import reproduce as reproduce
from .sweeps import sweep as sweep
from .training import train as train

TASKS = (
    "train",
    "predict",
    "evaluate",
    "adversarial_examples",
    "compare",
    "export",
    "images_from_folder",
    "sweep",
    "reproduce",
)


def call(task: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call one of `TASKS`.

    Returns
    -------
    A dictionary with one of "value", the result; "input_error", the message of an error of the
    user's input, with "other_data" if the data are not those of the run; "interrupted";
    "traceback", that of any other error.
    """
    assert task in TASKS
    one_thread_if_forked()
    try:
        return {"value": globals()[task](**arguments)}
    except KeyboardInterrupt:
        return {"interrupted": True}
    except OtherDataError as error:
        return {"input_error": str(error), "other_data": True}
    except InputError as error:
        return {"input_error": str(error)}
    except Exception:
        return {"traceback": traceback.format_exc()}
