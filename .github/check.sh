#!/usr/bin/env bash
# What every change has to pass, on its own machine and in CI alike. No AWS account, and no
# network beyond the dependencies.
#   .github/check.sh              all steps, in this order
#   .github/check.sh STEP...      only these: formatting lints docs tests build fuzz deny
# tests/run reads this file for the steps and adds the tests against real programs.

check_formatting() { cargo fmt --all --check; }
check_lints() { cargo clippy --locked --workspace --all-targets -- -D warnings; }
check_docs() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items; }
check_tests() {
  rm -rf target/tmp/provoked # tests/it notes the fault codes that it provokes there
  # half of their time they wait
  export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(getconf _NPROCESSORS_ONLN) * 2))}
  without_leaks cargo test --locked --workspace --exclude mwaa-gateway-fuzz --no-fail-fast
  without_leaks cargo test --locked --test provoked
}
# The production builds first, and kept under names of their own: the default build takes their place.
check_build() {
  case $(uname -s) in Linux) deploy/container/build ;; esac
  cargo build --locked --release --no-default-features
  cp target/release/mwaa-gateway target/release/mwaa-gateway-production
  cargo build --locked --release
}
# Ten million disguises of forbidden commands, and as many messages of HTTP/1.1; and ten thousand
# fleets with random faults. Other ones each time; a finding names its seed.
check_fuzz() {
  export FUZZ_COUNT=${FUZZ_COUNT:-10000000} FUZZ_SEED=${FUZZ_SEED:-$(date +%s)}
  export FLEET_SEEDS=${FLEET_SEEDS:-10000}
  without_leaks cargo test --locked --release --package mwaa-gateway-fuzz -- --nocapture
  without_leaks cargo test --locked --release --package mwaa-fleet simulation
}
check_deny() {
  if ! cargo deny --version >/dev/null 2>&1; then
    echo 'check.sh: cargo-deny is missing: cargo install --locked cargo-deny' >&2
    return 1
  fi
  # advisories need a database from outside the registries: the public CI asks for them
  cargo deny --config .deny.toml --log-level error check --hide-inclusion-graph bans licenses sources
}

# Runs a command without what the caller's shell says about AWS, Airflow, proxies and us: a
# test that passes because of a profile at home proves nothing.
without_leaks() {
  local name drop=()
  while IFS= read -r name; do
    case $name in
      AWS_* | AIRFLOW_* | AIRFLOW__* | MWAA_GATEWAY_* | PYTHON* | CURL_HOME | CURL_CA_BUNDLE | RUST_LOG | \
        SSL_CERT_* | LD_PRELOAD | FAKETIME* | [Hh][Tt][Tt][Pp]_[Pp][Rr][Oo][Xx][Yy] | \
        [Hh][Tt][Tt][Pp][Ss]_[Pp][Rr][Oo][Xx][Yy] | [Aa][Ll][Ll]_[Pp][Rr][Oo][Xx][Yy] | [Nn][Oo]_[Pp][Rr][Oo][Xx][Yy])
        drop+=(-u "$name")
        ;;
    esac
  done < <(compgen -e)
  env ${drop[@]+"${drop[@]}"} "$@" # bash 3.2, which macOS has, takes an empty list for an unset one
}

# Runs one step under a heading, says how long it took, and stops everything if it failed.
step() {
  local heading=$1 began=$SECONDS status=0
  shift
  printf '\n== %s\n' "$heading"
  # not `"$@" || ...`: that would switch off `set -e` inside
  set +e
  (
    set -euo pipefail
    "$@"
  )
  status=$?
  set -e
  if [ "$status" -ne 0 ]; then
    printf '== %s FAILED after %s s (exit %s)\n' "$heading" "$((SECONDS - began))" "$status"
    exit 1
  fi
  printf '== %s: %s s\n' "$heading" "$((SECONDS - began))"
}

[ "${BASH_SOURCE[0]}" = "$0" ] || return 0

set -euo pipefail
cd "$(dirname "$0")/.."
[ "$#" -gt 0 ] || set -- formatting lints docs tests build fuzz deny
for name in "$@"; do
  if ! declare -F "check_$name" >/dev/null; then
    echo "check.sh: no step $name; the steps are formatting lints docs tests build fuzz deny" >&2
    exit 2
  fi
done
for name in "$@"; do
  step "$name" "check_$name"
done
