# The image of the GPU job: the worker (the same `hub` as in the functions' image) beside Boltz-2 at pinned versions.
# Weights are not inside: the worker fetches them from a bucket and checks their sizes and checksums.
FROM nvidia/cuda:12.6.3-cudnn-runtime-ubuntu22.04

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3.10 python3.10-venv build-essential python3.10-dev ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 65532 --create-home worker

COPY requirements.txt /opt/requirements.txt
RUN python3.10 -m venv /opt/boltz \
    && /opt/boltz/bin/pip install --no-cache-dir -r /opt/requirements.txt

COPY --chmod=0555 hub /usr/local/bin/hub
RUN install -d -o worker -g worker /weights /scratch

ENV PATH=/opt/boltz/bin:$PATH \
    WEIGHTS_DIR=/weights \
    SCRATCH_DIR=/scratch \
    ACCELERATOR=gpu
USER 65532:65532
ENTRYPOINT ["hub", "predict-worker"]
