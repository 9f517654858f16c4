# One program of refit, and nothing else: no shell, no libraries, no files to update.
#
# The program is built first, static, so that the image needs no system:
#
#     RUSTFLAGS="-C target-feature=+crt-static" \
#         cargo build --locked --release --target x86_64-unknown-linux-gnu -p object -p drift -p hook -p tick -p refit \
#         --features object/gcp,drift/gcp,hook/gcp,tick/gcp,refit/gcp
#     buildah bud --build-arg PROGRAM=object --tag refit-object .
#
# With `--target x86_64-unknown-linux-musl` it is the same, with TARGET=x86_64-unknown-linux-musl below.
# Roots of trust and time zones are inside the program. More roots: mount a PEM file, and name it in SSL_CERT_FILE.
FROM scratch

ARG TARGET=x86_64-unknown-linux-gnu
ARG PROFILE=release
# object, drift, hook, tick or refit.
ARG PROGRAM=object

COPY target/${TARGET}/${PROFILE}/${PROGRAM} /program

# Nobody: by number, as there is no file of names to look one up in.
USER 65532:65532
ENV PORT=8080
EXPOSE 8080
ENTRYPOINT ["/program"]
