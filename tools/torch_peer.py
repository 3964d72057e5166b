#!/usr/bin/env python3
"""The same work in plain PyTorch, to measure against side by side in one run.

M3AE at base size (or --small) with random weights and inputs, written from docs/spec.md: the pre-training step as the
reference does it (three full forward passes, one backward, AdamW), the VQA fine-tuning step, VQA inference.
    pip install torch numpy
    python torch_peer.py --mode pretrain --batch 4 --image 288 --text 64 --steps 3 [--bf16] [--threads 2] [--device cuda]
Prints seconds and samples/s per step (the first step warms up: leave it out) and peak memory.
"""
import argparse, resource, time
import torch
from torch import nn
import torch.nn.functional as F


class ClipBlock(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.ln_1, self.ln_2, self.attn = nn.LayerNorm(d), nn.LayerNorm(d), nn.MultiheadAttention(d, h, batch_first=True)
        self.c_fc, self.c_proj = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        y = self.c_fc(self.ln_2(x))
        return x + self.c_proj(y * torch.sigmoid(1.702 * y))


class BertAttention(nn.Module):
    """Attention, output projection, dropout, residual, post-norm; returns probabilities computed explicitly, as the reference does in the fusion."""
    def __init__(self, d, h, eps, explicit):
        super().__init__()
        self.q, self.k, self.v, self.o, self.norm = *(nn.Linear(d, d) for _ in range(4)), nn.LayerNorm(d, eps)
        self.h, self.drop, self.explicit = h, nn.Dropout(0.1), explicit

    def forward(self, x, ctx, bias):
        split = lambda t: t.view(t.shape[0], t.shape[1], self.h, -1).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(ctx)), split(self.v(ctx))
        if self.explicit:
            p = self.drop(torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias, -1))
            y = p @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, bias.expand(-1, -1, q.shape[2], -1), dropout_p=0.1 if self.training else 0.0)
        return self.norm(x + self.drop(self.o(y.transpose(1, 2).flatten(2))))


class BertLayer(nn.Module):
    def __init__(self, d, h, eps, cross):
        super().__init__()
        self.att = BertAttention(d, h, eps, cross)
        self.cross = BertAttention(d, h, eps, True) if cross else None
        self.up, self.down, self.norm, self.drop = nn.Linear(d, 4 * d), nn.Linear(4 * d, d), nn.LayerNorm(d, eps), nn.Dropout(0.1)

    def forward(self, x, bias, ctx=None, ctx_bias=None):
        x = self.att(x, x, bias)
        if self.cross is not None:
            x = self.cross(x, ctx, ctx_bias)
        return self.norm(x + self.drop(self.down(F.gelu(self.up(x)))))


