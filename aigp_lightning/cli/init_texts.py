"""Texts that `init` writes into a project: `README.md` and `.gitignore`."""

GITIGNORE = """\
# what aigp_lightning writes: runs, data that it makes, weights that it fetches, the model store, the policy's output
runs/
datasets/
weights/*
!weights/weights.json
models/
output/
wandb/
lightning_logs/
# keys that sign the ledger: the public one, *.key.pub, may be shared
*.key
.venv/
__pycache__/
"""
SOURCE = "--data.source datasets/quick-detect/images/test"
"""Pictures that the quick overlay makes, which training does not look at."""
README = """\
# {name}

Training by aigp_lightning {version}. Every command below can be typed as it stands, in
this folder.

## In minutes, without a GPU

```bash
python -m aigp_lightning fit --run.name first \\
  --config configs/detector.yaml --config configs/quick.yaml
python -m aigp_lightning report runs/detect/first
python -m aigp_lightning validate \\
  --ckpt_path runs/detect/first/weights/best.ckpt
python -m aigp_lightning predict \\
  --ckpt_path runs/detect/first/weights/best.ckpt \\
  {source}
python -m aigp_lightning export \\
  --ckpt_path runs/detect/first/weights/best.ckpt
python -m aigp_lightning audit runs/detect/first
```

The first makes its own pictures of racing gates and trains on them from random weights. The others show the run as a
page, measure its model, find gates in pictures, write the model for other programs, and check what left this machine.

## From trained weights, on your own data

```bash
python -m aigp_lightning fetch yolo11n.pt
python -m aigp_lightning make-data --out datasets/mine --train 64 --val 16
python -m aigp_lightning lint datasets/mine/data.yaml
python -m aigp_lightning plan --config configs/detector.yaml \\
  --data.data_yaml datasets/mine/data.yaml
python -m aigp_lightning fit --config configs/detector.yaml \\
  --data.data_yaml datasets/mine/data.yaml --run.name mine
```

`fetch` is the one command that opens a connection of its own; `weights/weights.json` records what came. `make-data`
stands for your data: any Ultralytics `data.yaml` in the place of `datasets/mine/data.yaml`
([train your own data](docs/train-your-own-data.md)). `plan` says what the training would draw, and to whom it would go.

## What is in this folder?

| | |
|---|---|
| `configs/` | a complete configuration a task, with every option; `quick.yaml` and `logger/` are overlays for them |
| `docs/` | the documentation of this version, to which comments in `configs/` point |
| `weights/` | weights to start from, looked for by name |
| `datasets/`, `runs/` | data and runs; not for git (`.gitignore`) |

All commands: `python -m aigp_lightning --help`, or `aigp-lightning --help`, which is the same.
"""
