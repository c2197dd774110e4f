#!/usr/bin/env bash
# Everything that only a GPU shows, in one command that needs no network and ends by itself in at most 8 minutes.
#   MODEL=SmolLM2-135M-Instruct.Q4_1.gguf INDEX=folder/of/factbook OUT=results bash benchmarks/gpu/run.sh [--steps N] [--parts LIST]
# --parts is some of correct,speed,arms; arms needs MODEL. --steps 2 tries it on a CPU, small. Results are JSON files in
# $OUT, by default build/gpu; a part that fails leaves its log there. results/gpu/h100.json is put together from them.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
steps=20 parts=correct,speed,arms
while [ $# -gt 0 ]; do
  case $1 in
    --steps) steps=$2; shift 2 ;;
    --parts) parts=$2; shift 2 ;;
    *) echo "run.sh: unknown argument $1"; exit 2 ;;
  esac
done
for one in ${parts//,/ }; do
  case $one in correct|speed|arms) ;; *) echo "run.sh: there is no part $one; choose from correct,speed,arms"; exit 2 ;; esac
done
out=${OUT:-$here/build/gpu}; mkdir -p "$out"
python=${PYTHON:-python3}
export PYTHONPATH=$here/src:$here/benchmarks/gpu:$here/examples/real_text${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
export QUESTWELL_OFFLINE=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
began=$SECONDS
part() { # part NAME SECONDS COMMAND...: within its time, and within the 8 minutes of all
  local name=$1 most=$2; shift 2
  case ,$parts, in *,${name%%-*},*) ;; *) return ;; esac
  local left=$((475 - (SECONDS - began))); [ $left -lt 20 ] && { echo "$name: no time left"; return; }
  [ $most -gt $left ] && most=$left
  local start=$SECONDS
  timeout "$most" "$@" > "$out/$name.log" 2>&1; local rc=$?
  tail -c 1500 "$out/$name.log" | grep -v Converting | tail -6; echo "== $name: exit $rc, $((SECONDS - start)) s"
}
if [ "$steps" -le 2 ]; then
  part correct 400 "$python" "$here/benchmarks/gpu/correct.py" --steps "$steps" --warm-start-steps 20 --out "$out/correct.json"
  part speed-tiny 200 "$python" "$here/benchmarks/gpu/speed.py" --shape tiny --dialogues 8 --scale 0.2 --updates 1 --out "$out/speed-tiny.json"
  shape="--batch 1 --group 2 --questions 2 --demonstrations 6 --test 3 --warm-start-steps 1 --warm-start-batch 1 --rows 4"
else
  part correct 130 "$python" "$here/benchmarks/gpu/correct.py" --steps 14 --out "$out/correct.json"
  part speed-135m 100 "$python" "$here/benchmarks/gpu/speed.py" --shape 135m --dialogues 128 --out "$out/speed-135m.json"
  part speed-05b 100 "$python" "$here/benchmarks/gpu/speed.py" --shape 0.5b --dialogues 128 --out "$out/speed-05b.json"
  shape="--batch 32 --group 8 --questions 640 --demonstrations 400 --test 300 --warm-start-steps 60 --warm-start-batch 16 --rows 256"
  shape="$shape --top-k 3 --micro-tokens 32768 --save-every 20"
fi
[ -n "${MODEL:-}" ] && part arms 460 "$python" "$here/examples/real_text/run.py" --model "$MODEL" ${INDEX:+--index "$INDEX"} \
  --hops 2 --arms A,B,C --steps "$steps" $shape --out "$out/arms"
[ -f "$out/arms/result.json" ] && cp "$out/arms/result.json" "$out/arms.json"
for arm in B C; do [ -f "$out/arms/train-$arm/metrics.jsonl" ] && cp "$out/arms/train-$arm/metrics.jsonl" "$out/metrics-$arm.jsonl"; done
nvidia-smi --query-gpu=name,driver_version,memory.used --format=csv 2>/dev/null
echo "all parts: $((SECONDS - began)) s"
exit 0
