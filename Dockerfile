# pnpvideo in a container.
#
#   docker build -t pnpvideo .
#   docker build -t pnpvideo:cuda --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
#   docker run --rm -v "$PWD:/clips" -v pnpvideo-cache:/cache pnpvideo translate wolf.mp4 "an oil painting of a wolf" \
#       --model sd15 -o out.mp4
#   docker run --rm --gpus all -v "$PWD:/clips" -v pnpvideo-cache:/cache pnpvideo:cuda plan wolf.mp4 --model sd15

ARG PYTHON=3.11
FROM python:${PYTHON}-slim

# Which PyTorch: the index of its builds for CPUs, or for a version of CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# Extras of the package, separated by commas.
ARG EXTRAS=plots

COPY constraints.txt /source/
RUN pip install --no-cache-dir --index-url ${TORCH_INDEX} --extra-index-url https://pypi.org/simple \
    -c /source/constraints.txt torch

COPY pyproject.toml README.md LICENSE /source/
COPY pnpvideo /source/pnpvideo
COPY cli /source/cli
RUN pip install --no-cache-dir -c /source/constraints.txt "/source[${EXTRAS}]" && rm -r /source

# Models, inversions and checkpoints of runs are kept in /cache; clips are read and written in /clips.
RUN useradd --create-home --uid 1000 artist && mkdir /cache /clips && chown artist /cache /clips
ENV XDG_CACHE_HOME=/cache HF_HOME=/cache/huggingface
USER artist
VOLUME /cache
WORKDIR /clips
ENTRYPOINT ["pnpvideo"]
CMD ["--help"]
