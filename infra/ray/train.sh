#!/usr/bin/env bash
# What a run's job does on the cluster: verl with the overrides of three files, one
# `key=value` a line: what every run has, what the model needs of the machines, and
# the run's own settings. Ray unpacks them here.
set -euo pipefail

overrides=()
for file in common.overrides recipe.overrides run.overrides; do
  while IFS= read -r line || [[ -n $line ]]; do
    [[ $line =~ ^[[:space:]]*(#|$) ]] || overrides+=("$line")
  done <"$file"
done

# Checkpoints outlive the job, whose own folder Ray removes: set ILLUMINE_RUNS_DIR on
# the cluster to a folder that all its machines share. A run that is resumed finds its
# own there.
folder="${ILLUMINE_RUNS_DIR:-$HOME/illumine-runs}/$ILLUMINE_RUN"
mkdir -p "$folder"

# exec: Ray's signal to stop reaches the trainer itself.
exec "${ILLUMINE_TRAINER_PYTHON:-python3}" -m verl.trainer.main_ppo "${overrides[@]}" \
  "trainer.nnodes=${ILLUMINE_NODES:-1}" \
  "trainer.n_gpus_per_node=${ILLUMINE_GPUS_PER_NODE:-8}" \
  "trainer.default_local_dir='$folder'"
