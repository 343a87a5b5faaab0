# A single-user image for JupyterHub, for the CPU: docker build --build-arg TORCH_INDEX=ADDRESS .
FROM python:3.11-slim
ARG TORCH_INDEX=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --create-home --uid 1000 student && install -d -o student /srv/deepcut
WORKDIR /srv/deepcut
COPY --chown=student . .
RUN if [ -n "$TORCH_INDEX" ]; then \
      pip install --no-deps torch torchvision -c constraints.txt --index-url "$TORCH_INDEX"; fi \
    && pip install -e '.[notebooks]' 'jupyterhub>=5,<7' -c constraints.txt
USER 1000
CMD ["jupyterhub-singleuser", "--ip=0.0.0.0"]
