# The same source gives the same binary: no paths, no time stamps, no C library. The
# image's is compared with that of the release's archive when a release is made.
# Where no registry can be reached: --build-arg BUILDER=localhost/go, as .ci/image does.
# A release names the builder by its digest. Which Go compiles is said by go.mod, and
# verified by Go's checksum database, not by this tag.
ARG BUILDER=golang:1.26-bookworm
FROM --platform=${BUILDPLATFORM} ${BUILDER} AS build
WORKDIR /src
ARG GOTOOLCHAIN=auto
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS=linux TARGETARCH VERSION=dev COMMIT="" DATE=""
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT} -X main.date=${DATE}" -o /photosync ./cmd/photosync

FROM scratch
ARG VERSION=dev COMMIT="" DATE="" SOURCE=""
LABEL org.opencontainers.image.title=photosync \
      org.opencontainers.image.description="Copies employee photos to Smartsheet profiles" \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.source=${SOURCE} \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${COMMIT} \
      org.opencontainers.image.created=${DATE}
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /photosync /photosync
USER 65532:65532
ENTRYPOINT ["/photosync"]
CMD ["sync"]
