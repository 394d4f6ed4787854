#!/bin/sh
# One training on the GPUs of two hosts, by PyTorch's torchrun: start the same command on both. HEAD is one of the two.
#
#     RUN=/shared/runs/hr HEAD=node-1 sh torchrun.sh classifier_training --data_dir /shared/data/cifar10 --device cuda --shards 8
#
# RUN is the run folder, on a disk that both hosts share. When a rank has died, torchrun ends the others and starts all of them again,
# three times at most, and they go on from the last checkpoint. With --shards, and as many threads a rank, the result does not depend on it. TERM, which torchrun
# passes on, lets them save for 30 seconds. HOSTS and RANKS change the number of hosts, and of ranks on each; else there is one a GPU.
# On CPUs use mpirun.

[ -n "$HEAD" ] || { echo "HEAD: must name one of the hosts, such as HEAD=node-1" >&2; exit 2; }
exec torchrun --nnodes "${HOSTS:-2}" --nproc-per-node "${RANKS:-gpu}" --max-restarts 3 \
  --rdzv-backend c10d --rdzv-endpoint "$HEAD:29500" --no-python \
  sh "$(dirname "$0")/go-on.sh" "$@"
