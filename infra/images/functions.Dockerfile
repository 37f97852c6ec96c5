# One image for every service: the executable `hub`, which is all functions; a service's first argument says which.
# The context is a folder with what the build step compiled: `hub`, statically linked, and the certificates of the
# authorities that TLS trusts. Nothing else is inside: no shell, no libraries, no package manager.
FROM scratch
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --chmod=0555 hub /hub
USER 65532:65532
# Threads that wait for storage would each keep freed memory for themselves.
ENV MALLOC_ARENA_MAX=2
ENTRYPOINT ["/hub"]
