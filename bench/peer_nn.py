#!/usr/bin/python3
"""The networks of nn_networks.c in PyTorch:  peer_nn.py THREADS. Reads lines "CASE SECONDS" (mlp:4096,
mlp:4096:bf16, mlp_latency), answers with one line until its input ends: the rate of the best step
(samples, images or tokens a second; with one thread by the process's CPU time), or for latencies
"BEST MEDIAN P99 THREADS" in microseconds of wall time, as bench_nn.c measures."""
import os
import sys
import time

THREADS = sys.argv[1] if len(sys.argv) > 1 else "2"
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = THREADS
clock = time.process_time if THREADS == "1" else time.perf_counter
import torch  # noqa: E402
from torch import nn  # noqa: E402

torch.set_num_threads(int(THREADS))
torch.manual_seed(1)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (f(x).view(b, t, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        s = (q @ k.transpose(-2, -1)) * (c // self.heads) ** -0.5
        s = s.masked_fill(self.mask(t), float("-inf"))
        y = torch.softmax(s, -1) @ v
        return self.o(y.transpose(1, 2).reshape(b, t, c))

    def mask(self, t):
        if not hasattr(self, "_mask"):
            self._mask = torch.ones(t, t, dtype=torch.bool).triu(1)
        return self._mask


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attention(self.n1(x))
        return x + self.down(nn.functional.gelu(self.up(self.n2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, vocabulary, context, width, heads, layers):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)
        self.positions = torch.arange(context)

    def forward(self, ids):
        return self.head(self.norm(self.blocks(self.tokens(ids) + self.places(self.positions))))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(14, 64, num_layers=2, batch_first=True), nn.Linear(64, 4)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def mlp():
    return nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 8))


def pilot():
    layers = []
    for i, o, k, s in ((3, 24, 5, 2), (24, 36, 5, 2), (36, 48, 5, 2), (48, 64, 3, 1), (64, 64, 3, 1)):
        layers += [nn.Conv2d(i, o, k, s), nn.ReLU()]
    layers += [nn.Flatten(), nn.Linear(1152, 100), nn.ReLU(), nn.Linear(100, 50), nn.ReLU(),
               nn.Linear(50, 10), nn.ReLU(), nn.Linear(10, 1)]
    return nn.Sequential(*layers)


def trains(model, x, target, loss, per_step, bf16):
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, foreach=True)

    def step():
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            value = loss(model(x), target)
        value.backward()
        optimiser.step()

    return step, per_step


def latency(model, x):
    model = torch.jit.freeze(torch.jit.script(model.eval()))

    def step():
        with torch.no_grad():
            model(x)

    return step, 0


def make(case):
    kind, _, rest = case.partition(":")
    size, _, numbers = rest.partition(":")
    rows, bf16 = int(size or 1), numbers == "bf16"
    mse = nn.functional.mse_loss
    if kind == "mlp":
        return trains(mlp(), torch.randn(rows, 64), torch.randn(rows, 8), mse, rows, bf16)
    if kind == "pilot":
        return trains(pilot(), torch.randn(rows, 3, 66, 200), torch.randn(rows, 1), mse, rows, bf16)
    if kind == "gpt":
        ids = torch.randint(0, 256, (rows, 257))
        loss = lambda y, t: nn.functional.cross_entropy(y.reshape(-1, 256), t.reshape(-1))  # noqa: E731
        return trains(Gpt(256, 256, 384, 6, 6), ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), loss, rows * 256, bf16)
    if kind == "lstm":
        return trains(Lstm(), torch.randn(rows, 30, 14), torch.randn(rows, 4), mse, rows, bf16)
    if kind == "mlp_latency":
        return latency(mlp(), torch.randn(1, 64))
    if kind == "pilot_latency":
        return latency(pilot(), torch.randn(1, 3, 66, 200))
    raise SystemExit("no such case: " + case)


def rate(step, per_step, seconds):
    begin, best = time.perf_counter(), 1e9
    while best == 1e9 or time.perf_counter() - begin < seconds:
        t = clock()
        step()
        best = min(best, clock() - t)
    return str(per_step / best)


def latencies(step, seconds):
    together, now = 50, time.perf_counter
    begin, best, singles = now(), 1e9, []
    while not singles or now() - begin < seconds:
        t = now()
        for _ in range(together):
            step()
        best = min(best, (now() - t) / together)
        for _ in range(together):
            t = now()
            step()
            singles.append(now() - t)
    singles.sort()
    best = min(best, singles[0])
    at = lambda share: 1e6 * singles[int(share * (len(singles) - 1))]  # noqa: E731
    return f"{1e6 * best} {at(0.5)} {at(0.99)} {THREADS}"


def blas():
    import ctypes
    try:
        library = ctypes.CDLL("libblas.so.3")
        library.openblas_get_corename.restype = ctypes.c_char_p
        return "OpenBLAS " + library.openblas_get_corename().decode()
    except (OSError, AttributeError):
        return "reference BLAS"


def main():
    cases = {}
    print("PyTorch", torch.__version__, "with", blas(), flush=True)
    for line in sys.stdin:
        case, seconds = line.split()
        if case not in cases:
            cases[case] = make(case)
            if "bf16" not in case:  # emulated on this CPU: seconds a step
                cases[case][0]()
            cases[case][0]()
        step, per_step = cases[case]
        print(rate(step, per_step, float(seconds)) if per_step else latencies(step, float(seconds)), flush=True)


if __name__ == "__main__":
    main()
