"""Labels per modality in a plain PyTorch model: two modalities, one label per sample, no other part of selfmm.

The data are generated: for a quarter of the samples `left` and `right` disagree, and the one label that they share is
that of `left`. Run it with: python examples/own_model.py
"""

import torch
from torch import nn

from selfmm.labels import UnimodalLabelGenerator

torch.manual_seed(0)
N, BATCH, EPOCHS = 400, 32, 8

sentiment = torch.empty(N).uniform_(-1, 1)
contradicts = torch.rand(N) < 0.25
truth = {"left": sentiment, "right": torch.where(contradicts, -sentiment, sentiment)}
samples = {name: torch.stack([t, t**2, t.sign()], dim=1) + 0.3 * torch.randn(N, 3) for name, t in truth.items()}
labels = sentiment + 0.05 * torch.randn(N)
labels = labels.clamp(-1, 1)


class TwoStreams(nn.Module):
    """A feature and a score per modality, and both for the two modalities together."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.ModuleDict({name: nn.Sequential(nn.Linear(3, 8), nn.ReLU()) for name in samples})
        self.score = nn.ModuleDict({name: nn.Linear(8, 1) for name in samples})
        self.fuse = nn.Sequential(nn.Linear(6, 16), nn.ReLU())
        self.fused_score = nn.Linear(16, 1)

    def forward(
        self, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        features = {name: self.project[name](values) for name, values in batch.items()}
        scores = {name: self.score[name](feature)[:, 0] for name, feature in features.items()}
        fusion = self.fuse(torch.cat(list(batch.values()), dim=1))
        return self.fused_score(fusion)[:, 0], fusion, scores, features


model = TwoStreams()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
generator = UnimodalLabelGenerator(labels, dims={"left": 8, "right": 8}, fusion_dim=16, bound=1.0)

for epoch in range(1, EPOCHS + 1):
    total = 0.0
    for index in torch.chunk(torch.randperm(N), N // BATCH):
        batch = {name: values[index] for name, values in samples.items()}
        score, fusion, scores, features = model(batch)
        loss = (score - labels[index]).abs()
        weights = generator.weights(index)
        for name, own in scores.items():
            loss = loss + weights[name] * (own - generator.labels[name][index]).abs()
        optimizer.zero_grad()
        loss.mean().backward()
        generator.update(fusion, features, index, epoch)  # after backward, before the step
        optimizer.step()
        total += float(loss.detach().sum())
    generator.resync()
    print(f"epoch {epoch}: loss {total / N:.3f}")

for name, u_labels in generator.labels.items():
    u, m = (torch.corrcoef(torch.stack([values, truth[name]]))[0, 1] for values in (u_labels, labels))
    print(f"{name:>5}: correlation with its own sentiment: u-labels {u:.3f}, the given label {m:.3f}")
