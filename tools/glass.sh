#!/bin/sh
# Fetches the pinned front-end files into assets/vendor; without npm or a network the app runs on what pip installed.
set -eu
[ -f package.json ] || exit 0
if [ -f assets/vendor/.lock ] && cmp -s package-lock.json assets/vendor/.lock; then exit 0; fi
if ! command -v npm >/dev/null 2>&1; then
	echo "npm is not here: the pages use the larger files of the Python packages instead (slower on phones)."
	exit 0
fi
if ! npm ci --silent --no-audit --no-fund >/dev/null 2>&1; then
	echo "The front-end files could not be fetched: the pages use the larger files of the Python packages instead."
	exit 0
fi
cp package-lock.json assets/vendor/.lock
