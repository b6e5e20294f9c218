#!/bin/sh
# Brings the plugin in this directory into every process of the service, or into none.
#
#   deploy.sh BINARY ADDRESS...
#
# BINARY is a copy of what the processes run, ADDRESS where they serve. HOTGO_TARGET
# says which processes these are, as in HOTGO_TARGET=ssh://web1,ssh://web2; without it,
# those of this user on this machine. HOTGO is the program, where it is not in PATH.
#
# Exit codes are those of hotgo; 1 where the new version was taken, did not do what it
# should, and was taken back.
set -eu
hotgo=${HOTGO:-hotgo}
binary=$1
shift

# Built once, for that binary; what does not compile ends it here (3).
artifact=$("$hotgo" build --host "$binary" "$(dirname "$0")/plugins/price")

# Every process says whether it would take it (4), and nothing is loaded.
"$hotgo" verify "$artifact"

# One process, and then a quarter of them at a time. The first that refuses, or finds
# that it is not well, ends it, and those before it are set back (6).
"$hotgo" push "$artifact" --strategy canary --max-unavailable 25%

# What only customers notice is looked at from outside.
for address; do
  answer=$(curl -fsS --max-time 10 "http://$address/price?items=3") || answer=none
  case $answer in
  *[!0-9]* | '')
    echo "deploy: $address answers $answer: going back" >&2
    "$hotgo" rollback price
    exit 1
    ;;
  esac
done
echo "deploy: $# addresses answer" >&2
