"""PyTorch's GCN and GAT examples: graph convolutions, attention over an adjacency matrix."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(7)
N, CLASSES = 30, 3
labels = torch.arange(N) % CLASSES
same = labels[:, None] == labels[None, :]
chance = torch.rand(N, N)
edges = torch.where(same, chance < 0.4, chance < 0.03).triu(1)
adjacency = (edges | edges.T).float()
features = F.one_hot(labels, CLASSES).float() @ torch.randn(CLASSES, 12) + torch.randn(N, 12)
features = features / features.norm(dim=1, keepdim=True).clamp(min=1e-9)
print(int(adjacency.sum()), adjacency.sum(0)[:8], torch.nonzero(edges)[:3])

with_loops = adjacency + torch.eye(N)
degree = torch.diag(with_loops.sum(1).pow(-0.5))
normal = degree @ with_loops @ degree


class GraphConv(nn.Module):
    def __init__(self, input_dim, output_dim, use_bias=False):
        super().__init__()
        self.kernel = nn.Parameter(torch.Tensor(input_dim, output_dim))
        nn.init.xavier_normal_(self.kernel)
        self.bias = None
        if use_bias:
            self.bias = nn.Parameter(torch.Tensor(output_dim))
            nn.init.zeros_(self.bias)

    def forward(self, input_tensor, adj_mat):
        output = torch.mm(adj_mat, torch.mm(input_tensor, self.kernel))
        return output if self.bias is None else output + self.bias


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.gc1 = GraphConv(12, 16, use_bias=True)
        self.gc2 = GraphConv(16, CLASSES, use_bias=True)
        self.dropout = nn.Dropout(0.3)

    def forward(self, x, adj):
        x = self.dropout(F.relu(self.gc1(x, adj)))
        return F.log_softmax(self.gc2(x, adj), dim=1)


class GraphAttentionLayer(nn.Module):
    def __init__(self, in_features, out_features, n_heads, concat=False):
        super().__init__()
        self.n_heads, self.concat = n_heads, concat
        self.n_hidden = out_features // n_heads if concat else out_features
        self.W = nn.Parameter(torch.empty(size=(in_features, self.n_hidden * n_heads)))
        self.a = nn.Parameter(torch.empty(size=(n_heads, 2 * self.n_hidden, 1)))
        self.leakyrelu = nn.LeakyReLU(0.2)
        nn.init.xavier_normal_(self.W)
        nn.init.xavier_normal_(self.a)

    def forward(self, h, adj):
        n = h.shape[0]
        h = torch.mm(h, self.W).view(n, self.n_heads, self.n_hidden).permute(1, 0, 2)
        source = torch.matmul(h, self.a[:, : self.n_hidden, :])
        target = torch.matmul(h, self.a[:, self.n_hidden :, :])
        e = self.leakyrelu(source + target.mT)
        attention = torch.where(adj > 0, e, -9e16 * torch.ones_like(e))
        attention = F.dropout(F.softmax(attention, dim=-1), 0.2, training=self.training)
        h = torch.matmul(attention, h)
        if self.concat:
            return h.permute(1, 0, 2).contiguous().view(n, self.n_heads * self.n_hidden)
        return h.mean(dim=0)


class GAT(nn.Module):
    def __init__(self):
        super().__init__()
        self.gat1 = GraphAttentionLayer(12, 16, 4, concat=True)
        self.gat2 = GraphAttentionLayer(16, CLASSES, 1)

    def forward(self, x, adj):
        return F.log_softmax(self.gat2(F.elu(self.gat1(x, adj)), adj), dim=1)


order = torch.randperm(N)
train, val = order[:20], order[20:]
criterion = nn.NLLLoss()
for make, adj in ((GCN, normal), (GAT, with_loops)):
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=5e-4)
    print(sum(p.nelement() for p in model.parameters() if p.requires_grad))
    for epoch in range(20):
        model.train()
        optimizer.zero_grad()
        output = model(features, adj)
        loss = criterion(output[train], labels[train])
        loss.backward()
        optimizer.step()
        if epoch % 5 == 4:
            model.eval()
            with torch.no_grad():
                output = model(features, adj)
                right = output[val].argmax(dim=1).eq(labels[val]).float().mean()
            print(f"Epoch: {epoch + 1:04d} loss: {loss.item():.4f} accuracy: {right:.4f}")
