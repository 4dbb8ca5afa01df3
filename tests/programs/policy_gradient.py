"""PyTorch's reinforcement learning examples: REINFORCE and actor-critic by distributions."""

import argparse
from collections import deque, namedtuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical

parser = argparse.ArgumentParser()
parser.add_argument("--gamma", type=float, default=0.9, metavar="G")
parser.add_argument("--seed", type=int, default=543, metavar="N")
args = parser.parse_args()
torch.manual_seed(args.seed)
eps = np.finfo(np.float32).eps.item()


class Corridor:
    def reset(self):
        self.x = 3
        return np.array([self.x / 6.0, 1.0]), {}

    def step(self, action):
        self.x += action - 1
        done = self.x <= 0 or self.x >= 6
        return np.array([self.x / 6.0, 1.0]), 1.0 if self.x >= 6 else -0.1, done


env = Corridor()


class Policy(nn.Module):
    def __init__(self):
        super(Policy, self).__init__()
        self.affine1 = nn.Linear(2, 16)
        self.dropout = nn.Dropout(p=0.2)
        self.affine2 = nn.Linear(16, 3)
        self.saved_log_probs = []
        self.rewards = []

    def forward(self, x):
        x = F.relu(self.dropout(self.affine1(x)))
        return F.softmax(self.affine2(x), dim=1)


policy = Policy()
optimizer = optim.Adam(policy.parameters(), lr=1e-2)


def select_action(state):
    state = torch.from_numpy(state).float().unsqueeze(0)
    probs = policy(state)
    m = Categorical(probs)
    action = m.sample()
    policy.saved_log_probs.append(m.log_prob(action))
    return action.item()


def finish_episode():
    R = 0
    policy_loss = []
    returns = deque()
    for r in policy.rewards[::-1]:
        R = r + args.gamma * R
        returns.appendleft(R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    for log_prob, R in zip(policy.saved_log_probs, returns):
        policy_loss.append(-log_prob * R)
    optimizer.zero_grad()
    policy_loss = torch.cat(policy_loss).sum()
    policy_loss.backward()
    optimizer.step()
    del policy.rewards[:]
    del policy.saved_log_probs[:]
    return policy_loss.item()


running_reward = 10
for i_episode in range(8):
    state, _ = env.reset()
    ep_reward = 0
    for _t in range(1, 30):
        action = select_action(state)
        state, reward, done = env.step(action)
        policy.rewards.append(reward)
        ep_reward += reward
        if done:
            break
    running_reward = 0.05 * ep_reward + (1 - 0.05) * running_reward
    loss = finish_episode()
    print(f"Episode {i_episode}\tLast reward: {ep_reward:.2f}\tAverage: {running_reward:.2f} "
          f"{loss:.4f}")

SavedAction = namedtuple("SavedAction", ["log_prob", "value"])


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(2, 16)
        self.action_head = nn.Linear(16, 3)
        self.value_head = nn.Linear(16, 1)

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


model = ActorCritic()
optimizer = optim.Adam(model.parameters(), lr=3e-2)
for i_episode in range(8):
    state, _ = env.reset()
    saved_actions, rewards, entropies = [], [], []
    for _t in range(30):
        probs, state_value = model(torch.from_numpy(state).float())
        m = Categorical(probs)
        action = m.sample()
        saved_actions.append(SavedAction(m.log_prob(action), state_value))
        entropies.append(m.entropy())
        state, reward, done = env.step(action.item())
        rewards.append(reward)
        if done:
            break
    R = 0
    policy_losses, value_losses, returns = [], [], []
    for r in rewards[::-1]:
        R = r + args.gamma * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    for (log_prob, value), R in zip(saved_actions, returns):
        advantage = R - value.item()
        policy_losses.append(-log_prob * advantage)
        value_losses.append(F.smooth_l1_loss(value, torch.tensor([R])))
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
    loss = loss - 0.01 * torch.stack(entropies).mean()
    loss.backward()
    optimizer.step()
    print(f"Episode {i_episode}\tsteps {len(rewards)} {loss.item():.4f}")

dist = torch.distributions.Normal(torch.zeros(3), torch.tensor([0.5, 1.0, 2.0]))
x = dist.sample()
print(x, dist.log_prob(x).sum(-1), dist.entropy(), dist)
mu = torch.zeros(3, requires_grad=True)
z = torch.distributions.Normal(mu, torch.ones(3)).rsample((4,))
z.pow(2).sum().backward()
print(mu.grad)
q = torch.distributions.Normal(mu, 1.0)
print(torch.distributions.kl_divergence(q, torch.distributions.Normal(1.0, 2.0)))
b = torch.distributions.Bernoulli(logits=torch.tensor([0.3, -1.2]))
print(b.probs, b.log_prob(torch.tensor([1.0, 0.0])), b.entropy(), b.mean, b.variance)
c = Categorical(logits=torch.tensor([[0.1, 0.2, 0.7], [1.0, -1.0, 0.0]]))
print(c.probs, c.logits, c.entropy(), c.sample((5,)).shape, c)
