"""Write a directory as a checkpoint of detoxify: `python -m orca_guard_toxicity.recipe.export DIR FILE`."""

import argparse
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification


def checkpoint(directory: Path) -> dict[str, Any]:
    """The weights in float32 and the configuration that `Detoxify(checkpoint=...)` looks for (detoxify 0.5).

    The configuration names the directory by its absolute path: that is where detoxify finds architecture and tokenizer.
    """
    model: Any = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32)
    classes = [model.config.id2label[place] for place in range(model.config.num_labels)]
    architecture = {
        "model_type": str(directory.resolve()), "model_name": type(model).__name__,
        "tokenizer_name": "PreTrainedTokenizerFast", "num_classes": len(classes),
    }  # fmt: skip
    config = {"arch": {"type": "BERT", "args": architecture}, "dataset": {"type": "Rows", "args": {"classes": classes}}}
    return {"config": config, "state_dict": model.state_dict()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    if not (arguments.directory / "config.json").is_file():
        parser.error(f"{arguments.directory} holds no classifier: it has no config.json")
    torch.save(checkpoint(arguments.directory), arguments.file)


if __name__ == "__main__":
    main()