class M3ae(nn.Module):
    def __init__(self, image, text, vocab=50265, d=768, h=12, vision_layers=11, text_layers=12, fusion=6, mim_layer=3, answers=498, p=16):
        super().__init__()
        n = (image // p) ** 2
        self.p, self.n, self.mim_layer = p, n, mim_layer
        self.conv = nn.Conv2d(3, d, p, p, bias=False)
        self.cls, self.pos = nn.Parameter(torch.randn(d) * 0.02), nn.Parameter(torch.randn(n + 1, d) * 0.02)
        self.pre, self.post = nn.LayerNorm(d), nn.LayerNorm(d)
        self.vision = nn.ModuleList(ClipBlock(d, h) for _ in range(vision_layers))
        self.word, self.tpos, self.tnorm = nn.Embedding(vocab, d), nn.Embedding(text, d), nn.LayerNorm(d, 1e-5)
        self.text = nn.ModuleList(BertLayer(d, h, 1e-5, False) for _ in range(text_layers))
        self.tproj, self.vproj, self.kind = nn.Linear(d, d), nn.Linear(d, d), nn.Embedding(2, d)
        self.fuse_t = nn.ModuleList(BertLayer(d, h, 1e-12, True) for _ in range(fusion))
        self.fuse_v = nn.ModuleList(BertLayer(d, h, 1e-12, True) for _ in range(fusion))
        self.pool_t, self.pool_v = nn.Linear(d, d), nn.Linear(d, d)
        self.mlm = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.LayerNorm(d, 1e-12), nn.Linear(d, vocab))
        e = d // 2
        self.dec_in, self.mask_token, self.dec_pos = nn.Linear(d, e), nn.Parameter(torch.zeros(1, 1, e)), nn.Parameter(torch.randn(1, n + 1, e))
        self.dec, self.dec_norm, self.dec_out = nn.ModuleList(ClipBlock(e, h // 2) for _ in range(4)), nn.LayerNorm(e), nn.Linear(e, p * p * 3)
        self.itm = nn.Linear(2 * d, 2)
        self.vqa = nn.Sequential(nn.Linear(2 * d, 2 * d), nn.LayerNorm(2 * d), nn.GELU(), nn.Linear(2 * d, answers))

    def forward(self, image, ids, mask, mask_image=False):
        b, bias = ids.shape[0], (1.0 - mask[:, None, None, :].float()) * -1e4
        t = self.tnorm(self.word(ids) + self.tpos.weight[: ids.shape[1]])
        for layer in self.text:
            t = layer(t, bias)
        v, restore, removed = self.conv(image).flatten(2).transpose(1, 2) + self.pos[1:], None, None
        if mask_image:
            keep = int(self.n * 0.25)
            shuffle = torch.rand(b, self.n, device=v.device).argsort(1)
            restore = shuffle.argsort(1)
            v = v.gather(1, shuffle[:, :keep, None].expand(-1, -1, v.shape[-1]))
            removed = torch.ones(b, self.n, device=v.device).index_fill(1, torch.arange(keep, device=v.device), 0).gather(1, restore)
        v = self.pre(torch.cat([(self.cls + self.pos[0]).expand(b, 1, -1), v], 1))
        for block in self.vision:
            v = block(v)
        x, y = self.tproj(t) + self.kind.weight[0], self.vproj(self.post(v)) + self.kind.weight[1]
        none, state = torch.zeros(b, 1, 1, y.shape[1], device=y.device), y
        for i, (ft, fv) in enumerate(zip(self.fuse_t, self.fuse_v)):
            if i == self.mim_layer:
                state = y
            x, y = ft(x, bias, y, none), fv(y, none, x, bias)
        pooled = torch.cat([torch.tanh(self.pool_t(x[:, 0])), torch.tanh(self.pool_v(y[:, 0]))], -1)
        return x, pooled, state, restore, removed

    def mim_loss(self, image, state, restore, removed):
        b, p, g = image.shape[0], self.p, image.shape[-1] // self.p
        x = self.dec_in(state)
        full = torch.cat([x[:, 1:], self.mask_token.to(x.dtype).expand(b, self.n + 1 - x.shape[1], -1)], 1)
        full = full.gather(1, restore[..., None].expand(-1, -1, x.shape[-1]))
        x = torch.cat([x[:, :1], full], 1) + self.dec_pos
        for block in self.dec:
            x = block(x)
        x = self.dec_out(self.dec_norm(x))[:, 1:]
        t = image.reshape(b, 3, g, p, g, p).permute(0, 2, 4, 3, 5, 1).reshape(b, g * g, -1)
        t = (t - t.mean(-1, keepdim=True)) / (t.var(-1, keepdim=True) + 1e-6).sqrt()
        return (((x - t) ** 2).mean(-1) * removed).sum() / removed.sum()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--mode", choices=["pretrain", "vqa", "infer"], default="pretrain")
    for name, default in dict(batch=4, image=288, text=64, steps=3, threads=2).items():
        a.add_argument(f"--{name}", type=int, default=default)
    a.add_argument("--device", default="cpu"); a.add_argument("--bf16", action="store_true"); a.add_argument("--small", action="store_true")
    a = a.parse_args()
    torch.set_num_threads(a.threads); torch.manual_seed(0)
    small = dict(d=192, h=6, vision_layers=6, text_layers=2, fusion=3, mim_layer=1) if a.small else {}
    dev, model = torch.device(a.device), M3ae(a.image, a.text, **small).to(a.device)
    model.train(a.mode != "infer")
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.0f} M parameters, torch {torch.__version__}, {a.threads} threads, {dev}, {'bf16 autocast' if a.bf16 else 'f32'}")
    opt = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(0.9, 0.98), eps=1e-8)
    image, other = (torch.randn(a.batch, 3, a.image, a.image, device=dev) for _ in range(2))
    ids, mask = torch.randint(5, 50000, (a.batch, a.text), device=dev), torch.ones(a.batch, a.text, device=dev)
    chosen = torch.rand(ids.shape, device=dev) < 0.15; chosen[:, 1] = True
    masked, labels = ids.masked_fill(chosen, 50264), ids.masked_fill(~chosen, -100)
    match = (torch.arange(a.batch, device=dev) < a.batch // 2).long()
    for step in range(a.steps + 1):
        start = time.time()
        with torch.autocast(dev.type, dtype=torch.bfloat16, enabled=a.bf16), torch.set_grad_enabled(a.mode != "infer"):
            if a.mode == "pretrain":
                loss = F.cross_entropy(model.mlm(model(image, masked, mask)[0]).flatten(0, 1), labels.flatten())
                _, _, state, restore, removed = model(image, ids, mask, mask_image=True)
                loss = loss + model.mim_loss(image, state, restore, removed)
                loss = loss + F.cross_entropy(model.itm(model(torch.where(match[:, None, None, None] == 1, image, other), ids, mask)[1]), match)
            else:
                logits = model.vqa(model(image, ids, mask)[1])
                loss = F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits)) * logits.shape[1]
        if a.mode != "infer":
            opt.zero_grad(); loss.backward(); opt.step()
        value = loss.item()  # waits for the device
        seconds = time.time() - start
        peak = torch.cuda.max_memory_allocated() / 1e9 if dev.type == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"step {step}: {seconds:.3f} s, {a.batch / seconds:.3f} samples/s, peak {peak:.2f} GB, loss {value:.3f}", flush=True)


if __name__ == "__main__":
    main()
