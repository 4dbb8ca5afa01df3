"""The names tutorials: a character RNN of one's own classifies names, another generates them."""

import random
import unicodedata

import torch
import torch.nn as nn

random.seed(0)
torch.manual_seed(0)
all_letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,;'-"
n_letters = len(all_letters) + 1
category_lines = {
    "Italian": ["Abbà", "Rossi", "Bianchi", "Moretti", "Conti", "Gallo"],
    "German": ["Müller", "Schmidt", "Schneider", "Fischer", "Weber", "Koch"],
    "Polish": ["Ślusàrski", "Nowak", "Kowalski", "Wójcik", "Lewandowski", "Mazur"],
}


def unicodeToAscii(s):
    return "".join(
        c for c in unicodedata.normalize("NFD", s)
        if unicodedata.category(c) != "Mn" and c in all_letters
    )


category_lines = {k: [unicodeToAscii(w) for w in v] for k, v in category_lines.items()}
all_categories = list(category_lines)
n_categories = len(all_categories)


def letterToTensor(letter):
    tensor = torch.zeros(1, n_letters)
    tensor[0][all_letters.find(letter)] = 1
    return tensor


def lineToTensor(line):
    tensor = torch.zeros(len(line), 1, n_letters)
    for li, letter in enumerate(line):
        tensor[li][0][all_letters.find(letter)] = 1
    return tensor


print(letterToTensor("J").sum(), lineToTensor("Jones").size())


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.h2o = nn.Linear(hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        combined = torch.cat((input, hidden), 1)
        hidden = torch.tanh(self.i2h(combined))
        output = self.softmax(self.h2o(hidden))
        return output, hidden

    def initHidden(self):
        return torch.zeros(1, self.hidden_size)


rnn = RNN(n_letters, 32, n_categories)
criterion = nn.NLLLoss()
learning_rate = 0.05


def categoryFromOutput(output):
    _top_n, top_i = output.topk(1)
    category_i = top_i[0].item()
    return all_categories[category_i], category_i


def train(category_tensor, line_tensor):
    hidden = rnn.initHidden()
    rnn.zero_grad()
    for i in range(line_tensor.size()[0]):
        output, hidden = rnn(line_tensor[i], hidden)
    loss = criterion(output, category_tensor)
    loss.backward()
    for p in rnn.parameters():
        p.data.add_(p.grad.data, alpha=-learning_rate)
    return output, loss.item()


current_loss = 0
for iter in range(1, 301):
    category = random.choice(all_categories)
    line = random.choice(category_lines[category])
    category_tensor = torch.tensor([all_categories.index(category)], dtype=torch.long)
    output, loss = train(category_tensor, lineToTensor(line))
    current_loss += loss
    if iter % 50 == 0:
        guess, _guess_i = categoryFromOutput(output)
        correct = "✓" if guess == category else f"✗ ({category})"
        print("%d %d%% %.4f %s / %s %s" % (iter, iter / 3, loss, line, guess, correct))

confusion = torch.zeros(n_categories, n_categories)
with torch.no_grad():
    for k, lines in category_lines.items():
        for line in lines:
            hidden = rnn.initHidden()
            for letter in lineToTensor(line):
                output, hidden = rnn(letter, hidden)
            confusion[all_categories.index(k)][categoryFromOutput(output)[1]] += 1
for i in range(n_categories):
    denom = confusion[i].sum()
    if denom > 0:
        confusion[i] = confusion[i] / denom
print(confusion)


class Generator(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(n_categories + input_size + hidden_size, hidden_size)
        self.i2o = nn.Linear(n_categories + input_size + hidden_size, output_size)
        self.o2o = nn.Linear(hidden_size + output_size, output_size)
        self.dropout = nn.Dropout(0.1)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, category, input, hidden):
        input_combined = torch.cat((category, input, hidden), 1)
        hidden = self.i2h(input_combined)
        output = self.i2o(input_combined)
        output = self.o2o(torch.cat((hidden, output), 1))
        return self.softmax(self.dropout(output)), hidden


def categoryTensor(category):
    tensor = torch.zeros(1, n_categories)
    tensor[0][all_categories.index(category)] = 1
    return tensor


def targetTensor(line):
    letter_indexes = [all_letters.find(line[li]) for li in range(1, len(line))]
    letter_indexes.append(n_letters - 1)
    return torch.LongTensor(letter_indexes)


decoder = Generator(n_letters, 32, n_letters)
total_loss = torch.Tensor([0])
for iter in range(1, 61):
    category = random.choice(all_categories)
    line = random.choice(category_lines[category])
    target = targetTensor(line).unsqueeze_(-1)
    hidden = torch.zeros(1, 32)
    decoder.zero_grad()
    loss = torch.Tensor([0])
    for i, letter in enumerate(lineToTensor(line)):
        output, hidden = decoder(categoryTensor(category), letter, hidden)
        loss += criterion(output, target[i])
    loss.backward()
    for p in decoder.parameters():
        p.data.add_(p.grad.data, alpha=-0.005)
    total_loss += loss.item() / len(line)
    if iter % 20 == 0:
        print("%d %.4f" % (iter, total_loss / 20))
        total_loss.zero_()


def sample(category, start_letter="A"):
    with torch.no_grad():
        input = lineToTensor(start_letter)
        hidden = torch.zeros(1, 32)
        output_name = start_letter
        for _ in range(8):
            output, hidden = decoder(categoryTensor(category), input[0], hidden)
            topi = output.topk(1)[1][0][0]
            if topi == n_letters - 1:
                break
            letter = all_letters[topi]
            output_name += letter
            input = lineToTensor(letter)
        return output_name


for category in all_categories:
    print(category, *[sample(category, letter) for letter in "ABC"])
