#!/usr/bin/env bash
# Downloads the wheels that gpu.sh needs on a machine without network: what this package needs and a machine with
# PyTorch, Lightning, torchmetrics, TensorBoard, Matplotlib and OpenCV does not have. At most 64 MiB together.
#
#   benchmarks/wheels.sh [FOLDER]          the folder: wheels, beside the checkout's files
#   PYTHON_VERSION=3.11 benchmarks/wheels.sh        the machine's Python, 3.12 unless said
#   MORE="lightning==2.6.6 wandb==0.31.0" benchmarks/wheels.sh        what that machine lacks beside these
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-wheels}
most=64
packages=(
  ultralytics==8.4.190
  polars==0.20.31          # of its versions the smallest that Ultralytics takes and that needs no second wheel
  albumentations==2.0.8 albucore==0.0.24 simsimd stringzilla
  pydantic==2.11.9 pydantic-core==2.33.2 annotated-types typing-inspection
  "jsonargparse>=4.40,<5" docstring-parser typeshed-client importlib-resources
  ${MORE:-}
)
platforms=()
for version in 2_28 2_27 2_24 2_17; do platforms+=(--platform "manylinux_${version}_x86_64"); done
for version in 2014 2010 1; do platforms+=(--platform "manylinux${version}_x86_64"); done
mkdir -p "$folder"
for package in "${packages[@]}"; do
  "${PYTHON:-python3}" -m pip download -q --no-deps --only-binary=:all: --implementation cp "${platforms[@]}" \
    --python-version "${PYTHON_VERSION:-3.12}" -d "$folder" "$package"
done
size=$(du -sm "$folder" | cut -f1)
echo "$folder: $(ls "$folder" | wc -l) wheels, $size MiB"
if [ "$size" -gt "$most" ]; then echo "more than $most MiB" >&2; exit 1; fi
