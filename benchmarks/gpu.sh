#!/usr/bin/env bash
# Runs every speed benchmark on one GPU in at most eight minutes, set-up included, and prints one table at the end.
#
#   benchmarks/gpu.sh                         the first GPU
#   benchmarks/gpu.sh --device cpu --quick    the same steps at tiny sizes, to try the script itself
#
# Without network, packages that the machine lacks are taken from wheels/ in the checkout (or WHEELS=folder), which
# benchmarks/wheels.sh fills elsewhere. PyTorch is the machine's own. A part that is not done in its time is left out,
# and so is one whose script is not there; the table says so. Results and logs go to OUT (default: gpu-results).
set -uo pipefail
began=$SECONDS
cd "$(dirname "$0")/.."
device=0 quick=
while [ $# -gt 0 ]; do
  case $1 in
    --device) device=$2; shift 2 ;;
    --quick) quick=1; shift ;;
    *) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
done
python=${PYTHON:-python3} total=${SECONDS_IN_ALL:-470} out=${OUT:-gpu-results} wheels=${WHEELS:-wheels}
mkdir -p "$out"; out=$(cd "$out" && pwd); rm -f "$out"/*.json "$out"/*.log "$out"/parts.tsv

if ls "$wheels"/*.whl >/dev/null 2>&1; then
  site=$(mktemp -d); trap 'rm -rf "$site"' EXIT
  "$python" -m pip install -q --no-index --no-deps --no-compile --disable-pip-version-check --target "$site" \
    "$wheels"/*.whl >"$out/setup.log" 2>&1 || { cat "$out/setup.log"; exit 1; }
  export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi
export YOLO_OFFLINE=true NO_ALBUMENTATIONS_UPDATE=1 PYTHONUNBUFFERED=1
"$python" -c "import torch, lightning, ultralytics, albumentations, jsonargparse" >>"$out/setup.log" 2>&1 || {
  tail -3 "$out/setup.log"; echo "a package is missing: benchmarks/wheels.sh downloads wheels for this machine"; exit 1; }
[ "$device" = cpu ] || nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || true
echo "set-up: $((SECONDS - began)) s"

# known SCRIPT ARGUMENTS…: sets `words` to the options whose names stand in the script, with their values.
known() {
  local script=$1 word keep=
  shift; words=()
  for word; do
    case $word in --*) keep=; grep -qE -- "\"(--)?${word#--}\"" "$script" && keep=1 ;; esac
    [ -n "$keep" ] && words+=("$word")
  done
}

# part NAME SECONDS SCRIPT ARGUMENTS…: a script with --json, in at most so many seconds and what is left of all.
part() {
  local name=$1 limit=$2 script=benchmarks/$3 left=$((total - SECONDS + began)) start=$SECONDS status
  shift 3
  [ -n "$quick" ] && limit=$((limit * 10)) left=3600
  [ "$left" -lt "$limit" ] && limit=$left
  if [ ! -f "$script" ]; then status="not there: $script"
  elif [ "$limit" -lt 10 ]; then status="left out: the time was over"
  else
    echo; echo "## $name"
    local place=$device
    [ "$place" != cpu ] && grep -q 'choices=("cpu", "cuda")' "$script" && place=cuda
    known "$script" "$@" --device "$place" --seconds "$((limit - 3))"
    # Asked to end rather than killed, so that a script ends its own processes.
    timeout --foreground -k 10 "$limit" "$python" "$script" --json "$out/$name.json" "${words[@]}" 2>&1 | tee "$out/$name.log"
    status=${PIPESTATUS[0]}
    case $status in 0) status=done ;; 124|130|137|143) status="not done after $limit s" ;; *) status="failed, see $name.log" ;; esac
  fi
  printf '%s\t%s\t%s\n' "$name" "$status" "$((SECONDS - start))" >>"$out/parts.tsv"
  [ "$status" = done ] || echo "$name: $status"
}

if [ -n "$quick" ]; then
  small="--images 24 --val 8 --picture 160 90 --imgsz 64 --epochs 2"
  part throughput-yolo11n 60 throughput.py $small --batch 4 --rounds 1 --sides ours theirs memory
  part throughput-yolo11x 60 throughput.py $small --imgsz 32 --model yolo11x --batch 4 --rounds 1 --sides ours theirs
  part where-yolo11n 30 where_time_goes.py $small --batch 8
  part validation 30 validation.py --images 12 --imgsz 64 --batch 4 --train 12 --epochs 1 --passes 2 --rounds 1
  part data-pipeline 30 data_pipeline.py --files 64 --imgsz 160 --batch 4 --batches 2 --rounds 2
  part device-augmentation 30 device_augmentation.py --files 64 --imgsz 160 --batch 4 --batches 2 --rounds 2 --workers 1
  part startup 30 startup.py --rounds 1 --warmup 0 --images 100
else
  large="--images 1024 --val 64 --picture 1280 720 --imgsz 640"
  part throughput-yolo11n 155 throughput.py $large --batch 64 256 16 --epochs 4 --rounds 1
  part throughput-yolo11x 105 throughput.py $large --images 512 --model yolo11x --batch 64 16 256 --epochs 3 --rounds 1
  part where-yolo11n 40 where_time_goes.py $large --images 512 --batch 64
  part validation 45 validation.py --images 512 --imgsz 640 --batch 64 --train 64 --epochs 1 --workers 8 --passes 2 --rounds 1
  part data-pipeline 25 data_pipeline.py --batches 4 --rounds 3
  part device-augmentation 20 device_augmentation.py --batch 64 --batches 4 --rounds 3 --workers 8
  part startup 20 startup.py --rounds 1 --images 5000
fi
if [ -f configs/rfdetr.yaml ] && "$python" -c "import rfdetr" 2>/dev/null; then
  sizes=${quick:+"--images 16 --val 4 --epochs 2 --batch 4"}
  sizes=${sizes:-"--images 256 --val 32 --picture 1280 720 --epochs 3 --batch 16"}
  part throughput-rfdetr-nano 40 throughput.py $sizes --config configs/rfdetr.yaml --model "" --imgsz 384 --rounds 1 \
    --sides ours memory
  if "$python" -c "import rfdetr.training, hotcoco" 2>/dev/null; then
    sizes=${quick:+"--tiny --images 20 --val 4 --picture 160 90 --imgsz 64 --epochs 2 --batch 4 --multi-scale off"}
    sizes=${sizes:-"--images 256 --val 32 --picture 1280 720 --imgsz 384 --epochs 3 --batch 16 --workers 8"}
    part throughput-rfdetr-package 60 rfdetr_throughput.py $sizes --rounds 1
  else
    printf 'throughput-rfdetr-package\tnot there: pytorch_lightning, hotcoco or another package of its trainer\t0\n' >>"$out/parts.tsv"
  fi
else
  printf 'throughput-rfdetr-nano\tnot there: the family, or the package rfdetr\t0\n' >>"$out/parts.tsv"
fi
echo; echo "## All of it, $((SECONDS - began)) s"; echo
"$python" benchmarks/gpu_table.py "$out" | tee "$out/table.md"
