"""The book "Build a Large Language Model": every part by hand, then weights assigned and LoRA."""

import math

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(123)
text = "The quick brown fox jumps over the lazy dog. Every effort moves us onward, bit by bit. " * 5
vocab = {ch: i for i, ch in enumerate(sorted(set(text)))}
names = {i: ch for ch, i in vocab.items()}
CONFIG = {
    "vocab_size": len(vocab), "context_length": 16, "emb_dim": 24, "n_heads": 3, "n_layers": 2,
    "drop_rate": 0.1, "qkv_bias": False,
}  # fmt: skip


class GPTDatasetV1(Dataset):
    def __init__(self, txt, max_length, stride):
        self.input_ids, self.target_ids = [], []
        token_ids = [vocab[ch] for ch in txt]
        for i in range(0, len(token_ids) - max_length, stride):
            self.input_ids.append(torch.tensor(token_ids[i : i + max_length]))
            self.target_ids.append(torch.tensor(token_ids[i + 1 : i + max_length + 1]))

    def __len__(self):
        return len(self.input_ids)

    def __getitem__(self, idx):
        return self.input_ids[idx], self.target_ids[idx]


class MultiHeadAttention(nn.Module):
    def __init__(self, d_in, d_out, context_length, dropout, num_heads, qkv_bias=False):
        super().__init__()
        assert d_out % num_heads == 0, "d_out must be divisible by n_heads"
        self.d_out, self.num_heads, self.head_dim = d_out, num_heads, d_out // num_heads
        self.W_query = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.W_key = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.W_value = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.out_proj = nn.Linear(d_out, d_out)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer(
            "mask", torch.triu(torch.ones(context_length, context_length), diagonal=1)
        )

    def forward(self, x):
        b, num_tokens, _ = x.shape
        keys, queries, values = self.W_key(x), self.W_query(x), self.W_value(x)
        keys = keys.view(b, num_tokens, self.num_heads, self.head_dim).transpose(1, 2)
        queries = queries.view(b, num_tokens, self.num_heads, self.head_dim).transpose(1, 2)
        values = values.view(b, num_tokens, self.num_heads, self.head_dim).transpose(1, 2)
        attn_scores = queries @ keys.transpose(2, 3)
        mask_bool = self.mask.bool()[:num_tokens, :num_tokens]
        attn_scores.masked_fill_(mask_bool, -torch.inf)
        attn_weights = torch.softmax(attn_scores / keys.shape[-1] ** 0.5, dim=-1)
        context = (self.dropout(attn_weights) @ values).transpose(1, 2)
        return self.out_proj(context.contiguous().view(b, num_tokens, self.d_out))


class LayerNorm(nn.Module):
    def __init__(self, emb_dim):
        super().__init__()
        self.eps = 1e-5
        self.scale = nn.Parameter(torch.ones(emb_dim))
        self.shift = nn.Parameter(torch.zeros(emb_dim))

    def forward(self, x):
        mean = x.mean(dim=-1, keepdim=True)
        var = x.var(dim=-1, keepdim=True, unbiased=False)
        return self.scale * (x - mean) / torch.sqrt(var + self.eps) + self.shift


class GELU(nn.Module):
    def forward(self, x):
        inner = torch.sqrt(torch.tensor(2.0 / torch.pi)) * (x + 0.044715 * torch.pow(x, 3))
        return 0.5 * x * (1 + torch.tanh(inner))


