#!/bin/sh
# One training on several ranks of a Slurm cluster. Two minutes before its time is up it is told to save and to stop; then it is put
# into the queue again, and goes on, until it is done. So it does when a rank was killed, or a node has failed. What an error ends, such
# as a wrong option, stays ended: it would end so again.
#
#     RUN=runs/hr sbatch --ntasks=8 slurm.sh classifier_training --data_dir data/cifar10 --shards 8
#
# RUN is the run folder. With --shards, the result does not depend on how many ranks the job had, nor on how often it was stopped; it does on
# the threads of each (--cpus-per-task). A job ends for good after 100 starts, so that one that never gets far enough to save does not
# go on for ever; submit it again if it needs more.
#SBATCH --job-name=patchdrop
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append

[ -n "$RUN" ] || { echo "RUN: must name the run folder, such as RUN=runs/hr" >&2; exit 2; }
[ -e "$RUN/config.json" ] && set -- "$@" --resume
srun --mpi=pmix patchdrop "$@" --cv_dir "$RUN"
code=$?
# Stopped by a signal, with everything saved (129 HUP, 138 USR1, 140 USR2, 143 TERM); or killed, as for want of memory (137), or crashed
# (134, 135, 139).
case $code in
  129 | 134 | 135 | 137 | 138 | 139 | 140 | 143) [ "${SLURM_RESTART_COUNT:-0}" -lt 99 ] && scontrol requeue "$SLURM_JOB_ID" ;;
esac
exit "$code"
