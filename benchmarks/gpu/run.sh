#!/bin/bash
# For a machine with a GPU and without a network:
#   bash benchmarks/gpu/run.sh fetch [PYTHON_VERSION] [PLATFORM]   where there is a network: .gpu/wheels
#   bash benchmarks/gpu/run.sh check|bench [options]               on that machine, from the same folder
# .gpu is in .gitignore. Its Python brings torch for CUDA and transformers.
set -euo pipefail
cd "$(dirname "$0")/../.."
site=$PWD/.gpu/site
case ${1-} in
fetch)
  mkdir -p .gpu/wheels
  # What a machine for deep learning lacks; what these need beyond it is named too, so that torch is not fetched.
  python3 -m pip download --quiet --no-deps --only-binary=:all: --implementation cp --python-version "${2:-3.12}" \
    --platform "${3:-manylinux_2_28_x86_64}" --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    --constraint constraints.txt --dest .gpu/wheels \
    pydantic pydantic-core annotated-types typing-extensions typing-inspection typer rich markdown-it-py mdurl shellingham \
    ir_datasets lz4 ir_measures pytrec-eval-terrier bm25s PyStemmer sentence-transformers accelerate psutil \
    datasets dill multiprocess xxhash
  python3 -m pip wheel --quiet --no-deps --wheel-dir .gpu/wheels .
  du -sh .gpu/wheels
  ;;
check | bench)
  script=$1
  shift
  if [ ! -d "$site" ] && [ -d .gpu/wheels ]; then
    python3 -m pip install --quiet --no-index --no-deps --target "$site" .gpu/wheels/*.whl
  fi
  PYTHONPATH=$PWD/src:$site${PYTHONPATH:+:$PYTHONPATH} HF_HUB_OFFLINE=1 exec python3 "benchmarks/gpu/$script.py" "$@"
  ;;
*)
  sed -n 's/^# \{0,1\}//p' "$0" | tail -n +2
  exit 2
  ;;
esac