class TransformerBlock(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.att = MultiHeadAttention(
            cfg["emb_dim"], cfg["emb_dim"], cfg["context_length"], cfg["drop_rate"],
            cfg["n_heads"], cfg["qkv_bias"],
        )  # fmt: skip
        self.ff = nn.Sequential(
            nn.Linear(cfg["emb_dim"], 4 * cfg["emb_dim"]),
            GELU(),
            nn.Linear(4 * cfg["emb_dim"], cfg["emb_dim"]),
        )
        self.norm1, self.norm2 = LayerNorm(cfg["emb_dim"]), LayerNorm(cfg["emb_dim"])
        self.drop_shortcut = nn.Dropout(cfg["drop_rate"])

    def forward(self, x):
        x = self.drop_shortcut(self.att(self.norm1(x))) + x
        return self.drop_shortcut(self.ff(self.norm2(x))) + x


class GPTModel(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.tok_emb = nn.Embedding(cfg["vocab_size"], cfg["emb_dim"])
        self.pos_emb = nn.Embedding(cfg["context_length"], cfg["emb_dim"])
        self.drop_emb = nn.Dropout(cfg["drop_rate"])
        self.trf_blocks = nn.Sequential(*[TransformerBlock(cfg) for _ in range(cfg["n_layers"])])
        self.final_norm = LayerNorm(cfg["emb_dim"])
        self.out_head = nn.Linear(cfg["emb_dim"], cfg["vocab_size"], bias=False)

    def forward(self, in_idx):
        _, seq_len = in_idx.shape
        positions = torch.arange(seq_len, device=in_idx.device)
        x = self.drop_emb(self.tok_emb(in_idx) + self.pos_emb(positions))
        return self.out_head(self.final_norm(self.trf_blocks(x)))


def generate(model, idx, max_new_tokens, context_size, temperature=0.0, top_k=None):
    for _ in range(max_new_tokens):
        with torch.no_grad():
            logits = model(idx[:, -context_size:])
        logits = logits[:, -1, :]
        if top_k is not None:
            top_logits, _ = torch.topk(logits, top_k)
            lowest = torch.tensor(float("-inf")).to(logits.device)
            logits = torch.where(logits < top_logits[:, -1], lowest, logits)
        if temperature > 0.0:
            probs = torch.softmax(logits / temperature, dim=-1)
            idx_next = torch.multinomial(probs, num_samples=1)
        else:
            idx_next = torch.argmax(logits, dim=-1, keepdim=True)
        idx = torch.cat((idx, idx_next), dim=1)
    return "".join(names[i] for i in idx.squeeze(0).tolist())


def calc_loss_loader(loader, model):
    losses = [
        nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten()).item() for x, y in loader
    ]
    return sum(losses) / len(losses) if losses else float("nan")


loader = DataLoader(
    GPTDatasetV1(text, 16, 16), batch_size=4, shuffle=True, drop_last=True, num_workers=0
)
model = GPTModel(CONFIG)
total_params = sum(p.numel() for p in model.parameters())
print(f"Total number of parameters: {total_params:,}")
print(f"Total size: {total_params * 4 / (1024 * 1024):.2f} MB")
print(model.trf_blocks[0])
optimizer = torch.optim.AdamW(model.parameters(), lr=0.004, weight_decay=0.1)
peak, warmup, step = 0.008, 4, 0
for epoch in range(3):
    model.train()
    for input_batch, target_batch in loader:
        step += 1
        lr = peak * step / warmup if step < warmup else peak * 0.5 * (1 + math.cos(step / 30))
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        logits = model(input_batch)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), target_batch.flatten())
        loss.backward()
        if step >= warmup:
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        print(f"Ep {epoch + 1} (Step {step:06d}): loss {calc_loss_loader(loader, model):.3f}")
start = torch.tensor([vocab[ch] for ch in "Every "]).unsqueeze(0)
print(generate(model, start, 20, 16))


def assign(left, right):
    if left.shape != right.shape:
        raise ValueError(f"Shape mismatch. Left: {left.shape}, Right: {right.shape}")
    return torch.nn.Parameter(torch.tensor(right))


model.pos_emb.weight = assign(model.pos_emb.weight, model.pos_emb.weight.detach().numpy() * 0.5)
try:
    assign(model.pos_emb.weight, model.tok_emb.weight.detach().numpy())
except ValueError as error:
    print(error)


class LinearWithLoRA(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear = linear
        self.A = nn.Parameter(torch.empty(linear.in_features, rank))
        torch.nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        self.B = nn.Parameter(torch.zeros(rank, linear.out_features))
        self.alpha = alpha

    def forward(self, x):
        return self.linear(x) + self.alpha * (x @ self.A @ self.B)


def replace_linear_with_lora(model, rank, alpha):
    for name, module in model.named_children():
        if isinstance(module, nn.Linear):
            setattr(model, name, LinearWithLoRA(module, rank, alpha))
        else:
            replace_linear_with_lora(module, rank, alpha)


for param in model.parameters():
    param.requires_grad = False
print(sum(p.numel() for p in model.parameters() if p.requires_grad))
replace_linear_with_lora(model, rank=2, alpha=4)
print(sum(p.numel() for p in model.parameters() if p.requires_grad))
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
for _ in range(4):
    optimizer.zero_grad()
    x, y = next(iter(loader))
    loss = nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
    loss.backward()
    optimizer.step()
    print(f"{loss.item():.4f}")
print(generate(model, start, 10, 16, temperature=0.7, top_k=3))
