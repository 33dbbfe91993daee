"""Begin a network with an earlier edition's weights where the vocabulary has changed since."""

import torch
from torch import nn


def inherit(model: nn.Module, earlier: nn.Module, tokens: dict[str, int], earlier_tokens: dict[str, int]) -> int:
    """Copy every weight that both have; of tables with a row for each token, the rows of tokens that both know.

    Returns how many rows of a table were known. Raises ValueError where another size than the vocabulary's differs.
    """
    known = [(new, earlier_tokens[token]) for token, new in tokens.items() if token in earlier_tokens]
    rows, earlier_rows = (torch.tensor(numbers) for numbers in zip(*known, strict=True))
    given = earlier.state_dict()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            before = given.get(name)
            if before is None:
                continue
            if value.shape[:1] == (len(tokens),) and before.shape[:1] == (len(earlier_tokens),):
                value[rows] = before[earlier_rows].to(value.dtype)
            elif value.shape == before.shape:
                value.copy_(before)
            else:
                raise ValueError(f"{name} was {tuple(before.shape)} and is {tuple(value.shape)}")
    return len(known)
