"""Data tutorials: datasets of every kind, samplers, collate functions, worker processes."""

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    get_worker_info,
    random_split,
)


class FacesDataset(Dataset):
    def __init__(self, n, transform=None):
        self.landmarks = np.arange(n * 4, dtype=np.float64).reshape(n, 2, 2)
        self.transform = transform

    def __len__(self):
        return len(self.landmarks)

    def __getitem__(self, idx):
        if torch.is_tensor(idx):
            idx = idx.tolist()
        sample = {"image": np.full((1, 2), idx, dtype=np.float32), "landmarks": self.landmarks[idx],
                  "name": f"face{idx}"}
        return self.transform(sample) if self.transform else sample


class ToTensor:
    def __call__(self, sample):
        return {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v
                for k, v in sample.items()}


class Words(Dataset):
    words = ["a", "bcd", "ef", "ghij", "k"]

    def __getitem__(self, i):
        return torch.tensor([ord(c) for c in self.words[i]]), len(self.words[i])

    def __len__(self):
        return len(self.words)


def collate_fn(batch):
    xs, lengths = zip(*batch)
    return pad_sequence(xs, batch_first=True), torch.tensor(lengths)


class Stream(IterableDataset):
    def __init__(self, start, end):
        self.start, self.end = start, end

    def __iter__(self):
        info = get_worker_info()
        if info is None:
            return iter(range(self.start, self.end))
        return iter(range(self.start + info.id, self.end, info.num_workers))


class Backwards(Sampler):
    def __init__(self, data):
        self.data = data

    def __iter__(self):
        return iter(range(len(self.data) - 1, -1, -1))

    def __len__(self):
        return len(self.data)


def main():
    torch.manual_seed(11)
    faces = FacesDataset(7, transform=ToTensor())
    loader = DataLoader(faces, batch_size=3, shuffle=True)
    print(len(loader))
    for i_batch, batch in enumerate(loader):
        print(i_batch, batch["image"].size(), batch["landmarks"].dtype, batch["name"])
    for workers in (0, 2):
        loader = DataLoader(faces, batch_size=2, shuffle=True, num_workers=workers, drop_last=True)
        print(workers, [b["name"] for b in loader], [b["image"].sum().item() for b in loader])
    for x, lengths in DataLoader(Words(), batch_size=2, collate_fn=collate_fn):
        print(x, lengths)
    print([b.tolist() for b in DataLoader(Stream(3, 12), batch_size=4)])
    print(sorted(torch.cat(list(DataLoader(Stream(3, 12), batch_size=2, num_workers=2))).tolist()))
    data = TensorDataset(torch.arange(10), torch.arange(10) ** 2)
    print(data[2:4], len(data))
    for sampler in [SequentialSampler(data), RandomSampler(data),
                    RandomSampler(data, replacement=True, num_samples=6),
                    WeightedRandomSampler([0.1, 0.9, 0.4, 0.7, 3.0, 0.6], 5, replacement=True),
                    WeightedRandomSampler([0.9, 0.4, 0.05, 0.2, 0.3, 0.1], 5, replacement=False),
                    SubsetRandomSampler([1, 3, 5, 7]), Backwards(data)]:
        print(type(sampler).__name__, len(sampler), list(sampler))
        loader = DataLoader(data, batch_size=4, sampler=sampler)
        print([y.tolist() for x, y in loader])
    print(list(BatchSampler(SequentialSampler(range(10)), batch_size=3, drop_last=False)))
    batches = BatchSampler(RandomSampler(data), 5, True)
    print([x.tolist() for x, y in DataLoader(data, batch_sampler=batches)])
    train, val, test = random_split(
        data, [0.5, 0.3, 0.2], generator=torch.Generator().manual_seed(42))
    print(len(train), len(val), len(test), val.indices, type(train).__name__)
    print(list(random_split(range(10), [3, 7])[0]), Subset(data, [0, 3])[1])
    both = ConcatDataset([data, Subset(data, range(3))])
    print(len(both), both[11], len(data + data))
    g = torch.Generator().manual_seed(5)
    it = iter(DataLoader(data, batch_size=4, shuffle=True, generator=g))
    print(next(it), next(it))
    print(default_collate([{"a": 1, "b": (2.5, "x")}, {"a": 2, "b": (3.5, "y")}]))
    try:
        DataLoader(data, sampler=RandomSampler(data), shuffle=True)
    except ValueError as error:
        print(error)
    try:
        default_collate([torch.zeros(2), torch.zeros(3)])
    except RuntimeError as error:
        print(error)
    print(torch.initial_seed(), torch.rand(2))


if __name__ == "__main__":
    main()
