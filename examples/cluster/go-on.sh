#!/bin/sh
# One rank of a stage of patchdrop. It begins, or goes on where the run folder says that it has begun: so that a launcher may start the
# same command again after a failure. torchrun.sh and the images of Dockerfile use it.
#
#     RUN=runs/hr sh go-on.sh classifier_training --data_dir data/cifar10
#
# All ranks choose alike: the folder is made only once each of them has come.

[ -n "$RUN" ] || { echo "RUN: must name the run folder, such as RUN=runs/hr" >&2; exit 2; }
[ -e "$RUN/config.json" ] && set -- "$@" --resume
exec patchdrop "$@" --cv_dir "$RUN"
