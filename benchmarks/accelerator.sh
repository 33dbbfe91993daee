#!/usr/bin/env bash
# Train the miniature where an accelerator is at hand for minutes only, and measure what needs one in the same hold.
#
#   benchmarks/accelerator.sh FOLDER ART OUT [STAGE...]
#
# FOLDER keeps data and checkpoints; ART holds the archives or folders of the packages of drawings (npm pack; 31 MB);
# OUT receives what was trained and the logs as trained.tar, in parts of at most PART bytes. Parts that an earlier call
# left in OUT are put together in FOLDER first, and their stages count as done. Each stage ends with its minutes,
# cooldown included. A rehearsal on a CPU:
#
#   DEVICE=cpu SCENES=100 HALVES=0 DRAWINGS=100 BATCH=0.1 MINUTES=0.2 MEASURE=0 benchmarks/accelerator.sh DIR ART OUT
set -euo pipefail

folder=$1 art=$2 out=$3
shift 3
stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(autoencoder whole-autoencoder judge sight captioner denoiser)

: "${PYTHON:=.venv/bin/python}" "${DEVICE:=cuda}" "${SCENES:=3000}" "${HALVES:=3000}" "${DRAWINGS:=3000}"
: "${BATCH:=16}" "${WORKERS:=1}" "${PART:=15000000}" "${MEASURE:=1}" "${START:=pnpvideo/miniature/weights}"
: "${MINUTES_AUTOENCODER:=${MINUTES:-2.5}}" "${MINUTES_WHOLE_AUTOENCODER:=${MINUTES:-0.5}}"
: "${MINUTES_JUDGE:=${MINUTES:-0.7}}" "${MINUTES_SIGHT:=${MINUTES:-0.7}}" "${MINUTES_CAPTIONER:=${MINUTES:-0.5}}"
: "${MINUTES_DENOISER:=${MINUTES:-4}}"

mkdir -p "$folder" "$out"

if [ -e "$out/trained.tar.part-aa" ]; then
    cat "$out"/trained.tar.part-* | tar -x -C "$folder"
fi

train() {
    local stage=$1 minutes=$2
    shift 2
    "$PYTHON" -m pnpvideo.miniature.recipe --folder "$folder" --art "$art" --device "$DEVICE" --batch "$BATCH" \
        --scenes "$SCENES" --half-size-scenes "$HALVES" --art-scenes "$DRAWINGS" --workers "$WORKERS" \
        --start-from "$START" --minutes "$minutes" --fit --only "$stage" "$@"
}

for stage in "${stages[@]}"; do
    variable="MINUTES_$(echo "$stage" | tr 'a-z-' 'A-Z_')"
    echo "$(date +%T) $stage, ${!variable} minutes"
    # Millions of steps: the stage ends with its minutes instead.
    train "$stage" "${!variable}" "--$stage-steps" 10000000
done

rm -rf "$folder/carried"
mkdir "$folder/carried"
cp -r "$folder/tokenizer" "$folder/caption-tokenizer" "$folder"/*.jsonl "$folder/carried"
for checkpoint in "$folder"/*.pt; do
    "$PYTHON" -m pnpvideo.miniature.recipe.carry "$folder" "$(basename "$checkpoint" .pt)" "$folder/carried"
done
rm -f "$out"/trained.tar.part-*
tar -c -C "$folder/carried" . | split -b "$PART" - "$out/trained.tar.part-"

if [ "$MEASURE" = 1 ]; then
    "$PYTHON" -m pytest -q -m gpu >"$out/gpu.txt" 2>&1 || echo "make gpu: failed, see gpu.txt"
    "$PYTHON" -m benchmarks.full_size >"$out/full_size.txt" 2>&1 || echo "benchmarks.full_size: failed, see full_size.txt"
fi
du -sh "$out"
