#!/bin/sh
# Installs the npm packages of the lockfile; brings npm itself by apt where the machine has none.
set -eu
cd "$(dirname "$0")/.."
if ! command -v npm >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "setup: npm is missing: installing Debian's nodejs and npm (they only fetch Node 26)" >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null
  else
    echo "setup: npm is missing: install any npm (on Debian: apt install nodejs npm) and run this again" >&2
    exit 1
  fi
fi
echo "setup: installing npm packages" >&2
npm ci --loglevel=error
