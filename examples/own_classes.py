"""Unordered classes in a plain PyTorch classifier: two modalities, one class per sample, no other part of selfmm.

The data are generated: in a quarter of the samples `right` shows another class than `left`, and the one class that both
share is that of `left`. Run it with: python examples/own_classes.py
"""

import torch
from torch import nn

from selfmm.labels import UnimodalClassLabelGenerator

torch.manual_seed(0)
N, K, BATCH, EPOCHS = 600, 4, 40, 8

classes = torch.randint(K, (N,))
contradicts = torch.rand(N) < 0.25
truth = {"left": classes, "right": torch.where(contradicts, (classes + torch.randint(1, K, (N,))) % K, classes)}
samples = {name: torch.randn(K, 6)[own] + 0.7 * torch.randn(N, 6) for name, own in truth.items()}


class TwoStreams(nn.Module):
    """A feature and class scores per modality, and both for the two modalities together."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.ModuleDict({name: nn.Sequential(nn.Linear(6, 8), nn.ReLU()) for name in samples})
        self.score = nn.ModuleDict({name: nn.Linear(8, K) for name in samples})
        self.fuse = nn.Sequential(nn.Linear(12, 16), nn.ReLU())
        self.fused_score = nn.Linear(16, K)

    def forward(
        self, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        features = {name: self.project[name](values) for name, values in batch.items()}
        scores = {name: self.score[name](feature) for name, feature in features.items()}
        fusion = self.fuse(torch.cat(list(batch.values()), dim=1))
        return self.fused_score(fusion), fusion, scores, features


model = TwoStreams()
cross_entropy = nn.CrossEntropyLoss(reduction="none")
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
generator = UnimodalClassLabelGenerator(classes, K, dims={"left": 8, "right": 8})

for epoch in range(1, EPOCHS + 1):
    total = 0.0
    for index in torch.chunk(torch.randperm(N), N // BATCH):
        batch = {name: values[index] for name, values in samples.items()}
        score, fusion, scores, features = model(batch)
        loss = cross_entropy(score, classes[index])
        weights = generator.weights(index)
        for name, own in scores.items():
            loss = loss + weights[name] * cross_entropy(own, generator.labels[name][index])
        optimizer.zero_grad()
        loss.mean().backward()
        generator.update(fusion, features, index, epoch)  # after backward, before the step
        optimizer.step()
        total += float(loss.detach().sum())
    generator.resync()  # without it, the labels stay the given classes
    print(f"epoch {epoch}: loss {total / N:.3f}")

for name, u_labels in generator.labels.items():
    right = (u_labels.argmax(-1) == truth[name]).float().mean()
    trivial = (classes == truth[name]).float().mean()
    print(f"{name:>5}: share of samples with the right class: u-labels {right:.3f}, the given class {trivial:.3f}")
