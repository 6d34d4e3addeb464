# One image for the three services and their commands:
#   docker build -t dialpass .
#   docker run dialpass services.gateway serve
# The provider's simulator is a target of its own, so that the image to deploy does not contain it:
#   docker build --target simulator -t dialpass-simulator .

ARG PYTHON_IMAGE=python:3.13-slim


FROM ${PYTHON_IMAGE} AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# strip takes the debugging symbols, a quarter of the image, out of the packages' libraries.
RUN apt-get update -q && apt-get install -q -y --no-install-recommends binutils
COPY requirements/runtime.txt /build/
# The base's pip fills the environment, which gets none of its own. Wheels alone: an unhashed build
# dependency and a compiler would come with anything else.
RUN python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python install --require-hashes --only-binary :all: --no-deps \
        --no-compile -r /build/runtime.txt
# Nor does anything import the packages' own tests, the places and carriers of the world's numbers, and
# the grammars of languages other than that of our tracebacks.
RUN find /venv/lib -name '*.so' -exec strip --strip-unneeded {} + \
    && cd /venv/lib/python3*/site-packages \
    && rm -r tornado/test phonenumbers/geodata phonenumbers/carrierdata phonenumbers/tzdata \
    && find pygments/lexers -name '*.py' ! -name __init__.py ! -name _mapping.py ! -name python.py -delete \
    && /venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv/lib

COPY shared /build/services/shared
COPY services /build/services/services
COPY deploy/__init__.py /build/simulator/deploy/
COPY deploy/local/__init__.py /build/simulator/deploy/local/
COPY deploy/local/simulator /build/simulator/deploy/local/simulator
# A checkout's modes depend on who made it; the image's user has to read everything.
RUN chmod -R u=rwX,go=rX /build \
    && /venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /build


FROM ${PYTHON_IMAGE} AS runtime

# USER in the environment: drivers ask for the user's name when imported, and this one has none. The
# bytecode is in the image; the root file system may be read-only.
ENV PATH=/venv/bin:$PATH USER=dialpass PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=build /venv /venv
# A new volume mounted here takes this owner.
RUN install -d -m 0700 -o 10001 -g 10001 /var/lib/dialpass/keys
WORKDIR /app
# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
# No shell in between: signals reach Python. The arguments choose the module and its command.
ENTRYPOINT ["python", "-m"]


FROM runtime AS simulator

COPY --from=build /build/simulator /app
CMD ["deploy.local.simulator"]


# The last stage is the one built without --target.
FROM runtime AS services

COPY --from=build /build/services /app
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Dialpass" \
      org.opencontainers.image.description="Sign-up and sign-in by phone number: gateway, auth and SMS worker" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
