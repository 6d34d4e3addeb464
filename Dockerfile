# One image for the three services and their commands:
#   docker build -t dialpass .
#   docker run dialpass services.gateway serve
# The simulator is a separate target, so that the deployed image does not contain it:
#   docker build --target simulator -t dialpass-simulator .

ARG PYTHON_IMAGE=python:3.13-slim


FROM ${PYTHON_IMAGE} AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# strip removes the libraries' debugging symbols, a quarter of the image.
RUN apt-get update -q && apt-get install -q -y --no-install-recommends binutils
COPY requirements/runtime.txt /build/
# Installed by the base image's pip; the environment has none. Wheels only: source packages would need
# unhashed build dependencies and a compiler.
RUN python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python install --require-hashes --only-binary :all: --no-deps \
        --no-compile -r /build/runtime.txt
# Also removed, because nothing uses them: the packages' tests, type stubs and C sources, phonenumbers' data of places
# and carriers, Pygments' lexers except those for tracebacks, of Swagger UI all but the files that the gateway serves,
# and the template engine that its package asks for and does not import.
RUN find /venv/lib -name '*.so' -exec strip --strip-unneeded {} + \
    && cd /venv/lib/python3*/site-packages \
    && rm -r tornado/test phonenumbers/geodata phonenumbers/carrierdata phonenumbers/tzdata jinja2 markupsafe \
    && find swagger_ui_bundle/vendor -type f ! -name swagger-ui.css ! -name swagger-ui-bundle.js \
        ! -name favicon-32x32.png -delete \
    && find . \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete \
    && find pygments/lexers -name '*.py' ! -name __init__.py ! -name _mapping.py ! -name python.py -delete \
    && /venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv/lib

COPY shared /build/services/shared
COPY services /build/services/services
COPY deploy/__init__.py /build/simulator/deploy/
COPY deploy/local/__init__.py /build/simulator/deploy/local/
COPY deploy/local/simulator /build/simulator/deploy/local/simulator
# File modes depend on the checkout; the image's user has to read everything.
RUN chmod -R u=rwX,go=rX /build \
    && /venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /build


FROM ${PYTHON_IMAGE} AS runtime

# USER is set because drivers read the user's name on import, and this user has none. The bytecode is
# in the image; the root file system can be read-only. A container listens on all of its addresses.
ENV PATH=/venv/bin:$PATH USER=dialpass PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 BIND_ADDRESS=*
COPY --from=build /venv /venv
# New volumes mounted here get this owner.
RUN install -d -m 0700 -o 10001 -g 10001 /var/lib/dialpass/keys
WORKDIR /app
# By number, so that Kubernetes can check that it is not root.
USER 10001:10001
# Without a shell, so that signals reach Python. The arguments are the module and its command.
ENTRYPOINT ["python", "-m"]


FROM runtime AS simulator

COPY --from=build /build/simulator /app
CMD ["deploy.local.simulator"]


# The last stage is the default target.
FROM runtime AS services

COPY --from=build /build/services /app
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Dialpass" \
      org.opencontainers.image.description="Sign-up and sign-in by phone number: gateway, auth and SMS worker" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
