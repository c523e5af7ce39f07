"""Trains a small network on patches, then predicts a whole volume, all of it out of core.

    python train_and_predict.py scans.zarr
"""

import sys

import numpy as np
import phantom
import torch
import voxpatch
from voxpatch.torch import PatchLoader

PATCH = (16, 32, 32)


class Net(torch.nn.Sequential):
    """A few layers; a network of yours goes here."""

    def __init__(self):
        super().__init__(
            torch.nn.Conv3d(1, 6, 3, padding=1), torch.nn.ReLU(),
            torch.nn.Conv3d(6, 6, 3, padding=1), torch.nn.ReLU(),
            torch.nn.Conv3d(6, 2, 1),
        )  # fmt: skip


def main(store, epochs=8):
    torch.manual_seed(0)
    dataset = phantom.make(store)
    window = voxpatch.Normalise.range(-200, 400)
    held_out = "case3"

    # Half of the patches hold a lesion; threads of the engine read ahead of the network.
    loader = PatchLoader(
        dataset,
        voxpatch.ForegroundSampler(PATCH, oversample=0.5),
        {"ct": {"normalise": window}, "lesion": {}},
        batch_size=4,
        subjects=[name for name in dataset if name != held_out],
        sample_by="lesion",
        patches_per_visit=8,
    )
    net = Net()
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    weights = torch.tensor([1.0, 20.0])
    for epoch in range(epochs):
        for batch in loader:
            loss = torch.nn.functional.cross_entropy(
                net(batch["ct"]), batch["lesion"][:, 0].long(), weights
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}")

    def model(patches):
        with torch.no_grad():
            return net(torch.from_numpy(patches)).softmax(1).numpy()

    # The scan is read patch by patch, and the classes are written chunk by chunk.
    voxpatch.predict(
        dataset[held_out]["ct"],
        model,
        voxpatch.Output(f"{held_out}/predicted", "argmax"),
        voxpatch.GridSampler(PATCH, 0.25),
        normalise=window,
        batch_size=4,
    )
    found = np.asarray(dataset[held_out]["predicted"]) > 0
    truth = np.asarray(dataset[held_out]["lesion"]) > 0
    dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    print(f"Dice of the lesions in {held_out}: {dice:.2f}")
    return dice


if __name__ == "__main__":
    main(sys.argv[1])
