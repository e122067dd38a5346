# `selfmm serve` in a container: docs/deploy.md says how to run it.
#
#   docker build -t selfmm .
#   docker build -t selfmm --build-arg WEIGHTS="e5 base face" .   # speech in 99 languages
#   docker build -t selfmm --build-arg WEIGHTS= .                 # without weights, to be mounted at /opt/weights
#
# The network is used here alone, to install packages and weights; the container needs none.

FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/selfmm
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY src ./src
# To leave out the libraries for graphics cards, which take gigabytes: --build-arg PIP_EXTRA_INDEX_URL= with the address
# of an index of PyTorch's CPU wheels.
ARG PIP_EXTRA_INDEX_URL=
RUN /opt/selfmm/bin/pip install --constraint constraints.txt ".[app,video]"
ARG WEIGHTS="e5 tiny.en face"
ENV SELFMM_CACHE=/opt/weights
RUN mkdir -p /opt/weights \
    && if [ -n "$WEIGHTS" ]; then /opt/selfmm/bin/selfmm weights get $WEIGHTS; fi

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/selfmm selfmm
COPY --from=build /opt/selfmm /opt/selfmm
COPY --from=build /opt/weights /opt/weights
ENV PATH=/opt/selfmm/bin:$PATH \
    SELFMM_CACHE=/opt/weights \
    XDG_STATE_HOME=/var/lib/selfmm \
    HF_HUB_OFFLINE=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /runs
EXPOSE 8765
# Loading the run takes 5 to 20 s. SIGTERM, which `docker stop` sends, finishes what was accepted.
HEALTHCHECK --interval=30s --timeout=5s --start-period=2m \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/v1/health', timeout=4)"]
# Other machines reach it, so it needs a token: SELFMM_TOKEN, or --token-file after the name of the image.
ENTRYPOINT ["selfmm", "serve", "--host", "0.0.0.0", "--port", "8765"]
CMD ["starter"]
