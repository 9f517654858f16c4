# One program of refit and the roots of trust, and nothing else: no shell, no libraries.
#
# Both are made first, the program static, so that the image needs no system:
#
#     RUSTFLAGS="-C target-feature=+crt-static" \
#         cargo build --locked --release --target x86_64-unknown-linux-gnu -p object -p drift -p hook -p tick -p refit \
#         --features object/gcp,drift/gcp,hook/gcp,tick/gcp,refit/gcp
#     cargo run --locked -p refit-platform --example roots > target/roots.pem
#     buildah bud --build-arg PROGRAM=object --tag refit-object .
#
# Time zones are inside the program. Other roots: mount a PEM file, and name it in SSL_CERT_FILE.
FROM scratch

ARG TARGET=x86_64-unknown-linux-gnu
ARG PROFILE=release
# object, drift, hook, tick or refit.
ARG PROGRAM=object

# Where the clients of Google and AWS look for them.
COPY target/roots.pem /etc/ssl/certs/ca-certificates.crt
COPY target/${TARGET}/${PROFILE}/${PROGRAM} /program

# Nobody: by number, as there is no file of names to look one up in.
USER 65532:65532
ENV PORT=8080
EXPOSE 8080
ENTRYPOINT ["/program"]
