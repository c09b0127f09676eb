# The same source gives the same binary: no paths, no time stamps, no C library.
# Where no registry can be reached: --build-arg BUILDER=localhost/go, as .ci/image does.
ARG BUILDER=golang:1.26-bookworm
FROM ${BUILDER} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /photosync ./cmd/photosync

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /photosync /photosync
USER 65532:65532
ENTRYPOINT ["/photosync"]
CMD ["sync"]
