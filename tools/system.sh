#!/bin/sh
# Installs what the tests need besides Python, by apt: Chromium, Mosquitto, Alertmanager, promtool, nginx, rsync, sftp.
set -eu
missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v mosquitto >/dev/null 2>&1 || [ -x /usr/sbin/mosquitto ] || missing="$missing mosquitto"
command -v prometheus-alertmanager >/dev/null 2>&1 || missing="$missing prometheus-alertmanager"
command -v promtool >/dev/null 2>&1 || missing="$missing prometheus"
command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
command -v rsync >/dev/null 2>&1 || missing="$missing rsync"
[ -x /usr/lib/openssh/sftp-server ] || missing="$missing openssh-client openssh-sftp-server"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
	echo "The tests need$missing. Install with: sudo apt-get install$missing (tests that need them are skipped until then)."
	exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
