#!/bin/sh
# An archive in shards: a Slurm array, each task of which does one. A task that is stopped, killed or for which no server answered goes
# into the queue again and goes on; one that is done, also where some of its scenes could not be read (3), or that an error ends, does not.
#
#     sbatch --array=0-99%20 slurm-shards.sh acquire --load runs/finetune --manifest archive.parquet --out acquired
#     patchdrop gather acquired --out archive
#
# To do some shards again, give their number of all by hand: SHARDS=100 sbatch --array=3,17 slurm-shards.sh …
#SBATCH --job-name=patchdrop
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@60
#SBATCH --requeue
#SBATCH --open-mode=append

[ -z "$SHARDS" ] || set -- "$@" --shard "$SLURM_ARRAY_TASK_ID/$SHARDS"
# Slurm tells this script when the time is nearly up, and not what it started.
patchdrop "$@" --threads "${SLURM_CPUS_PER_TASK:-2}" &
trap 'kill -USR1 $!' USR1
wait $!
code=$?
[ $code -eq 138 ] && wait $! 2>/dev/null
# No server or disk (5), stopped by a signal (129 HUP, 138 USR1, 140 USR2, 143 TERM), killed or crashed (134, 135, 137, 139).
case $code in
  5 | 129 | 134 | 135 | 137 | 138 | 139 | 140 | 143)
    [ "${SLURM_RESTART_COUNT:-0}" -lt 20 ] && scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    ;;
esac
exit "$code"
