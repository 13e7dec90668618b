# vocode serve, with the model and ONNX Runtime for CPUs inside: no shell, compiler, Python or pip in the image.
#
#     docker build -t vocode .
#     docker run --rm -p 127.0.0.1:50051:50051 vocode
#     docker run --rm -i vocode - -o - <mel.npy >speech.wav

FROM rust:1.92-slim-bookworm AS program
WORKDIR /src
COPY . .
RUN cargo build --locked --release

# ONNX Runtime's official wheel, fetched by pip and held against the SHA-256 that the program knows, now and at each start.
FROM python:3.13-slim-bookworm AS library
COPY --from=program /src/target/release/vocode /opt/vocode/vocode
RUN VOCODE_DATA_DIR=/opt/vocode /opt/vocode/vocode setup

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=library /opt/vocode /opt/vocode
ENV VOCODE_DATA_DIR=/opt/vocode VOCODE_OFFLINE=1
# gRPC, and metrics with /health and /ready.
EXPOSE 50051 9464
ENTRYPOINT ["/opt/vocode/vocode"]
CMD ["serve", "--listen", "0.0.0.0:50051", "--metrics", "0.0.0.0:9464", "--log-format", "json"]
