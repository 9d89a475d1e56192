"""`python -m sense.evaluate RUN ...`: see `sense.evaluation.evaluate`."""

if __name__ == "__main__":
    from .cli import evaluate_main

    evaluate_main()
