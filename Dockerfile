# Images for users: docker build --target origin -t mediaorigin . ; docker build --target operator -t mediaorigin-operator .
# The bases are arguments, so that a mirror or a hardened base can be used. Both need glibc and a user other than root.
ARG BUILD_BASE=rust:1.95-bookworm
ARG RUN_BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p mediaorigin-origin && cargo build --release --locked -p mediaorigin-operator

FROM ${RUN_BASE} AS origin
COPY --from=build /src/target/release/mediaorigin /usr/bin/mediaorigin
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/usr/bin/mediaorigin"]
CMD ["serve"]

FROM ${RUN_BASE} AS operator
COPY --from=build /src/target/release/mediaorigin-operator /usr/bin/mediaorigin-operator
USER 65532:65532
EXPOSE 8081
ENTRYPOINT ["/usr/bin/mediaorigin-operator"]
CMD ["run"]
